"""Why a store did not take an object: mostly for what was asked for beside the bytes.

Some stores have no storage classes or no server-side encryption (Cloudflare R2 and MinIO without a
KMS answer 501 NotImplemented; SeaweedFS without a key answers 500 to each such PUT), and a bucket
policy may want another encryption than was asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from reccli.adapters.s3 import s3_errors
from reccli.core.errors import Failure, FailureKind

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

_ENCRYPTION = re.compile(r"encryption|\bsse\b|\bkms\b", re.IGNORECASE)
_CLASS = re.compile(r"storage.?class", re.IGNORECASE)
_CONDITION = re.compile(r"if-none-match|conditional", re.IGNORECASE)
_CHECKSUM = re.compile(r"checksum", re.IGNORECASE)
_UNKNOWN = frozenset({"NotImplemented", "InvalidStorageClass", "InvalidEncryptionAlgorithmError"})
_NAMES_IT = frozenset({"InvalidArgument", "InvalidRequest"})
"""Codes that mean a setting only where the answer names it."""
_INTERNAL_ERROR = 500


def refused(error: ClientError, request: PutObjectRequestTypeDef, place: str) -> Failure:
    """Return the failure that a refused PUT means; a setting unknown to the store is CONFIG."""
    failure = s3_errors.sdk_failure(error, "store", place)
    asked = _asked(request)
    blamed = _blamed(error, asked)
    code, status = s3_errors.code_of(error), s3_errors.status_of(error)
    if blamed and (code in _UNKNOWN or (code in _NAMES_IT and blamed != asked)):
        hint = f"the store does not know what was asked for: set {_empty(blamed)}"
        if not _named_any(error):
            hint += "; or it takes no If-None-Match, without which nothing is written"
        return replace(failure, kind=FailureKind.CONFIG, hint=hint)
    if asked and status == _INTERNAL_ERROR:
        hint = (
            "if it is writes alone that fail, the store may lack what they ask for: set "
            f"{_empty(asked)}"
        )
        return replace(failure, hint=hint)
    if code == "AccessDenied" and "on the KMS key" not in failure.hint:
        return replace(
            failure, hint=f"{failure.hint}; or a policy of the bucket wants {_other(asked)}"
        )
    return failure


def refuses_checksums(error: ClientError) -> bool:
    """Whether a PUT failed because the store knows no `x-amz-checksum-…` headers, as it seems."""
    named = _named(error)
    if s3_errors.code_of(error) == "NotImplemented":
        return bool(_CHECKSUM.search(named)) or not (_named_any(error) or _CONDITION.search(named))
    said = named.lower()
    return s3_errors.status_of(error) == 400 and "checksum" in said and "header" in said  # noqa: PLR2004


def _asked(request: PutObjectRequestTypeDef) -> dict[str, str]:
    """Return what was asked for beside the bytes, by the setting that asks for it."""
    asked = {
        "s3.server_side_encryption": request.get("ServerSideEncryption"),
        "s3.storage_class": request.get("StorageClass"),
    }
    return {setting: value for setting, value in asked.items() if value}


def _blamed(error: ClientError, asked: dict[str, str]) -> dict[str, str]:
    """Return the settings that an answer is about: those that it names, or else all of them."""
    named = _named(error)
    patterns = {"s3.server_side_encryption": _ENCRYPTION, "s3.storage_class": _CLASS}
    found = {setting: asked[setting] for setting in asked if patterns[setting].search(named)}
    if found or _CONDITION.search(named):
        return found
    return asked


def _named_any(error: ClientError) -> bool:
    return any(one.search(_named(error)) for one in (_ENCRYPTION, _CLASS))


def _named(error: ClientError) -> str:
    """Return all that an answer says, the header first that is to blame, if it names one.

    An empty element is None to botocore.
    """
    said = error.response.get("Error", {})
    parts = (said.get(name) for name in ("Header", "ArgumentName", "Code", "Message"))
    return " ".join(str(part) for part in parts if part)


def _empty(settings: dict[str, str]) -> str:
    return " or ".join(f'{setting} = "" (it is "{value}")' for setting, value in settings.items())


def _other(settings: dict[str, str]) -> str:
    """Describe what was sent, for a policy that wants something else."""
    sent = ", ".join(f'{setting} = "{value}"' for setting, value in settings.items())
    if settings.get("s3.server_side_encryption") == "aws:kms":
        return f"other than {sent}"
    kms = 's3.server_side_encryption = "aws:kms" with s3.kms_key_id'
    return f"other than {sent or 'no encryption and no class'}, such as {kms}"
