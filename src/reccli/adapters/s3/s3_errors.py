"""Translates what botocore raises into the vocabulary of `core.errors`.

The codes are those that S3 documents and botocore shows. A HEAD answer has no body, so botocore
gives its status as the code; it is named here as the same answer with a body would be. The grants
in the hints are those that the S3 API reference names for each operation.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from reccli import network
from reccli.core.errors import Failure, FailureKind, Service, ServiceError, quotable

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_PERMANENT = re.compile(r"KMS\..*|InvalidObjectState|NotImplemented")
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
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}")
_PATH_OF_URL = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']*")
_TORN_TLS = re.compile(r"EOF|BAD_RECORD|DECRYPTION_FAILED|RESET", re.IGNORECASE)
_CREDENTIALS = "set s3.access_key_id and s3.secret_access_key, or give boto3's own chain a login"
_HINTS = {
    "AccessDenied": "grant s3:GetObject, s3:PutObject and s3:ListBucket, and GenerateDataKey and "
    "Decrypt of the KMS key if there is one",
    "AccessDenied open": "grant s3:GetObject on the objects of the bucket",
    "AccessDenied list": "grant s3:ListBucket on the bucket",
    "AuthorizationHeaderMalformed": "set s3.region to the bucket's region",
    "403": "S3 gives a HEAD no reason: check the credentials, this machine's clock, s3:GetObject, "
    "s3:ListBucket (without it a missing key answers 403), and kms:Decrypt if there is a KMS key",
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
_KMS_GRANT = re.compile(r"\bkms:[A-Za-z]+")


@contextmanager
def translated(action: str, place: str) -> Iterator[None]:
    """Raise all that the SDK raises as `ServiceError`; `action` and `place` as in `sdk_failure`."""
    try:
        yield
    except SDK_ERRORS as error:
        raise ServiceError(sdk_failure(error, action, place)) from error
    except (ValueError, RuntimeError) as error:  # from reading a header, or from a refresh
        raise ServiceError(unreadable(error, action, place)) from error


def sdk_failure(error: Exception, action: str, place: str) -> Failure:
    """Translate an error of the SDK; `action` and `place` read "store s3://bucket/key"."""
    if isinstance(error, sdk.ClientError):
        return _answered(error, action, place)
    asked = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    if known := network.failure_on_the_way(error, Service.S3, urlsplit(asked).hostname or "S3"):
        return known
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
    """Return a failure of S3 that is not an error of the SDK."""
    return Failure(Service.S3, kind, code, message, hint or _hint(code))


def unreadable(error: Exception, action: str, place: str) -> Failure:
    """Return the failure of an answer unlike S3's: from a proxy, a login page, a broken store.

    Or that a role's new credentials are as dead as the old ones, for which botocore raises a
    RuntimeError.
    """
    text = _plain(str(error))
    if isinstance(error, RuntimeError) and "credentials" in text:
        message = f"cannot {action} {place}: {text}"
        return failure(FailureKind.DENIED, "ExpiredToken", message)
    message = f"cannot {action} {place}: unreadable answer: {text}"
    return failure(FailureKind.OUTAGE, "UnreadableAnswer", message)


def missing_bucket(bucket: str) -> ServiceError:
    """Return the error of a missing bucket: a missing key in it proves nothing."""
    message = f"there is no bucket {bucket}"
    return ServiceError(failure(FailureKind.CONFIG, "NoSuchBucket", message))


def status_of(error: sdk.ClientError) -> int:
    """Return the HTTP status of an answer; 0 where there was none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code_of(error: sdk.ClientError) -> str:
    """Return the code of an answer by its name, for a HEAD too."""
    code = str(error.response.get("Error", {}).get("Code", "")) or str(status_of(error))
    return _NAMES.get(code, code)


def _said(error: sdk.ClientError) -> str:
    """Return the store's own words; an empty element is None to botocore."""
    return error.response.get("Error", {}).get("Message") or ""


def _answered(error: sdk.ClientError, action: str, place: str) -> Failure:
    code, status = code_of(error), status_of(error)
    if status == network.REFUSED:
        return network.proxy_refused(Service.S3, "S3")
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", "")
    said = _plain(_said(error))
    message = f"cannot {action} {place}: {code} (HTTP {status}{', ' if said else ''}{said})"
    if region and _WRONG_REGION.fullmatch(code):
        return failure(FailureKind.PERMANENT, "WrongRegion", message, f'set s3.region = "{region}"')
    bare = error.response.get("Error", {}).get("Code") == "403"
    hint = _hint("403" if bare else code, action, _said(error))
    return Failure(
        Service.S3, _kind(code, status), code, message, hint, network.retry_after(headers)
    )


def _kind(code: str, status: int) -> FailureKind:
    if code == "NoSuchBucket":
        return FailureKind.CONFIG
    if _PERMANENT.fullmatch(code):
        return FailureKind.PERMANENT
    if _BUSY.fullmatch(code) or status == 429:  # noqa: PLR2004
        return FailureKind.BUSY
    if status >= 500:  # noqa: PLR2004
        return FailureKind.OUTAGE
    if _DENIED.fullmatch(code) or status in {401, 403}:
        return FailureKind.DENIED
    return FailureKind.PERMANENT


def _hint(code: str, action: str = "", said: str = "") -> str:
    """Return what helps; empty where nobody knows. `said` are the store's own words.

    S3 passes on what KMS refused as an AccessDenied that names the action of KMS (AWS re:Post,
    s3-large-file-encryption-kms-key).
    """
    if code.startswith("KMS."):
        return "enable the key that s3.kms_key_id names, or name another"
    if code == "AccessDenied" and (grant := _KMS_GRANT.search(said)):
        return f"grant {grant[0]} on the KMS key, in its key policy too: S3 itself did not refuse"
    return _HINTS.get(f"{code} {action}") or _HINTS.get(code, "")


def _plain(text: str) -> str:
    """Return a message as one short line, with no query and no access key in it."""
    return quotable(_KEY_ID.sub("(key id)", text)).rstrip(".")
