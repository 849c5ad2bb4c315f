"""Permalinks: read by our signature, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reccli.core.links import ObjectLink, signature

from .samples import KEY, NOW, RE1, RE2, make_book

HOST = "https://calls.example.com"
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class TestPermalink:
    book = make_book(style="permalink", base_url=HOST, secrets=("new", "old"))

    def test_valid(self) -> None:
        link = self.book.parse(self.book.permalinks.write(KEY))
        assert link == ObjectLink(RE1, KEY, "permalink")
        assert self.book.usable(ObjectLink(RE1, KEY, "permalink"), NOW)

    def test_by_a_secret_that_is_being_rotated_out(self) -> None:
        url = f"{HOST}/r/{KEY}?sig={signature(KEY, 'old')}"
        assert self.book.parse(url) == ObjectLink(RE1, KEY, "permalink")

    @pytest.mark.parametrize(
        "query",
        ["", "?sig=", "?sig=0", "?sig=%C3%A9", f"?sig={signature(KEY, 'older')}", "?other=1"],
    )
    def test_invalid(self, query: str) -> None:
        link = self.book.parse(f"{HOST}/r/{KEY}{query}")
        assert link == ObjectLink(RE1, KEY, "permalink", LONG_AGO)

    def test_the_signature_of_another_key(self) -> None:
        sig = self.book.permalinks.write(KEY).partition("?")[2]
        link = self.book.parse(f"{HOST}/r/{KEY.replace(RE1, RE2)}?{sig}")
        assert isinstance(link, ObjectLink)
        assert (link.sid, link.expires) == (RE2, LONG_AGO)

    def test_what_else_is_in_the_query_changes_nothing(self) -> None:
        url = (
            f"{self.book.permalinks.write(KEY)}&AWSAccessKeyId=A&Signature=a&X-Amz-Security-Token=t"
        )
        assert self.book.parse(url) == ObjectLink(RE1, KEY, "permalink")

    def test_no_other_address_of_the_host_is_one(self) -> None:
        url = self.book.permalinks.write(KEY).replace("/r/", "/")
        assert not isinstance(self.book.parse(url), ObjectLink)

    def test_secrets_are_in_no_traceback(self) -> None:
        assert "'new'" not in repr(self.book)
        assert "'old'" not in repr(self.book)

    def test_signed(self) -> None:
        for secret in ("new", "old"):
            assert self.book.permalinks.signed(KEY, signature(KEY, secret))
            assert not self.book.permalinks.signed(f"{KEY}/", signature(KEY, secret))
        assert not self.book.permalinks.signed(KEY, signature(KEY, "older"))
        assert not make_book().permalinks.signed(KEY, signature(KEY, ""))

    @pytest.mark.parametrize("odd", ["", "é", "\0", "\udcff", "0" * 64, "k" * 100_000])
    def test_whatever_comes_in_can_be_checked(self, odd: str) -> None:
        assert not self.book.permalinks.signed(KEY, odd)
        assert not self.book.permalinks.signed(odd, "0" * 64)
        assert self.book.permalinks.signed(odd, signature(odd, "old"))

    def test_after_a_change_of_style_it_is_still_ours_but_not_usable(self) -> None:
        book = make_book(style="presigned", base_url=HOST, secrets=("new",))
        link = book.parse(self.book.permalinks.write(KEY))
        assert isinstance(link, ObjectLink)
        assert not book.usable(link, NOW)
