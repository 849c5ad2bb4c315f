"""What a search in the table looks for, so that nothing has to be read to find nothing."""

from __future__ import annotations

from typing import Any

import pytest

from reccli.core.links import LinkBook, ObjectLink

from .samples import BUCKET, KEY, NOW, make_book, presigned

STORE = "https://store.example.com"
OLD_SIGNATURES = ("AWSAccessKeyId=", "X-Amz-Security-Token=")


def told_by(book: LinkBook) -> str:
    """Tell the one text that is no signature's."""
    (text,) = set(book.outdated) - set(OLD_SIGNATURES)
    return text


@pytest.mark.parametrize("base_url", ["https://calls.example.com", "https://example.com/calls/"])
class TestOtherStyles:
    @pytest.mark.parametrize("style", ["presigned", "object"])
    def test_permalinks_after_a_change_of_style(self, style: str, base_url: str) -> None:
        before = make_book(style="permalink", base_url=base_url, secrets=("s",))
        after = make_book(style=style, base_url=base_url)
        text = told_by(after)
        assert text in before.permalinks.write(KEY)
        link = after.parse(before.permalinks.write(KEY))
        assert isinstance(link, ObjectLink)
        assert not after.usable(link, NOW)
        assert style == "presigned" or text not in after.objects.write(KEY)
        assert text not in presigned(f"https://{BUCKET}.s3.amazonaws.com/{KEY}")

    @pytest.mark.parametrize("endpoint_url", ["", "https://store.example.com"])
    def test_object_links_after_a_change_to_permalinks(
        self, base_url: str, endpoint_url: str
    ) -> None:
        before = make_book(style="object", endpoint_url=endpoint_url)
        after = make_book(
            style="permalink", base_url=base_url, secrets=("s",), endpoint_url=endpoint_url
        )
        text = told_by(after)
        assert text in before.objects.write(KEY)
        link = after.parse(before.objects.write(KEY))
        assert isinstance(link, ObjectLink)
        assert not after.usable(link, NOW)
        assert text not in after.permalinks.write(KEY)

    def test_links_through_a_cdn_after_a_change_to_presigned_ones(self, base_url: str) -> None:
        before = make_book(style="object", base_url=base_url)
        after = make_book(style="presigned", base_url=base_url)
        text = told_by(after)
        assert text in before.objects.write(KEY)
        link = after.parse(before.objects.write(KEY))
        assert isinstance(link, ObjectLink)
        assert not after.usable(link, NOW)

    def test_nor_where_no_permalink_can_have_been_ours(self, base_url: str) -> None:
        assert make_book(style="presigned").outdated == OLD_SIGNATURES
        link = make_book().parse(make_book(base_url=base_url, secrets=("s",)).permalinks.write(KEY))
        assert not isinstance(link, ObjectLink)


@pytest.mark.parametrize("style", ["presigned", "permalink", "object"])
class TestSignatures:
    """As botocore writes them: FIND heeds case."""

    def test_of_version_2(self, style: str) -> None:
        book = make_book(style=style, base_url="https://x.example", secrets=("s",))
        url = f"https://{BUCKET}.s3.amazonaws.com/{KEY}?AWSAccessKeyId=A&Signature=a&Expires=1"
        assert any(text in url for text in book.outdated)

    def test_with_temporary_credentials(self, style: str) -> None:
        book = make_book(style=style, base_url="https://x.example", secrets=("s",))
        url = presigned(f"https://{BUCKET}.s3.amazonaws.com/{KEY}") + "&X-Amz-Security-Token=t"
        # With another style the day finds it, as it finds every presigned link.
        held = f"https://{BUCKET}.s3.amazonaws.com/" if style == "permalink" else ""
        found = {text for text in book.outdated if text in url} - {held}
        assert found == ({"X-Amz-Security-Token="} if style == "presigned" else set())


FORMER: dict[str, tuple[dict[str, Any], list[str]]] = {
    "bucket": (
        {"former": ("s3://old",)},
        ["//old.s3", "/old/"],
    ),
    "folder of a bucket": (
        {"former": ("s3://old/call recordings",)},
        ["//old.s3", "/old/call%20recordings/"],
    ),
    "bucket, at a store": (
        {"former": ("s3://old",), "endpoint_url": STORE},
        ["//old.s3", "/old/", "//old.store.example.com/"],
    ),
    "folder of ours": (
        {"former": (f"s3://{BUCKET}/old/",)},
        [f"/{BUCKET}/old/", "amazonaws.com/old/"],
    ),
    "folder of ours, in China": (
        {"former": (f"s3://{BUCKET}/old",), "s3_region": "cn-north-1"},
        [f"/{BUCKET}/old/", "amazonaws.com.cn/old/"],
    ),
    "folder of ours, at a store": (
        {"former": (f"s3://{BUCKET}/old",), "endpoint_url": STORE},
        [f"//{BUCKET}.s3", f"/{BUCKET}/old/", f"//{BUCKET}.store.example.com/old/"],
    ),
    "bucket of our name at AWS": (
        {"former": (f"s3://{BUCKET}",), "endpoint_url": STORE},
        [f"//{BUCKET}.s3", f"amazonaws.com/{BUCKET}/"],
    ),
    "our bucket": ({"former": (f"s3://{BUCKET}",)}, []),
    "address": ({"former": ("https://cdn.example.com/a",)}, ["https://cdn.example.com/a/"]),
    "the same twice": (
        {"former": ("https://cdn.example.com/a", "https://cdn.example.com/a/")},
        ["https://cdn.example.com/a/"],
    ),
}


@pytest.mark.parametrize("name", FORMER)
def test_former_places(name: str) -> None:
    changes, texts = FORMER[name]
    book = make_book(**changes)
    assert book.outdated == (*OLD_SIGNATURES, *texts)
    minted = (book.objects.write(KEY), presigned(book.objects.write(KEY)))
    assert not any(text in url for text in book.outdated for url in minted)
