"""What each refusal and each silence is taken for: a scripted server, real boto3."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from botocore import exceptions as sdk

from reccli.adapters.s3.s3_errors import sdk_failure
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State
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

OUTAGE, BUSY = FailureKind.OUTAGE, FailureKind.BUSY
DENIED, PERMANENT = FailureKind.DENIED, FailureKind.PERMANENT


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
    (404, "NoSuchBucket", FailureKind.CONFIG),
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
        (404, (FailureKind.CONFIG, "NoSuchBucket")),
        (403, (DENIED, "AccessDenied")),
        (503, (OUTAGE, "ServiceUnavailable")),
    ],
)
def test_absent_needs_a_bucket_that_is_known_to_exist(
    status: int, expected: tuple[FailureKind, str]
) -> None:
    bucket, minutes = [status, 200], itertools.count()

    def script(request: Seen) -> Reply:
        return Reply(bucket.pop(0) if request.path == "/rec" else 404)

    def now() -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=next(minutes))

    with ScriptedS3(script) as server, adapter(now, endpoint_url=server.endpoint_url) as s3:
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
        (
            sdk.SSLError(endpoint_url="https://x", error=OSError("CERTIFICATE_VERIFY_FAILED")),
            DENIED,
        ),
        (
            sdk.SSLError(endpoint_url="https://x", error=OSError("UNEXPECTED_EOF_WHILE_READING")),
            OUTAGE,
        ),
        (sdk.ConnectTimeoutError(endpoint_url="https://x"), OUTAGE),
        (sdk.ConnectionClosedError(endpoint_url="https://x"), OUTAGE),
        (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), OUTAGE),
        (sdk.UnseekableStreamError(stream_object=body()), BUSY),
        (sdk.CredentialRetrievalError(provider="sso", error_msg="expired"), DENIED),
        (sdk.PartialCredentialsError(provider="env", cred_var="secret"), DENIED),
        (sdk.TokenRetrievalError(provider="sso", error_msg="expired"), DENIED),
        (sdk.NoRegionError(), PERMANENT),
    ],
)
def test_errors_of_the_sdk_have_a_kind(error: Exception, kind: FailureKind) -> None:
    failure = sdk_failure(error, "look at", "s3://rec/key")
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
