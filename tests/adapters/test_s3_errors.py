"""What goes out over the wire, and what each answer is taken for: a scripted server, real boto3."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore import exceptions as sdk

from reccli.adapters.s3 import S3Options
from reccli.adapters.s3.errors import failure_of
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State

from tests.adapters.s3_fakes import (
    AUDIO,
    ENCRYPTION,
    SID,
    Reply,
    ScriptedS3,
    Seen,
    adapter,
    body,
    provenance,
    recording,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = f"call-recordings/CA1/{SID}.mp3"
SHA256 = base64.b64encode(hashlib.sha256(AUDIO).digest()).decode()
OUTAGE, BUSY = FailureKind.OUTAGE, FailureKind.BUSY
DENIED, PERMANENT = FailureKind.DENIED, FailureKind.PERMANENT
LAST_MODIFIED = {"Last-Modified": "Sun, 22 Nov 2026 09:00:00 GMT"}


def head_of(data: bytes = AUDIO, **headers: str) -> Reply:
    """Answer as a store that knows the recording and reports no checksum."""
    about = {
        "x-amz-meta-Recording-Sid": SID,
        "x-amz-meta-Sha256": hashlib.sha256(AUDIO).hexdigest(),
        "x-amz-meta-Size": str(len(AUDIO)),
    }
    return Reply(200, data, {**LAST_MODIFIED, **about, **headers})


def failure_in(call: Callable[[], object]) -> tuple[FailureKind, str]:
    with pytest.raises(ServiceError) as caught:
        call()
    return caught.value.failure.kind, caught.value.failure.code


def test_one_put_carries_the_proof_and_the_condition() -> None:
    def script(_: Seen) -> Reply:
        return Reply(200, headers={"x-amz-checksum-sha256": SHA256})

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.put(KEY, body(), provenance()).proven
    (put,) = server.seen
    assert (put.method, put.path) == ("PUT", f"/rec/{KEY}")
    assert put.body == AUDIO
    assert put.headers["if-none-match"] == "*"
    assert put.headers["x-amz-checksum-sha256"] == SHA256
    assert put.headers["content-length"] == str(len(AUDIO))
    assert put.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert put.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    signed = re.findall(r"SignedHeaders=([^,]+)", put.headers["authorization"])[0].split(";")
    assert {"x-amz-checksum-sha256", "if-none-match", "x-amz-meta-sha256"} <= set(signed)
    assert not put.headers.keys() & {
        "content-encoding",
        "transfer-encoding",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-checksum-crc32",
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
    }


def test_only_configured_options_are_sent() -> None:
    options = S3Options("rec", storage_class="STANDARD", kms_key_id="k", secret_access_key="hidden")
    assert "hidden" not in repr(options)

    def script(_: Seen) -> Reply:
        return Reply(200, headers={"x-amz-checksum-sha256": SHA256})

    with (
        ScriptedS3(script) as server,
        adapter(
            endpoint_url=server.endpoint_url,
            storage_class="STANDARD",
            server_side_encryption="aws:kms",
            kms_key_id="alias/recordings",
        ) as s3,
    ):
        s3.put(KEY, body(), provenance())
    headers = server.seen[0].headers
    assert headers["x-amz-storage-class"] == "STANDARD"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/recordings"


PUT_ANSWERS = [
    (503, "SlowDown", BUSY),
    (503, "ServiceUnavailable", OUTAGE),
    (500, "InternalError", OUTAGE),
    (400, "RequestTimeout", BUSY),
    (409, "OperationAborted", BUSY),
    (409, "ConditionalRequestConflict", BUSY),
    (429, "TooManyRequests", BUSY),
    (400, "ThrottlingException", BUSY),
    (400, "RequestRateLimitExceeded", BUSY),
    (400, "BadDigest", BUSY),
    (400, "InvalidDigest", BUSY),
    (400, "XAmzContentSHA256Mismatch", BUSY),
    (400, "IncompleteBody", BUSY),
    (403, "AccessDenied", DENIED),
    (403, "InvalidAccessKeyId", DENIED),
    (403, "SignatureDoesNotMatch", DENIED),
    (403, "RequestTimeTooSkewed", DENIED),
    (403, "AccountProblem", DENIED),
    (400, "ExpiredToken", DENIED),
    (400, "InvalidToken", DENIED),
    (401, "Unauthorized", DENIED),
    (404, "NoSuchBucket", PERMANENT),
    (301, "PermanentRedirect", PERMANENT),
    (400, "AuthorizationHeaderMalformed", PERMANENT),
    (400, "IllegalLocationConstraintException", PERMANENT),
    (400, "KMS.DisabledException", PERMANENT),
    (400, "InvalidStorageClass", PERMANENT),
    (400, "KeyTooLongError", PERMANENT),
    (400, "MetadataTooLarge", PERMANENT),
    (400, "EntityTooLarge", PERMANENT),
    (405, "MethodNotAllowed", PERMANENT),
    (501, "NotImplemented", PERMANENT),
]


@pytest.mark.parametrize(("status", "code", "kind"), PUT_ANSWERS)
def test_a_refused_put_is_one_request_and_a_clear_failure(
    status: int, code: str, kind: FailureKind
) -> None:
    said = "why: see https://x.test/help?X-Amz-Signature=abc for AKIAIOSFODNN7EXAMPLE\nand more"

    def script(_: Seen) -> Reply:
        return refusal(status, code, said, **{"Retry-After": "7"})

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
        pytest.raises(ServiceError) as caught,
    ):
        s3.put(KEY, body(), provenance())
    failure = caught.value.failure
    assert (failure.kind, failure.code, failure.retry_after) == (kind, code, 7)
    assert f"s3://rec/{KEY}" in failure.message
    assert "why: see https://x.test/help" in failure.message
    assert not re.search(r"Signature=|AKIA|\n", failure.message)
    assert len(server.seen) == (2 if code == "NotImplemented" else 1)


HEAD_ANSWERS = [
    (500, OUTAGE, "InternalError"),
    (502, OUTAGE, "502"),
    (503, OUTAGE, "ServiceUnavailable"),
    (504, OUTAGE, "504"),
    (429, BUSY, "TooManyRequests"),
    (403, DENIED, "AccessDenied"),
    (400, DENIED, "BadRequest"),
    (301, PERMANENT, "PermanentRedirect"),
    (405, PERMANENT, "405"),
]


@pytest.mark.parametrize(("status", "kind", "code"), HEAD_ANSWERS)
def test_a_head_without_a_body_never_means_absent(
    status: int, kind: FailureKind, code: str
) -> None:
    with (
        ScriptedS3(lambda _: Reply(status)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=True)) == (kind, code)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, (PERMANENT, "NoSuchBucket")),
        (403, (DENIED, "AccessDenied")),
        (503, (OUTAGE, "ServiceUnavailable")),
    ],
)
def test_absent_needs_a_bucket_that_is_known_to_exist(
    status: int, expected: tuple[FailureKind, str]
) -> None:
    bucket = [status, 200]

    def script(request: Seen) -> Reply:
        return Reply(bucket.pop(0) if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=False)) == expected
        assert s3.observe(KEY, SID, read_back=False).state is S3State.ABSENT
        assert s3.observe(KEY, SID, read_back=False).state is S3State.ABSENT
    assert [request.path == "/rec" for request in server.seen].count(True) == 2


def test_a_bucket_elsewhere_is_named_and_not_followed() -> None:
    def script(_: Seen) -> Reply:
        return Reply(301, headers={"x-amz-bucket-region": "eu-west-1"})

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
        pytest.raises(ServiceError) as caught,
    ):
        s3.observe(KEY, SID, read_back=False)
    assert (caught.value.failure.kind, caught.value.failure.code) == (PERMANENT, "WrongRegion")
    assert "eu-west-1" in caught.value.failure.hint
    assert len(server.seen) == 1


def test_a_server_that_does_not_answer_in_time_is_an_outage() -> None:
    with (
        ScriptedS3(lambda _: Reply(delay=0.6)) as server,
        adapter(endpoint_url=server.endpoint_url, read_timeout=0.2) as s3,
    ):
        assert failure_in(lambda: s3.put(KEY, body(), provenance())) == (OUTAGE, "ReadTimeoutError")
    assert len(server.seen) == 1


def test_tls_that_is_none_is_denied() -> None:
    with ScriptedS3(lambda _: Reply()) as server:
        https = server.endpoint_url.replace("http:", "https:")
        with adapter(endpoint_url=https) as s3:
            kind, code = failure_in(lambda: s3.observe(KEY, SID, read_back=False))
    assert (kind, code) == (DENIED, "SSLError")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sdk.SSLError(endpoint_url="https://x", error="CERTIFICATE_VERIFY_FAILED"), DENIED),
        (sdk.SSLError(endpoint_url="https://x", error="UNEXPECTED_EOF_WHILE_READING"), OUTAGE),
        (sdk.ConnectTimeoutError(endpoint_url="https://x"), OUTAGE),
        (sdk.ConnectionClosedError(endpoint_url="https://x"), OUTAGE),
        (sdk.ProxyConnectionError(proxy_url="https://x", error="refused"), OUTAGE),
        (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), OUTAGE),
        (sdk.UnseekableStreamError(stream_object="x"), BUSY),
        (sdk.CredentialRetrievalError(provider="sso", error_msg="expired"), DENIED),
        (sdk.PartialCredentialsError(provider="env", cred_var="secret"), DENIED),
        (sdk.TokenRetrievalError(provider="sso", error_msg="expired"), DENIED),
        (sdk.NoRegionError(), PERMANENT),
    ],
)
def test_errors_of_the_sdk_have_a_kind(error: Exception, kind: FailureKind) -> None:
    failure = failure_of(error, "look at", "s3://rec/key")
    assert (failure.kind, failure.code) == (kind, type(error).__name__)
    assert failure.message.startswith("cannot look at s3://rec/key: ")


def test_no_credentials_are_denied() -> None:
    with (
        ScriptedS3(lambda _: Reply()) as server,
        adapter(endpoint_url=server.endpoint_url, access_key_id="", secret_access_key="") as s3,
    ):
        expected = (DENIED, "NoCredentialsError")
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=False)) == expected
        assert failure_in(lambda: s3.presign(KEY)) == expected
    assert server.seen == []


def test_a_client_that_cannot_be_made_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceError) as caught, adapter(endpoint_url="not a URL"):
        pass
    assert caught.value.failure.kind is PERMANENT
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ServiceError) as caught, adapter(access_key_id="", secret_access_key=""):
        pass
    assert (caught.value.failure.kind, caught.value.failure.code) == (DENIED, "ProfileNotFound")


def test_parameters_that_boto3_refuses_are_permanent() -> None:
    with adapter(bucket="no such bucket") as s3:
        expected = (PERMANENT, "ParamValidationError")
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=False)) == expected


def test_a_read_back_that_breaks_off_is_an_outage() -> None:
    def script(request: Seen) -> Reply:
        reply = head_of()
        return reply if request.method == "HEAD" else Reply(200, AUDIO, reply.headers, cut=True)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        kind, _ = failure_in(lambda: s3.observe(KEY, SID, read_back=True))
    assert kind is OUTAGE
    assert [request.method for request in server.seen] == ["HEAD", "GET"]


def test_an_archived_object_is_a_conflict_with_its_reason() -> None:
    def script(request: Seen) -> Reply:
        return head_of() if request.method == "HEAD" else refusal(403, "InvalidObjectState")

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        seen = s3.observe(KEY, SID, read_back=True)
    assert seen.state is S3State.CONFLICT
    assert seen.failure is not None
    assert seen.failure.code == "Archived"


def test_an_object_that_vanishes_before_it_is_read_back_is_not_judged() -> None:
    def script(request: Seen) -> Reply:
        return head_of() if request.method == "HEAD" else refusal(404, "NoSuchKey")

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.observe(KEY, SID, read_back=True)) == (BUSY, "NoSuchKey")


@pytest.mark.parametrize("date", ["Sun, 22 Nov 2026 08:00:00 GMT", "yesterday", ""])
def test_an_age_that_cannot_be_told_is_none_and_never_negative(date: str) -> None:
    with (
        ScriptedS3(lambda _: head_of()) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        server.date = date
        age = s3.observe(KEY, SID, read_back=False).age
    assert age == (timedelta() if date.startswith("Sun") else None)


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
        ScriptedS3(lambda _: head_of(**headers)) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        assert s3.observe(KEY, SID, read_back=False).proven is False
        assert s3.observe(KEY, SID, read_back=True).proven is True


def test_a_put_without_an_echo_is_read_back() -> None:
    def script(request: Seen) -> Reply:
        return Reply() if request.method == "PUT" else head_of()

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.put(KEY, body(), provenance()).proven
    assert [request.method for request in server.seen] == ["PUT", "HEAD", "GET"]


def test_a_put_that_stored_something_else_is_a_conflict() -> None:
    def script(request: Seen) -> Reply:
        return Reply() if request.method == "PUT" else head_of(AUDIO[::-1])

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert s3.put(KEY, body(), provenance()).state is S3State.CONFLICT


def test_a_taken_key_that_turns_out_free_is_tried_again_later() -> None:
    def script(request: Seen) -> Reply:
        if request.method == "PUT":
            return refusal(412, "PreconditionFailed")
        return Reply(200 if request.path == "/rec" else 404)

    with ScriptedS3(script) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        assert failure_in(lambda: s3.put(KEY, body(), provenance())) == (BUSY, "Vanished")


def test_a_store_without_checksums_gets_an_md5_and_is_read_back() -> None:
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
        assert s3.put(KEY, body(), provenance()).proven
        before = len(server.seen)
        assert s3.put(KEY, body(), provenance()).proven
        assert len(server.seen) - before == 3
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
    "encryption",
    [
        {**ENCRYPTION, "encryption_cek": "x" * 2048},
        {**ENCRYPTION, "encryption_iv": "ü"},
        {**ENCRYPTION, "encryption_iv": "x\nx-evil: 1"},
        {**ENCRYPTION, "encryption_iv": " padded"},
    ],
)
def test_metadata_that_does_not_fit_is_refused_and_not_cut(encryption: dict[str, str]) -> None:
    about = recording(encryption=encryption)
    with ScriptedS3(lambda _: Reply()) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        expected = (PERMANENT, "MetadataUnfit")
        assert failure_in(lambda: s3.put(KEY, body(), provenance(about=about))) == expected
    assert server.seen == []


@pytest.mark.parametrize(
    ("region", "bucket", "host"),
    [
        ("ap-southeast-2", "rec", "rec.s3.ap-southeast-2.amazonaws.com"),
        ("us-east-1", "rec", "rec.s3.us-east-1.amazonaws.com"),
        ("ap-southeast-2", "rec.with.dots", "s3.ap-southeast-2.amazonaws.com"),
    ],
)
def test_links_are_sigv4_for_the_regional_host(region: str, bucket: str, host: str) -> None:
    with adapter(region=region, bucket=bucket) as s3:
        url = urlsplit(s3.presign(KEY))
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc) == ("https", host)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["604800"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert len(query) == 6


def test_an_endpoint_from_the_environment_gets_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with adapter() as s3:
        assert urlsplit(s3.presign(KEY)).hostname == "rec.s3.ap-southeast-2.amazonaws.com"


@pytest.mark.parametrize("ttl", [timedelta(), timedelta(days=7, seconds=1)])
def test_a_link_that_no_store_would_honour_is_not_promised(ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="7 days"):
        S3Options("rec", link_ttl=ttl)
