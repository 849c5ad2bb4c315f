"""Translates what botocore raises into the vocabulary of `core.errors`.

The codes are those that S3 documents and botocore shows. A HEAD answer has no body, so botocore
gives its status as the code; it is named here as the same answer with a body would be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

SDK_ERRORS = (sdk.BotoCoreError, sdk.ClientError, ResponseParserError, OSError)
"""All that a call of the client raises for what goes wrong outside."""

_NAMES = {
    "301": "PermanentRedirect",
    "307": "TemporaryRedirect",
    "400": "BadRequest",
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "408": "RequestTimeout",
    "409": "OperationAborted",
    "412": "PreconditionFailed",
    "429": "TooManyRequests",
    "500": "InternalError",
    "501": "NotImplemented",
    "503": "ServiceUnavailable",
}
_BUSY = re.compile(
    r"SlowDown|Throttl.*|.*ThrottledException|RequestThrottled|RequestLimitExceeded|TooMany.*"
    r"|RequestRateLimitExceeded|BandwidthLimitExceeded|LimitExceededException"
    r"|RequestTimeout(Exception)?|PriorRequestNotComplete|OperationAborted"
    r"|ConditionalRequestConflict|PreconditionFailed|NoSuchKey"
    # Our bytes are bad, or were made bad on the way: fetching them again may cure it.
    r"|BadDigest|InvalidDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch"
    r"|IncompleteBody"
)
_DENIED = re.compile(
    r"ExpiredToken(Exception)?|InvalidToken|InvalidTokenId|TokenRefreshRequired|RequestExpired"
    r"|InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClientException|InvalidSecurity"
    r"|MissingSecurityHeader|AuthFailure|AccountProblem|NotSignedUp|AllAccessDisabled"
    # Only a HEAD answers this: an expired session token does, and no key of the bucket would work.
    r"|BadRequest"
)
_PERMANENT = re.compile(r"KMS\..*|InvalidObjectState|NotImplemented|NoSuchBucket")
_WRONG_REGION = re.compile(
    r"PermanentRedirect|TemporaryRedirect|Redirect|AuthorizationHeaderMalformed"
    r"|IllegalLocationConstraintException|BadRequest"
)
_NO_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.MetadataRetrievalError,
    sdk.NoAuthTokenError,
    sdk.TokenRetrievalError,
    sdk.SSOError,
    sdk.ProfileNotFound,
    sdk.RefreshWithMFAUnsupportedError,
)
_UNREACHABLE = (
    sdk.ConnectionError,
    sdk.HTTPClientError,
    sdk.IncompleteReadError,
    ResponseParserError,
    OSError,
)
_PATH_OF_URL = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']*")
_TORN_TLS = re.compile(r"EOF|BAD_RECORD|DECRYPTION_FAILED|RESET", re.IGNORECASE)

_CREDENTIALS = "set s3.access_key_id and s3.secret_access_key, or give boto3's own chain a login"
_HINTS = {
    "AccessDenied": "grant s3:GetObject, s3:PutObject and s3:ListBucket, and GenerateDataKey and "
    "Decrypt of the KMS key if there is one",
    "AuthorizationHeaderMalformed": "set s3.region to the bucket's region",
    "403": "S3 gives a HEAD no reason: check the credentials, this machine's clock, s3:GetObject, "
    "and s3:ListBucket (without it a missing key answers 403)",
    "BadRequest": "renew the session token if there is one; else check s3.region",
    "EndpointConnectionError": "check the network, s3.endpoint_url and s3.region",
    "ExpiredToken": "renew the session token",
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidObjectState": "the object is archived: restore it, and keep lifecycle rules off it",
    "InvalidStorageClass": "set s3.storage_class to one that this store has",
    "MetadataTooLarge": "S3 takes 2 KB of metadata",
    "NoSuchBucket": "create the bucket, or correct s3.bucket",
    "NotImplemented": "the store must take If-None-Match on PutObject (Backblaze B2 does not): "
    "reccli writes nothing without it",
    "RequestTimeTooSkewed": "set this machine's clock (NTP)",
    "SSLError": "check s3.endpoint_url, the certificate and this machine's clock",
    "SignatureDoesNotMatch": "correct s3.secret_access_key",
}


def failure_of(error: Exception, action: str, place: str) -> Failure:
    """Say what an error of the SDK means; `action` and `place` read "store s3://bucket/key"."""
    if isinstance(error, sdk.ClientError):
        return _answered(error, action, place)
    code = type(error).__name__
    if isinstance(error, sdk.SSLError):
        kind = FailureKind.OUTAGE if _TORN_TLS.search(str(error)) else FailureKind.DENIED
    elif isinstance(error, _UNREACHABLE):
        kind = FailureKind.OUTAGE
    elif isinstance(error, _NO_CREDENTIALS):
        kind = FailureKind.DENIED
    elif isinstance(error, sdk.UnseekableStreamError | sdk.FlexibleChecksumError):
        kind = FailureKind.BUSY
    else:
        kind = FailureKind.PERMANENT
    hint = _CREDENTIALS if isinstance(error, _NO_CREDENTIALS) else _hint(code)
    text = _PATH_OF_URL.sub(r"\1", _plain(str(error)))  # the SDK repeats the key: `place` has it
    return failure(kind, code, f"cannot {action} {place}: {text}", hint)


def failure(kind: FailureKind, code: str, message: str, hint: str = "") -> Failure:
    """Make a failure of S3 that is not an error of the SDK."""
    return Failure(Service.S3, kind, code, message, hint or _hint(code))


def unreadable(error: ValueError, action: str, place: str) -> Failure:
    """Say that something answered, but not as S3 does: a proxy, a login page, a broken store."""
    message = f"cannot {action} {place}: unreadable answer: {_plain(str(error))}"
    return failure(FailureKind.OUTAGE, "UnreadableAnswer", message)


def missing_bucket(bucket: str) -> ServiceError:
    """Say that there is no such bucket: a missing key in it proves nothing."""
    message = f"there is no bucket {bucket}"
    return ServiceError(failure(FailureKind.PERMANENT, "NoSuchBucket", message))


def status_of(error: sdk.ClientError) -> int:
    """Tell the HTTP status of an answer; 0 where there was none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code_of(error: sdk.ClientError) -> str:
    """Tell the code of an answer by its name, for a HEAD too."""
    code = str(error.response.get("Error", {}).get("Code", "")) or str(status_of(error))
    return _NAMES.get(code, code)


