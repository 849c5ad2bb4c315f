"""Whose checksum counts, and what an object tells of itself besides."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from reccli.adapters.s3 import S3Options
from reccli.core.errors import FailureKind
from reccli.core.model import S3State
from tests.adapters.s3_fakes import (
    AUDIO,
    KEY,
    SHA256,
    SID,
    Reply,
    ScriptedS3,
    adapter,
    body,
    failure_in,
    head_of,
    provenance,
)

OTHER_SHA256 = base64.b64encode(bytes(32)).decode()
TOLD = {"x-amz-checksum-sha256": SHA256}


@pytest.mark.parametrize(
    ("endpoint_url", "believed"),
    [
        ("", True),
        ("https://s3.ap-southeast-2.amazonaws.com", True),
        ("https://S3.CN-NORTH-1.AMAZONAWS.COM.CN:443/", True),
        ("https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com.", True),
        ("https://amazonaws.com", True),
        ("https://notamazonaws.com", False),
        ("https://s3.amazonaws.com.evil.example", False),
        ("https://s3.amazonaws.com@evil.example/s3.amazonaws.com", False),
        ("https://minio.example/.amazonaws.com", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_only_aws_is_believed_unasked(endpoint_url: str, *, believed: bool) -> None:
    assert S3Options("rec", endpoint_url=endpoint_url).believed is believed
    assert S3Options("rec", endpoint_url=endpoint_url, verifies_checksums=True).believed


def test_a_store_that_repeats_our_checksum_has_to_show_the_bytes() -> None:
    with (
        ScriptedS3(lambda _: head_of(headers=TOLD)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        claimed = s3.observe(KEY, SID, read_back=False)
        assert (claimed.state, claimed.proven) == (S3State.VERIFIED, False)
        assert [request.method for request in server.seen] == ["HEAD"]
        assert s3.observe(KEY, SID, read_back=True).proven
    assert [request.method for request in server.seen] == ["HEAD", "HEAD", "GET"]


def test_bytes_that_deny_the_repeated_checksum_are_a_conflict() -> None:
    with (
        ScriptedS3(lambda _: head_of(AUDIO[::-1], TOLD)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        seen = s3.observe(KEY, SID, read_back=True)
    assert (seen.state, seen.proven) == (S3State.CONFLICT, False)
    assert seen.failure is not None
    assert seen.failure.code == "ChecksumMismatch"


@pytest.mark.parametrize("read_back", [False, True])
def test_a_checksum_that_differs_is_a_conflict_whoever_reports_it(*, read_back: bool) -> None:
    lie = head_of(headers={"x-amz-checksum-sha256": OTHER_SHA256})
    with ScriptedS3(lambda _: lie) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        seen = s3.observe(KEY, SID, read_back=read_back)
    assert seen.failure is not None
    assert (seen.state, seen.failure.code) == (S3State.CONFLICT, "ChecksumMismatch")


def test_a_checksum_that_comes_with_the_bytes_may_not_deny_them() -> None:
    lie = {"x-amz-checksum-sha256": OTHER_SHA256}
    with (
        ScriptedS3(lambda seen: head_of(headers=lie if seen.method == "GET" else None)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert s3.observe(KEY, SID, read_back=True).state is S3State.CONFLICT


@pytest.mark.parametrize("headers", [TOLD, {}])
def test_a_put_into_a_store_that_is_not_believed_is_one_request(headers: dict[str, str]) -> None:
    reply = Reply(headers={**headers, "ETag": '"one"'})
    with ScriptedS3(lambda _: reply) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        put = s3.put(KEY, body(), replace(provenance(), seconds=12.5, accepted=True))
    assert (put.state, put.proven, put.etag) == (S3State.VERIFIED, False, '"one"')
    assert (put.seconds, put.accepted) == (12.5, True)
    assert [request.method for request in server.seen] == ["PUT"]


def test_the_etag_is_that_of_the_answer_that_was_judged() -> None:
    def script(seen: Any) -> Reply:  # noqa: ANN401
        return head_of(headers={"ETag": f'"{seen.method}"'})

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.observe(KEY, SID, read_back=False).etag == '"HEAD"'
        assert s3.observe(KEY, SID, read_back=True).etag == '"GET"'
        assert s3.observe(KEY, "RE" + "0" * 32, read_back=True).etag == '"HEAD"'


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (462.3051, "462.31"),
        (0.0, "0.00"),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (-1.0, None),
    ],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_length_and_consent_are_written_down(
    seconds: float | None, written: str | None, *, accepted: bool
) -> None:
    about = replace(provenance(), seconds=seconds, accepted=accepted)
    with ScriptedS3(lambda _: Reply()) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        s3.put(KEY, body(), about)
    headers = server.seen[0].headers
    assert headers.get("x-amz-meta-seconds") == written
    assert headers.get("x-amz-meta-length-accepted") == ("true" if accepted else None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("462.31", 462.31),
        ("0", 0.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("1_0", None),
        ("9" * 400, None),
        ("long", None),
        ("", None),
    ],
)
def test_a_length_is_read_or_not_known(text: str, seconds: float | None) -> None:
    reply = head_of(headers={"x-amz-meta-seconds": text, "x-amz-meta-length-accepted": "TRUE"})
    with ScriptedS3(lambda _: reply) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        seen = s3.observe(KEY, SID, read_back=False)
    assert (seen.state, seen.seconds, seen.accepted) == (S3State.VERIFIED, seconds, False)


def test_consent_is_read_and_a_strangers_is_not() -> None:
    told = {"x-amz-meta-length-accepted": "true", "x-amz-meta-seconds": "3"}
    reply = head_of(headers=told)
    with ScriptedS3(lambda _: reply) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.observe(KEY, SID, read_back=False).accepted is True
        stranger = s3.observe(KEY, "RE" + "0" * 32, read_back=False)
    assert (stranger.state, stranger.seconds, stranger.accepted) == (S3State.CONFLICT, None, False)


def test_length_and_consent_count_towards_what_s3_takes() -> None:
    plain = provenance()
    with ScriptedS3(lambda _: Reply()) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        s3.put(KEY, body(), plain)
        taken = sum(
            len(name.removeprefix("x-amz-meta-")) + len(text)
            for name, text in server.seen[0].headers.items()
            if name.startswith("x-amz-meta-")
        )
        filler = "x" * (2048 - taken - len("encryption-iv"))
        about = replace(plain.recording, encryption={"encryption_iv": filler})
        assert s3.put(KEY, body(), replace(plain, recording=about)).state is S3State.VERIFIED
        full = replace(plain, recording=about, seconds=1.0)
        expected = (FailureKind.PERMANENT, "MetadataUnfit")
        assert failure_in(lambda: s3.put(KEY, body(), full)) == expected
