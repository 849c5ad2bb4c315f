"""Every form of link that is ours is read to a SID or a key, and what is minted is read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reccli.core.links import ObjectLink, without_query

from .samples import BUCKET, KEY, NOW, RE1, make_book, presigned

HOST = "https://calls.example.com"
CDN = "https://cdn.example.com/audio"
STORE = "http://127.0.0.1:8333"
SIGV4 = "X-Amz-Date=20261122T060000Z&X-Amz-Expires=3600&X-Amz-Signature=a"
SIGV2 = "AWSAccessKeyId=A&Expires=1795330800&Signature=a%2Bb%3D"
LONG_AGO = datetime.min.replace(tzinfo=UTC)
A_WEEK_LATER = datetime(2026, 11, 29, tzinfo=UTC)


class TestPresigned:
    @pytest.mark.parametrize(
        "address",
        [
            f"https://{BUCKET}.s3.amazonaws.com",
            f"https://{BUCKET}.s3.ap-southeast-2.amazonaws.com",
            f"http://{BUCKET}.s3.ap-southeast-2.amazonaws.com",
            f"https://{BUCKET}.s3.ap-southeast-2.amazonaws.com:443",
            f"https://{BUCKET}.s3-ap-southeast-2.amazonaws.com",
            f"https://{BUCKET}.s3.dualstack.ap-southeast-2.amazonaws.com",
            f"https://{BUCKET}.s3-accelerate.amazonaws.com",
            f"https://{BUCKET}.s3-accelerate.dualstack.amazonaws.com",
            f"https://s3.amazonaws.com/{BUCKET}",
            f"https://s3.ap-southeast-2.amazonaws.com/{BUCKET}",
            f"https://s3-ap-southeast-2.amazonaws.com/{BUCKET}",
            f"https://s3.dualstack.ap-southeast-2.amazonaws.com/{BUCKET}",
            f"https://{BUCKET}.s3-fips.us-east-1.amazonaws.com",
            f"https://s3-fips.dualstack.us-east-1.amazonaws.com/{BUCKET}",
        ],
    )
    def test_addresses(self, address: str) -> None:
        link = make_book().parse(presigned(f"{address}/{KEY}"))
        assert link == ObjectLink(RE1, KEY, "presigned", A_WEEK_LATER)

    @pytest.mark.parametrize("style", ["virtual", "path"])
    def test_a_dotted_bucket(self, style: str) -> None:
        host = {
            "virtual": "https://calls.example.com.s3.eu-west-1.amazonaws.com/",
            "path": "https://s3.eu-west-1.amazonaws.com/calls.example.com/",
        }[style]
        link = make_book(bucket="calls.example.com").parse(presigned(host + KEY))
        assert isinstance(link, ObjectLink)
        assert link.key == KEY

    @pytest.mark.parametrize(
        ("endpoint", "address"),
        [
            (STORE, f"{STORE}/{BUCKET}"),
            (f"{STORE}/", f"{STORE}/{BUCKET}"),
            ("http://localhost:8333", f"http://{BUCKET}.localhost:8333"),
            ("https://s3.example.com", f"https://S3.Example.com:443/{BUCKET}"),
            ("https://s3.example.com:443", f"https://{BUCKET}.s3.example.com"),
            ("https://gate.example.com/s3", f"https://gate.example.com/s3/{BUCKET}"),
        ],
    )
    def test_a_custom_endpoint(self, endpoint: str, address: str) -> None:
        link = make_book(endpoint_url=endpoint).parse(presigned(f"{address}/{KEY}"))
        assert link == ObjectLink(RE1, KEY, "presigned", A_WEEK_LATER)

    @pytest.mark.parametrize(
        ("query", "expires"),
        [
            (SIGV4, "07:00"),
            ("x-amz-date=20261122T060000Z&x-amz-expires=3600&x-amz-signature=a", "07:00"),
            # Whatever cannot work, or ends at a time that nobody can tell, ended long ago.
            ("X-Amz-Date=20261122T060000Z&X-Amz-Signature=a", None),
            ("X-Amz-Expires=3600&X-Amz-Signature=a", None),
            ("X-Amz-Expires=&X-Amz-Date=20261122T060000Z&X-Amz-Signature=a", None),
            ("X-Amz-Date=yesterday&X-Amz-Expires=3600&X-Amz-Signature=a", None),
            ("X-Amz-Date=20261122T060000Z&X-Amz-Expires=1h&X-Amz-Signature=a", None),
            ("X-Amz-Date=20261122T060000Z&X-Amz-Expires=-1&X-Amz-Signature=a", None),
            ("X-Amz-Date=20261122T060000Z&X-Amz-Expires=604801&X-Amz-Signature=a", None),
            (f"X-Amz-Date=20261122T060000Z&X-Amz-Expires={9**99}&X-Amz-Signature=a", None),
            # It dies with the credentials that signed it, and their end is not in the link.
            (f"{SIGV4}&X-Amz-Security-Token=t", None),
            (f"x-amz-security-token=t&{SIGV4}", None),
            (f"{SIGV4}&X-AMZ-SECURITY-TOKEN=", None),
        ],
    )
    def test_expiry(self, query: str, expires: str | None) -> None:
        link = make_book().parse(f"https://{BUCKET}.s3.amazonaws.com/{KEY}?{query}")
        until = NOW.replace(hour=7) if expires else LONG_AGO
        assert link == ObjectLink(RE1, KEY, "presigned", until)

    @pytest.mark.parametrize(
        ("query", "expires"),
        [
            (SIGV2, "07:00"),
            (SIGV2.lower(), "07:00"),
            ("AWSAccessKeyId=A&Signature=a&Expires=4102444800", "2100"),
            (f"{SIGV2}&x-amz-security-token=t", None),
            ("AWSAccessKeyId=A&Expires=soon&Signature=a", None),
            (f"AWSAccessKeyId=A&Expires={9**99}&Signature=a", None),
            ("AWSAccessKeyId=A&Expires=&Signature=a", None),
            ("AWSAccessKeyId=A&Signature=a", None),
            ("AWSAccessKeyId=&Expires=1795330800", "07:00"),
            ("Policy=e30&Signature=a&Key-Pair-Id=K", None),
            (f"{SIGV4}&AWSAccessKeyId=A", "07:00"),
            (f"{SIGV4}&Signature=a", "07:00"),
        ],
    )
    @pytest.mark.parametrize("style", ["presigned", "object"])
    @pytest.mark.parametrize("endpoint", ["", STORE])
    def test_the_old_signature_is_another_style(
        self, endpoint: str, style: str, query: str, expires: str | None
    ) -> None:
        book = make_book(endpoint_url=endpoint, style=style)
        link = book.parse(f"{book.objects.write(KEY)}?{query}")
        known = {"07:00": NOW.replace(hour=7), "2100": datetime(2100, 1, 1, tzinfo=UTC)}
        assert link == ObjectLink(RE1, KEY, "sigv2", known[expires] if expires else LONG_AGO)
        assert isinstance(link, ObjectLink)
        assert not book.usable(link, datetime(1, 1, 2, tzinfo=UTC))

    def test_it_is_usable_until_the_margin_before_its_end(self) -> None:
        book = make_book(refresh_before=timedelta(hours=48))
        end = ObjectLink(RE1, KEY, "presigned", NOW + timedelta(hours=48))
        assert not book.usable(end, NOW)
        assert book.usable(end, NOW - timedelta(seconds=1))
        assert not book.usable(ObjectLink(RE1, KEY, "presigned", LONG_AGO), NOW)
        assert not book.usable(ObjectLink(RE1, KEY, "object"), NOW)


class TestObject:
    def test_through_the_cdn(self) -> None:
        book = make_book(style="object", base_url=CDN)
        assert book.objects.write(KEY) == f"{CDN}/{KEY}"
        assert book.parse(f"{CDN}/{KEY}") == ObjectLink(RE1, KEY, "object")

    def test_signed_for_cloudfront(self) -> None:
        url = f"{CDN}/{KEY}?Expires=1795330800&Signature=a~&Key-Pair-Id=K"
        link = make_book(style="object", base_url=CDN).parse(url)
        assert link == ObjectLink(RE1, KEY, "object", NOW.replace(hour=7))

    def test_signed_by_a_store_behind_it(self) -> None:
        book = make_book(style="object", base_url=CDN)
        link = book.parse(f"{CDN}/{KEY}?{SIGV2}")
        assert link == ObjectLink(RE1, KEY, "sigv2", NOW.replace(hour=7))
        link = book.parse(f"{CDN}/{KEY}?{SIGV4}&X-Amz-Security-Token=t")
        assert link == ObjectLink(RE1, KEY, "object", LONG_AGO)

    @pytest.mark.parametrize(
        ("changes", "url"),
        [
            ({}, f"https://{BUCKET}.s3.ap-southeast-2.amazonaws.com/"),
            ({"s3_region": ""}, f"https://{BUCKET}.s3.amazonaws.com/"),
            ({"s3_region": "cn-north-1"}, f"https://{BUCKET}.s3.cn-north-1.amazonaws.com.cn/"),
            ({"bucket": "a.b"}, "https://s3.ap-southeast-2.amazonaws.com/a.b/"),
            ({"endpoint_url": STORE}, f"{STORE}/{BUCKET}/"),
        ],
    )
    def test_without_one(self, changes: dict[str, Any], url: str) -> None:
        book = make_book(style="object", **changes)
        assert book.objects.write(KEY) == url + KEY
        link = book.parse(url + KEY)
        assert link == ObjectLink(RE1, KEY, "object")
        assert book.usable(ObjectLink(RE1, KEY, "object"), NOW)

    @pytest.mark.parametrize(
        ("url", "base_url"),
        [
            (f"s3://{BUCKET}/{KEY}", ""),
            (f"https://{BUCKET}.s3.amazonaws.com/{KEY}", CDN),
        ],
    )
    def test_the_bare_address_is_ours_but_no_link_that_a_person_could_open(
        self, url: str, base_url: str
    ) -> None:
        book = make_book(style="object", base_url=base_url)
        link = book.parse(url)
        assert isinstance(link, ObjectLink)
        assert (link.sid, link.key) == (RE1, KEY)
        assert not book.usable(link, NOW)


class TestOneHostForAll:
    """A proxy that leads to the store and to `reccli serve`, or links that name the store."""

    @pytest.mark.parametrize("base_url", [STORE, f"{STORE}/{BUCKET}", f"{STORE}/{BUCKET}/a"])
    @pytest.mark.parametrize("style", ["presigned", "permalink", "object"])
    def test_presigned_links_are_what_they_are(self, style: str, base_url: str) -> None:
        book = make_book(style=style, base_url=base_url, endpoint_url=STORE, secrets=("s",))
        link = book.parse(presigned(f"{STORE}/{BUCKET}/{KEY}"))
        assert link == ObjectLink(RE1, KEY, "presigned", A_WEEK_LATER)
        assert isinstance(link, ObjectLink)
        assert book.usable(link, NOW) is (style == "presigned")

    def test_a_signed_one_is_no_permalink_whatever_its_key(self) -> None:
        base_url = f"{STORE}/{BUCKET}"
        book = make_book(style="permalink", base_url=base_url, endpoint_url=STORE, secrets=("s",))
        link = book.parse(presigned(f"{base_url}/r/{KEY}"))
        assert link == ObjectLink(RE1, f"r/{KEY}", "presigned", A_WEEK_LATER)

    def test_and_so_are_plain_ones_and_permalinks(self) -> None:
        book = make_book(style="permalink", base_url=STORE, endpoint_url=STORE, secrets=("s",))
        assert book.parse(f"{STORE}/{BUCKET}/{KEY}") == ObjectLink(RE1, KEY, "bare")
        assert book.parse(book.permalinks.write(KEY)) == ObjectLink(RE1, KEY, "permalink")


# Any text but surrogates, which no UTF-8 can hold.
ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("style", ["permalink", "cdn", "endpoint", "virtual", "path"])
@given(before=ODD, after=ODD)
@example(before="a b+c%2F?#&=;é/", after="~!*'()/")
@example(before="r/", after="")
@example(before="//", after="/../x")
def test_what_is_minted_for_an_odd_key_is_read_back(style: str, before: str, after: str) -> None:
    book = {
        "permalink": make_book(style="permalink", base_url=HOST, secrets=("s",)),
        "cdn": make_book(style="object", base_url=CDN),
        "endpoint": make_book(style="object", endpoint_url=STORE),
        "virtual": make_book(style="object"),
        "path": make_book(style="object", bucket="calls.example.com"),
    }[style]
    key = f"{before}/{RE1}.{after}"
    url = book.permalinks.write(key) if style == "permalink" else book.objects.write(key)
    link = book.parse(url)
    assert link == ObjectLink(RE1, key, book.style)
    assert book.usable(ObjectLink(RE1, key, book.style), NOW)


def test_what_may_be_shown() -> None:
    url = presigned(f"https://{BUCKET}.s3.amazonaws.com/{KEY}")
    assert without_query(url) == f"https://{BUCKET}.s3.amazonaws.com/{KEY}"
    assert without_query("https://x/y#sig?z") == "https://x/y"
