"""What counts as proof when a store tells less than AWS does, or nonsense."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State
from tests.adapters.s3_fakes import (
    AUDIO,
    KEY,
    SHA256,
    SID,
    Reply,
    ScriptedS3,
    Seen,
    adapter,
    body,
    failure_in,
    head_of,
    provenance,
    refusal,
)

OTHER_SHA256 = base64.b64encode(bytes(32)).decode()
OUTAGE, BUSY = FailureKind.OUTAGE, FailureKind.BUSY
PERMANENT = FailureKind.PERMANENT


def test_a_read_back_that_breaks_off_is_an_outage() -> None:
    def script(request: Seen) -> Reply:
        reply = head_of()
        return reply if request.method == "HEAD" else Reply(200, AUDIO, reply.headers, cut=True)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        kind, _ = failure_in(lambda: s3.observe(KEY, SID, read_back=True))
    assert kind is OUTAGE
    assert [request.method for request in server.seen] == ["HEAD", "GET"]


@pytest.mark.parametrize("accepted", [False, True])
def test_an_object_that_turns_out_to_be_archived_is_unfit(*, accepted: bool) -> None:
    def script(request: Seen) -> Reply:
        return head_of() if request.method == "HEAD" else refusal(403, "InvalidObjectState")

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url, accept_archive_class=accepted) as s3,
    ):
        seen = s3.observe(KEY, SID, read_back=True)
    assert [request.method for request in server.seen] == ["HEAD", "GET"]
    assert seen.state is (S3State.VERIFIED if accepted else S3State.UNFIT)
    assert not seen.proven
    assert accepted or (seen.failure and seen.failure.code == "ArchiveClass")


def test_an_object_that_vanishes_before_it_is_read_back_is_not_judged() -> None:
    def script(request: Seen) -> Reply:
        return head_of() if request.method == "HEAD" else refusal(404, "NoSuchKey")

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=True)) == (BUSY, "NoSuchKey")


@pytest.mark.parametrize(
    ("date", "ours", "age"),
    [
        ("Sun, 22 Nov 2026 09:02:00 GMT", 1, timedelta(minutes=1)),
        ("Sun, 22 Nov 2026 09:02:00 GMT", 3, timedelta(minutes=2)),
        ("Mon, 23 Nov 2026 21:00:00 GMT", 4, timedelta(minutes=4)),
        ("Sun, 22 Nov 2026 08:00:00 GMT", 5, timedelta()),
        ("Sun, 22 Nov 2026 09:02:00 GMT", -5, timedelta()),
        ("yesterday", 5, None),
        ("", 5, None),
    ],
)
def test_the_age_is_by_the_clock_that_says_less(
    date: str, ours: int, age: timedelta | None
) -> None:
    with (
        ScriptedS3(lambda _: head_of()) as server,
        adapter(
            lambda: datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(minutes=ours),
            endpoint_url=server.endpoint_url,
        ) as s3,
    ):
        server.date = date
        assert s3.observe(KEY, SID, read_back=False).age == age


def test_an_object_without_a_time_has_no_age() -> None:
    bare = head_of(headers={"Last-Modified": ""})
    with ScriptedS3(lambda _: bare) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.observe(KEY, SID, read_back=False).age is None


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-sha256": f"{SHA256}-1"},
        {"x-amz-checksum-sha256": SHA256, "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-sha256": "garbage"},
    ],
)
def test_what_is_no_full_object_checksum_proves_nothing(headers: dict[str, str]) -> None:
    with (
        ScriptedS3(lambda _: head_of(headers=headers)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert s3.observe(KEY, SID, read_back=False).proven is False
        assert s3.observe(KEY, SID, read_back=True).proven is True


@pytest.mark.parametrize("told", [{}, {"x-amz-checksum-sha256": SHA256}])
def test_a_put_without_an_echo_is_looked_at_and_not_read_back(told: dict[str, str]) -> None:
    def script(request: Seen) -> Reply:
        return Reply() if request.method == "PUT" else head_of(headers=told)

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url, verifies_checksums=True) as s3,
    ):
        put = s3.put(KEY, body(), provenance())
    assert (put.state, put.proven) == (S3State.VERIFIED, bool(told))
    assert [request.method for request in server.seen] == ["PUT", "HEAD"]


@pytest.mark.parametrize("believed", [False, True])
def test_a_put_that_stored_something_else_is_a_conflict(*, believed: bool) -> None:
    def script(request: Seen) -> Reply:
        if request.method == "PUT":
            return Reply(headers={"x-amz-checksum-sha256": OTHER_SHA256})
        return head_of(AUDIO[::-1])

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url, verifies_checksums=believed) as s3,
    ):
        assert s3.put(KEY, body(), provenance()).state is S3State.CONFLICT


def test_a_put_without_an_echo_that_stored_something_else_is_found_when_read_back() -> None:
    def script(request: Seen) -> Reply:
        return Reply() if request.method == "PUT" else head_of(AUDIO[::-1])

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        put = s3.put(KEY, body(), provenance())
        assert (put.state, put.proven) == (S3State.VERIFIED, False)
        seen = s3.observe(KEY, SID, read_back=True)
    assert seen.state is S3State.CONFLICT
    assert seen.failure is not None
    assert seen.failure.code == "ChecksumMismatch"


def test_a_taken_key_that_turns_out_free_is_tried_again_later() -> None:
    def script(request: Seen) -> Reply:
        if request.method == "PUT":
            return refusal(412, "PreconditionFailed")
        return Reply(200 if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.put(KEY, body(), provenance())) == (BUSY, "Vanished")


def test_a_store_without_checksums_gets_an_md5_and_proves_nothing() -> None:
    stored: dict[str, bytes] = {}

    def script(request: Seen) -> Reply:
        for name in request.headers:
            if name.startswith("x-amz-checksum-"):
                message = f"Unsupported header '{name}' received for this API call."
                return refusal(400, "InvalidArgument", message)
        if request.method == "PUT":
            stored["md5"] = base64.b64decode(request.headers["content-md5"])
            stored["body"] = request.body
            assert request.headers["if-none-match"] == "*"
            return Reply()
        return head_of() if stored else Reply(200 if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.observe(KEY, SID, read_back=True).state is S3State.ABSENT
        put = s3.put(KEY, body(), provenance())
        assert (put.state, put.proven) == (S3State.VERIFIED, False)
        before = len(server.seen)
        assert s3.put(KEY, body(), provenance()) == put
        assert len(server.seen) - before == 1
        assert s3.observe(KEY, SID, read_back=True).proven
    assert stored["body"] == AUDIO
    assert stored["md5"] == hashlib.md5(AUDIO, usedforsecurity=False).digest()


def test_a_store_without_conditional_writes_is_never_written_to() -> None:
    def script(request: Seen) -> Reply:
        assert request.headers["if-none-match"] == "*"
        return refusal(501, "NotImplemented", "A header you provided is not implemented")

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
        pytest.raises(ServiceError) as caught,
    ):
        s3.put(KEY, body(), provenance())
    assert (caught.value.failure.kind, caught.value.failure.code) == (PERMANENT, "NotImplemented")
    assert "If-None-Match" in caught.value.failure.hint


@pytest.mark.parametrize(
    "headers", [{"Last-Modified": "once"}, {"Content-Length": ""}, {"x-amz-mp-parts-count": "x"}]
)
def test_an_answer_that_cannot_be_read_is_no_observation(headers: dict[str, str]) -> None:
    with (
        ScriptedS3(lambda _: head_of(headers=headers)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        expected = (OUTAGE, "UnreadableAnswer")
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=False)) == expected
