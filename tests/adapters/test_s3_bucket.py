"""Whether there is a bucket, asked once; and which keys are in it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State
from reccli.flow.ports import Key
from tests.adapters.s3_fakes import (
    KEY,
    SID,
    Reply,
    ScriptedS3,
    Seen,
    adapter,
    body,
    failure_in,
    provenance,
    refusal,
)
from tests.adapters.seaweed_store import plant

if TYPE_CHECKING:
    from reccli.adapters.s3 import S3Adapter
    from tests.adapters.seaweed_store import Store

ABSENT = (FailureKind.CONFIG, "NoSuchBucket")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def asked(server: ScriptedS3) -> int:
    """Count the questions for the bucket itself."""
    return [request.path for request in server.seen].count("/rec")


def test_a_bucket_that_is_there_is_asked_for_once() -> None:
    with ScriptedS3(lambda _: Reply()) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        for _ in range(3):
            s3.require_bucket()
    assert [(request.method, request.path) for request in server.seen] == [("HEAD", "/rec")]


def test_an_absent_bucket_is_asked_for_again_after_a_minute() -> None:
    clock = [NOW]
    with (
        ScriptedS3(lambda _: Reply(404)) as server,
        adapter(lambda: clock[0], endpoint_url=server.endpoint_url) as s3,
    ):
        for seconds, count in [(0, 1), (59, 1), (60, 2), (61, 2), (-3600, 3)]:
            clock[0] = NOW + timedelta(seconds=seconds)
            with pytest.raises(ServiceError) as caught:
                s3.require_bucket()
            failure = caught.value.failure
            assert (failure.kind, failure.code) == ABSENT
            assert failure.message == "there is no bucket rec"
            assert failure.hint == "create the bucket, or correct s3.bucket"
            assert asked(server) == count
        server.script = lambda _: Reply()
        clock[0] = NOW + timedelta(hours=1)
        s3.require_bucket()


def test_who_may_not_ask_for_the_bucket_believes_that_it_is_there() -> None:
    def script(request: Seen) -> Reply:
        return Reply(403 if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        s3.require_bucket()
        s3.require_bucket()
        assert asked(server) == 1
        denied = (FailureKind.DENIED, "AccessDenied")
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=False)) == denied


@pytest.mark.parametrize(("status", "kind"), [(503, FailureKind.OUTAGE), (400, FailureKind.DENIED)])
def test_a_failure_says_nothing_of_the_bucket_and_is_not_remembered(
    status: int, kind: FailureKind
) -> None:
    answers = [status, status, 200]
    with (
        ScriptedS3(lambda _: Reply(answers.pop(0))) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert failure_in(s3.require_bucket)[0] is kind
        assert failure_in(s3.require_bucket)[0] is kind
        s3.require_bucket()
    assert answers == []


@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_thirty_two_threads_send_one_question(status: int) -> None:
    start = threading.Barrier(32)

    def ask() -> str:
        start.wait()
        try:
            s3.require_bucket()
        except ServiceError as error:
            return error.failure.code
        return ""

    with (
        ScriptedS3(lambda _: Reply(status, delay=0.5)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
        ThreadPoolExecutor(32) as pool,
    ):
        answers = {future.result() for future in [pool.submit(ask) for _ in range(32)]}
    assert answers == {{404: "NoSuchBucket", 503: "ServiceUnavailable"}.get(status, "")}
    assert len(server.seen) == 1


def test_a_bucket_that_was_required_need_not_be_asked_for_again() -> None:
    def script(request: Seen) -> Reply:
        return Reply(200 if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        s3.require_bucket()
        assert s3.observe(KEY, SID, read_back=False).state is S3State.ABSENT
    assert asked(server) == 1


def test_a_missing_bucket_is_a_mistake_of_the_configuration_for_every_request() -> None:
    def script(request: Seen) -> Reply:
        return refusal(404, "NoSuchBucket")

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.put(KEY, body(), provenance())) == ABSENT
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=True)) == ABSENT
        assert failure_in(lambda: s3.keys("", None)) == ABSENT


def test_every_key_is_listed_as_it_is(seaweed: Store, s3: S3Adapter, key: str) -> None:
    prefix = key.removesuffix(f"{SID}.mp3")
    names = {"a b+c&d=e", "ü/€ 通話", "50%20off?", "it's (1)!#~", "<x>", "tab\there", f"{SID}.mp3"}
    for name in names:
        plant(seaweed, prefix + name, b"", {})
    plant(seaweed, prefix.rstrip("/") + "-not", b"", {})
    page = s3.keys(prefix, None)
    assert {key.name for key in page.items} == {prefix + name for name in names}
    assert page.cursor is None
    assert s3.keys(prefix + "nothing", None).items == []


def test_a_long_listing_comes_in_pages(seaweed: Store, s3: S3Adapter, key: str) -> None:
    names = [f"{key}/{number:04}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: plant(seaweed, name, b"", {}), names))
    first = s3.keys(key, None)
    assert (len(first.items), first.cursor is None) == (1000, False)
    second = s3.keys(key, first.cursor)
    listed = [key.name for key in (*first.items, *second.items)]
    assert (listed, second.cursor) == (names, None)
    assert all(
        key.stored and abs(datetime.now(UTC) - key.stored) < timedelta(hours=1)
        for key in first.items
    )


def test_the_cursor_is_the_token_that_the_store_gave() -> None:
    listing = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
        b"<NextContinuationToken>a+/=</NextContinuationToken>"
        b"<Contents><Key>a%2Bb+c%0A</Key></Contents></ListBucketResult>"
    )
    with (
        ScriptedS3(lambda _: Reply(200, listing)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        page = s3.keys("recordings/", None)
        s3.keys("recordings/", "older")
    assert (page.items, page.cursor) == ([Key("a+b c\n")], "a+/=")
    first, second = (parse_qs(urlsplit(request.path).query) for request in server.seen)
    assert first == {
        "list-type": ["2"],
        "max-keys": ["1000"],
        "prefix": ["recordings/"],
        "encoding-type": ["url"],
    }
    assert second == {**first, "continuation-token": ["older"]}


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        (
            b"<ListBucketResult><IsTruncated>true</IsTruncated>"
            b"<NextContinuationToken>same</NextContinuationToken></ListBucketResult>"
        ),
        b"<ListBucketResult><IsTruncated>false</IsTrunc",
        (
            b"<ListBucketResult><IsTruncated>false</IsTruncated>"
            b"<Contents><Size>1</Size></Contents></ListBucketResult>"
        ),
    ],
)
def test_what_is_no_whole_listing_is_no_empty_one(listing: bytes) -> None:
    with (
        ScriptedS3(lambda _: Reply(200, listing)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert failure_in(lambda: s3.keys("", "same"))[0] is FailureKind.OUTAGE


def test_a_refused_listing_names_the_grant() -> None:
    with (
        ScriptedS3(lambda _: refusal(403, "AccessDenied")) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
        pytest.raises(ServiceError) as caught,
    ):
        s3.keys("recordings/", None)
    assert caught.value.failure.kind is FailureKind.DENIED
    assert caught.value.failure.hint == "grant s3:ListBucket on the bucket"
    assert "s3://rec/recordings/" in caught.value.failure.message
