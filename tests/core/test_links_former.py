"""Links into places that recordings were moved from: known by their SID, never good enough."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reccli.core.links import ForeignLink, LinkBook, ObjectLink

from .samples import ACCOUNT, BUCKET, CA1, KEY, NOW, RE1, RE2, make_book, presigned, twilio_cell

LONG_AGO = datetime.min.replace(tzinfo=UTC)
STORE = "https://store.example.com"
CDN = "https://cdn.example.com/audio"
OLD = "old.calls"
FORMER = ObjectLink(RE1, KEY, "former", LONG_AGO)
AWS = [
    f"https://{OLD}.s3.amazonaws.com",
    f"http://{OLD}.s3.amazonaws.com",
    f"https://{OLD}.s3.eu-west-1.amazonaws.com",
    f"https://{OLD}.s3-eu-west-1.amazonaws.com",
    f"https://{OLD}.s3.dualstack.eu-west-1.amazonaws.com:443",
    f"https://{OLD}.s3-accelerate.amazonaws.com",
    f"https://{OLD}.s3-accelerate.dualstack.amazonaws.com",
    f"https://{OLD}.s3-fips.us-east-1.amazonaws.com",
    f"https://s3.amazonaws.com/{OLD}",
    f"https://s3.eu-west-1.amazonaws.com/{OLD}",
    f"https://s3-eu-west-1.amazonaws.com/{OLD}",
    f"https://S3.dualstack.eu-west-1.amazonaws.com/{OLD}",
    f"s3://{OLD}",
]
AT_STORE = [f"{STORE}/{OLD}", f"https://{OLD}.store.example.com"]
QUERIES = [
    "",
    "?versionId=1",
    presigned("").replace("20261122", "20991122"),
    f"{presigned('')}&X-Amz-Security-Token=t",
    "?AWSAccessKeyId=A&Signature=a&Expires=4102444800",
]


def assert_former(book: LinkBook, url: str, key: str = KEY) -> None:
    link = book.parse(url)
    assert link == ObjectLink(RE1, key, "former", LONG_AGO)
    assert isinstance(link, ObjectLink)
    assert not book.usable(link, NOW)


class TestBucket:
    @pytest.mark.parametrize("query", QUERIES)
    @pytest.mark.parametrize("address", AWS)
    @pytest.mark.parametrize("endpoint", ["", STORE])
    def test_at_aws(self, endpoint: str, address: str, query: str) -> None:
        book = make_book(former=("s3://older", f"s3://{OLD}"), endpoint_url=endpoint)
        assert_former(book, f"{address}/{KEY}{query}")
        assert make_book(endpoint_url=endpoint).parse(f"{address}/{KEY}{query}") == ForeignLink()

    @pytest.mark.parametrize("query", QUERIES)
    @pytest.mark.parametrize("address", AT_STORE)
    def test_at_the_store(self, address: str, query: str) -> None:
        url = f"{address}/{KEY}{query}"
        assert_former(make_book(former=(f"s3://{OLD}",), endpoint_url=f"{STORE}/"), url)
        assert make_book(former=(f"s3://{OLD}",)).parse(url) == ForeignLink()

    @pytest.mark.parametrize("style", ["presigned", "permalink", "object"])
    def test_whatever_the_style(self, style: str) -> None:
        book = make_book(former=(f"s3://{OLD}",), style=style, base_url=CDN, secrets=("s",))
        assert_former(book, f"{AWS[0]}/{KEY}")

    @pytest.mark.parametrize("prefix", ["call-recordings", "call-recordings/"])
    @pytest.mark.parametrize("address", AWS)
    def test_a_folder_of_it(self, address: str, prefix: str) -> None:
        book = make_book(former=(f"s3://{OLD}/{prefix}",))
        assert_former(book, f"{address}/{KEY}", f"{CA1}/{RE1}.mp3")
        for other in (f"x{KEY}", KEY.replace("/", "-old/", 1), f"{RE1}.mp3"):
            assert book.parse(f"{address}/{other}") == ForeignLink()

    def test_a_folder_whose_name_is_escaped_in_links(self) -> None:
        book = make_book(former=(f"s3://{OLD}/a b/ü",))
        assert_former(book, f"{AWS[0]}/a%20b/%C3%BC/{KEY}")

    def test_a_name_that_no_host_can_have(self) -> None:
        book = make_book(former=("s3://Old_Calls",))
        assert_former(book, f"https://s3.amazonaws.com/Old_Calls/{KEY}")
        assert_former(book, f"s3://Old_Calls/{KEY}")
        assert book.parse(f"s3://old_calls/{KEY}") == ForeignLink()
        assert_former(
            make_book(former=("s3://old_calls",)), f"https://old_calls.s3.amazonaws.com/{KEY}"
        )

    def test_in_china(self) -> None:
        url = f"https://{OLD}.s3.cn-north-1.amazonaws.com.cn"
        assert make_book(former=(f"s3://{OLD}",)).parse(f"{url}/{KEY}") == ForeignLink()
        assert_former(make_book(former=(f"s3://{OLD}",), s3_region="cn-north-1"), f"{url}/{KEY}")
        assert_former(make_book(former=(url,)), f"{url}/{KEY}")


class TestAddress:
    @pytest.mark.parametrize("place", [CDN, f"{CDN}/", "https://CDN.example.com:443/audio"])
    @pytest.mark.parametrize("query", [*QUERIES, "?Expires=4102444800&Signature=a&Key-Pair-Id=K"])
    def test_below_it(self, place: str, query: str) -> None:
        assert_former(make_book(former=(place,)), f"{CDN}/{KEY}{query}")

    def test_an_escaped_key(self) -> None:
        assert_former(make_book(former=(CDN,)), f"{CDN}/a%20b/{KEY}", f"a b/{KEY}")

    def test_a_permalink_whose_secret_is_forgotten(self) -> None:
        before = make_book(style="permalink", base_url=CDN, secrets=("old",))
        after = make_book(style="permalink", base_url="https://x.example", secrets=("new",))
        assert after.parse(before.permalinks.write(KEY)) == ForeignLink()
        after = make_book(style="permalink", base_url="https://x.example", former=(CDN,))
        assert_former(after, before.permalinks.write(KEY), f"r/{KEY}")

    def test_a_permalink_that_we_signed_tells_the_key(self) -> None:
        before = make_book(style="permalink", base_url=CDN, secrets=("s",))
        after = make_book(base_url="https://x.example", secrets=("s",), former=(CDN,))
        link = after.parse(before.permalinks.write(KEY))
        assert link == ObjectLink(RE1, KEY, "permalink", LONG_AGO)

    @pytest.mark.parametrize(
        "url",
        [
            f"http://cdn.example.com/audio/{KEY}",
            f"https://cdn.example.com:8443/audio/{KEY}",
            f"https://cdn.example.com.evil.example/audio/{KEY}",
            f"https://evil.cdn.example.com/audio/{KEY}",
            f"https://u@cdn.example.com/audio/{KEY}",
            f"https://cdn.example.com/audio2/{KEY}",
            f"https://cdn.example.com/{KEY}",
            f"https://cdn.example.com//audio/{KEY}",
        ],
    )
    def test_nothing_else(self, url: str) -> None:
        assert make_book(former=(CDN,)).parse(url) == ForeignLink()


@pytest.mark.parametrize(
    "url",
    [
        f"https://{OLD}.s3.amazonaws.com/hello.mp3",
        f"https://{OLD}.s3.amazonaws.com/{RE1}/{RE2}.mp3",
        f"https://{OLD}.s3.amazonaws.com/x{RE1}.mp3",
        f"https://{OLD}.s3.amazonaws.com/x.mp3?sid={RE1}",
        f"https://{OLD}.s3.amazonaws.com:8443/{KEY}",
        f"https://evil.{OLD}.s3.amazonaws.com/{KEY}",
        f"https://{OLD}.s3.amazonaws.com.evil.example/{KEY}",
        f"https://{OLD}.s3.evilamazonaws.com/{KEY}",
        f"https://s3.amazonaws.com/{OLD}x/{KEY}",
        f"https://s3.amazonaws.com/x/{OLD}/{KEY}",
        f"s3://{OLD}x/{KEY}",
        f"s3://{OLD}:99999/{KEY}",
        f"s3://x@{OLD}/{KEY}",
        f"https://{OLD}.s3.amazonaws.com",
    ],
)
def test_what_names_no_recording_or_another_place_is_foreign(url: str) -> None:
    assert make_book(former=(f"s3://{OLD}",)).parse(url) == ForeignLink()


class TestBesideOurs:
    """The deeper place counts, and ours where they are one."""

    def test_a_folder_of_our_bucket(self) -> None:
        book = make_book(former=(f"s3://{BUCKET}/old",))
        address = f"https://{BUCKET}.s3.amazonaws.com"
        assert_former(book, presigned(f"{address}/old/{KEY}"))
        assert_former(book, presigned(f"https://s3.amazonaws.com/{BUCKET}/old/{KEY}"))
        assert_former(book, f"s3://{BUCKET}/old/{KEY}")
        link = book.parse(presigned(f"{address}/{KEY}"))
        assert isinstance(link, ObjectLink)
        assert book.usable(link, NOW)

    def test_our_bucket_itself_cannot_have_been_left(self) -> None:
        book = make_book(former=(f"s3://{BUCKET}", book_url(BUCKET)))
        link = book.parse(presigned(f"{book_url(BUCKET)}/{KEY}"))
        assert isinstance(link, ObjectLink)
        assert book.usable(link, NOW)

    def test_a_bucket_of_our_name_at_aws_can(self) -> None:
        book = make_book(former=(f"s3://{BUCKET}",), endpoint_url=STORE)
        assert_former(book, presigned(f"{book_url(BUCKET)}/{KEY}"))
        link = book.parse(presigned(f"{STORE}/{BUCKET}/{KEY}"))
        assert isinstance(link, ObjectLink)
        assert book.usable(link, NOW)

    @pytest.mark.parametrize("style", ["object", "permalink"])
    def test_around_and_inside_of_base_url(self, style: str) -> None:
        places = ("https://cdn.example.com/", f"{CDN}/old")
        book = make_book(style=style, base_url=CDN, secrets=("s",), former=places)
        minted = book.permalinks.write(KEY) if style == "permalink" else book.objects.write(KEY)
        assert book.parse(minted) == ObjectLink(RE1, KEY, style)
        assert_former(book, f"{CDN}/old/{KEY}")
        assert_former(book, f"https://cdn.example.com/{KEY}")

    def test_twilio_is_twilio(self) -> None:
        book = make_book(former=("https://api.twilio.com",))
        link = book.parse(twilio_cell(RE1))
        assert link == make_book().parse(twilio_cell(RE1))
        assert ACCOUNT in repr(link)


def book_url(bucket: str) -> str:
    return f"https://{bucket}.s3.ap-southeast-2.amazonaws.com"