def refuses_checksums(error: sdk.ClientError) -> bool:
    """Whether a PUT failed because the store knows no `x-amz-checksum-…` headers."""
    message = _said(error).lower()
    return code_of(error) == "NotImplemented" or (
        status_of(error) == 400 and "checksum" in message and "header" in message  # noqa: PLR2004
    )


def _said(error: sdk.ClientError) -> str:
    """Tell the store's own words; an empty element is None to botocore."""
    return error.response.get("Error", {}).get("Message") or ""


def _answered(error: sdk.ClientError, action: str, place: str) -> Failure:
    code, status = code_of(error), status_of(error)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", "")
    said = _plain(_said(error))
    message = f"cannot {action} {place}: {code} (HTTP {status}{', ' if said else ''}{said})"
    if region and _WRONG_REGION.fullmatch(code):
        return failure(FailureKind.PERMANENT, "WrongRegion", message, f'set s3.region = "{region}"')
    hint = _hint("403" if error.response.get("Error", {}).get("Code") == "403" else code)
    return Failure(Service.S3, _kind(code, status), code, message, hint, _delay(headers))


def _kind(code: str, status: int) -> FailureKind:
    if _PERMANENT.fullmatch(code):
        return FailureKind.PERMANENT
    if _BUSY.fullmatch(code) or status == 429:  # noqa: PLR2004
        return FailureKind.BUSY
    if status >= 500:  # noqa: PLR2004
        return FailureKind.OUTAGE
    if _DENIED.fullmatch(code) or status in {401, 403}:
        return FailureKind.DENIED
    return FailureKind.PERMANENT


def _hint(code: str) -> str:
    if code.startswith("KMS."):
        return "enable the key that s3.kms_key_id names, or name another"
    return _HINTS.get(code, "")


def _delay(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in its form of seconds, the only one that stores are known to send."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _plain(text: str) -> str:
    """Make a message one short line, with no query string and no access key in it."""
    text = re.sub(r"\?\S*", "", " ".join(text.split()))
    return re.sub(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}", "(key id)", text)[:200].rstrip(".")
