"""Whatever bucket the configuration takes: the links that are written into it are read as ours."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reccli.config.validators import BUCKET as GRAMMAR
from reccli.core.links import ObjectLink

from .samples import KEY, RE1, make_book, presigned

BUCKETS = st.from_regex(GRAMMAR, fullmatch=True).filter(str.isascii)
REGIONS = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True) | st.sampled_from(
    ["us-east-1", "ap-southeast-2", "cn-north-1", "auto", "dualstack"]
)
ENDPOINTS = st.sampled_from(
    [
        "",
        "https://store.example.com",
        "https://Store.Example.com:9443/s3",
        "http://127.0.0.1:8333",
        "http://[::1]:8333/a/b",
    ]
)
PREFIXES = st.text(string.ascii_letters + string.digits + "!_.*'()=-", max_size=12)


@given(bucket=BUCKETS, region=REGIONS, endpoint=ENDPOINTS, prefix=PREFIXES)
@example(bucket="Our_Recordings", region="us-east-1", endpoint="", prefix="x")
@example(bucket="our.recordings", region="us-east-1", endpoint="", prefix="x")
@example(bucket="-", region="us-east-1", endpoint="", prefix="x")
@example(bucket="s3", region="dualstack", endpoint="", prefix="x")
@example(bucket="b" * 255, region="cn-north-1", endpoint="", prefix="x")
@example(bucket="ends-", region="us-east-1", endpoint="", prefix="x")
def test_a_link_into_any_bucket_is_read_back(
    bucket: str, region: str, endpoint: str, prefix: str
) -> None:
    assume(prefix not in {".", ".."})
    key = f"{prefix}/{KEY}" if prefix else KEY
    book = make_book(bucket=bucket, s3_region=region, endpoint_url=endpoint, style="object")
    assert book.parse(book.objects.write(key)) == ObjectLink(RE1, key, "object")
    link = book.parse(presigned(book.objects.write(key)))
    assert isinstance(link, ObjectLink)
    assert (link.key, link.style) == (key, "presigned")
    assert book.parse(f"s3://{bucket}/{key}") == ObjectLink(RE1, key, "bare")


@pytest.mark.parametrize("bucket", ["Our_Recordings", "OUR-recordings", "our_recordings"])
def test_no_host_is_named_after_a_bucket_that_none_can_be_named_after(bucket: str) -> None:
    book = make_book(bucket=bucket, s3_region="us-east-1")
    assert book.objects.write("k") == f"https://s3.us-east-1.amazonaws.com/{bucket}/k"


def test_a_bucket_of_another_case_is_another_bucket() -> None:
    book = make_book(bucket="Recordings", s3_region="us-east-1")
    for other in ("recordings", "RECORDINGS"):
        link = book.parse(f"https://s3.us-east-1.amazonaws.com/{other}/{KEY}")
        assert not isinstance(link, ObjectLink)
    host = book.parse(f"https://recordings.s3.us-east-1.amazonaws.com/{KEY}")
    assert not isinstance(host, ObjectLink)
