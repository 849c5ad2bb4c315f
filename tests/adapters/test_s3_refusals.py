"""What a refused PUT says of the settings: which one to change, and whether it is one at all."""

from __future__ import annotations

from typing import Any

import pytest

from reccli.core.errors import Failure, FailureKind, ServiceError

from .s3_fakes import KEY, Reply, ScriptedS3, adapter, body, provenance, refusal

CONFIG, PERMANENT, OUTAGE = FailureKind.CONFIG, FailureKind.PERMANENT, FailureKind.OUTAGE
BOTH = {"server_side_encryption": "AES256", "storage_class": "STANDARD_IA"}
SSE, CLASS = 's3.server_side_encryption = "" (it is "AES256")', 's3.storage_class = "" (it is "ST'
HEADER = "A header you provided implies functionality that is not implemented"


def refused(answer: Reply, **settings: Any) -> tuple[Failure, int]:  # noqa: ANN401
    """Put once; tell the failure, and how many requests that took."""
    with (
        ScriptedS3(lambda _: answer) as server,
        adapter(endpoint_url=server.endpoint_url, **settings) as s3,
        pytest.raises(ServiceError) as caught,
    ):
        s3.put(KEY, body(), provenance())
    return caught.value.failure, len(server.seen)


@pytest.mark.parametrize(
    ("status", "code", "said", "named"),
    [
        (501, "NotImplemented", "Server side encryption specified but KMS is not configured", SSE),
        (501, "NotImplemented", "Header 'x-amz-storage-class' with value 'X' not there", CLASS),
        (400, "InvalidStorageClass", "The storage class you specified is not valid", CLASS),
        (400, "InvalidEncryptionAlgorithmError", "Supported value: AES256", SSE),
        (400, "InvalidArgument", "Unsupported header 'x-amz-storage-class'", CLASS),
        (400, "InvalidRequest", "SSE is not supported here", SSE),
    ],
)
def test_the_setting_that_an_answer_names_is_the_one_to_change(
    status: int, code: str, said: str, named: str
) -> None:
    failure, requests = refused(refusal(status, code, said), **BOTH)
    assert (failure.kind, failure.code, requests) == (CONFIG, code, 1)
    assert named in failure.hint
    assert ({SSE, CLASS} - {named}).pop() not in failure.hint
    assert "If-None-Match" not in failure.hint


def test_where_an_answer_names_none_all_that_was_sent_is_named() -> None:
    failure, requests = refused(refusal(501, "NotImplemented", HEADER), **BOTH)
    assert (failure.kind, requests) == (CONFIG, 2)  # it may have been the checksum
    assert all(part in failure.hint for part in (SSE, CLASS, "If-None-Match"))


@pytest.mark.parametrize(
    ("status", "code", "said", "settings", "kind"),
    [
        (501, "NotImplemented", HEADER, {}, PERMANENT),
        (501, "NotImplemented", "If-None-Match is not implemented", BOTH, PERMANENT),
        (400, "InvalidArgument", "Invalid Argument", BOTH, PERMANENT),
        (400, "InvalidStorageClass", "no such class", {}, PERMANENT),
        (500, "InternalError", "try again", {}, OUTAGE),
        (503, "ServiceUnavailable", "storage class", BOTH, OUTAGE),
    ],
)
def test_what_no_setting_is_to_blame_for_blames_none(
    status: int, code: str, said: str, settings: dict[str, str], kind: FailureKind
) -> None:
    failure, _ = refused(refusal(status, code, said), **settings)
    assert failure.kind is kind
    assert '= ""' not in failure.hint
    assert "writes alone" not in failure.hint


def test_an_internal_error_of_a_put_names_what_it_asked_for() -> None:
    failure, _ = refused(refusal(500, "InternalError", "try again"), storage_class="STANDARD_IA")
    assert failure.kind is OUTAGE
    assert CLASS in failure.hint
    assert "server_side" not in failure.hint


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (BOTH, 'other than s3.server_side_encryption = "AES256", s3.storage_class = "STANDARD_IA"'),
        ({}, "other than no encryption and no class, such as s3.server_side_encryption"),
        ({"server_side_encryption": "aws:kms"}, 'other than s3.server_side_encryption = "aws:kms"'),
    ],
)
def test_a_denied_put_says_what_was_sent(settings: dict[str, str], sent: str) -> None:
    failure, _ = refused(refusal(403, "AccessDenied", "with an explicit deny"), **settings)
    assert failure.kind is FailureKind.DENIED
    assert sent in failure.hint
    assert ("such as" in failure.hint) is ("kms" not in str(settings))


def test_a_grant_of_kms_that_is_missing_is_named_alone() -> None:
    said = "User x is not authorized to perform: kms:GenerateDataKey on resource y"
    failure, _ = refused(refusal(403, "AccessDenied", said), **BOTH)
    assert failure.hint.startswith("grant kms:GenerateDataKey on the KMS key")
    assert "other than" not in failure.hint


def test_a_header_that_is_named_beside_the_words_counts() -> None:
    named = "</Message><Header>x-amz-server-side-encryption</Header><Message>"
    failure, requests = refused(refusal(501, "NotImplemented", f"{HEADER}{named}"), **BOTH)
    assert (failure.kind, requests) == (CONFIG, 1)
    assert SSE in failure.hint
    assert CLASS not in failure.hint
