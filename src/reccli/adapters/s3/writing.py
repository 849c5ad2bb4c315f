"""The one conditional put: what it carries, and what its answer says of the object."""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

from reccli.adapters.s3.evidence import Facts, sha256_of
from reccli.adapters.s3.fitness import stay_of
from reccli.adapters.s3.s3_errors import failure
from reccli.core.errors import FailureKind, ServiceError

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3.literals import ServerSideEncryptionType, StorageClassType
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef, PutObjectRequestTypeDef

    from reccli.adapters.s3.client import S3Options
    from reccli.flow.ports import Provenance


METADATA_LIMIT = 2048
"""Bytes of keys and values together, by S3's rule; more is refused, never cut short."""


def request_of(
    options: S3Options, key: str, body: BinaryIO, provenance: Provenance
) -> PutObjectRequestTypeDef:
    """Return what to send; the checksum comes on top."""
    request: PutObjectRequestTypeDef = {
        "Bucket": options.bucket,
        "Key": key,
        "Body": body,
        "IfNoneMatch": "*",
        "ContentLength": provenance.size,
        "ContentType": provenance.content_type,
        "Metadata": _metadata(provenance),
    }
    if options.storage_class:
        request["StorageClass"] = cast("StorageClassType", options.storage_class)
    if options.server_side_encryption:
        request["ServerSideEncryption"] = cast(
            "ServerSideEncryptionType", options.server_side_encryption
        )
    if options.kms_key_id:
        request["SSEKMSKeyId"] = options.kms_key_id
    return request


def facts_put(
    request: PutObjectRequestTypeDef, answer: PutObjectOutputTypeDef, now: datetime
) -> Facts:
    """Return the facts of the object that was just stored: what was sent, and what came back.

    An answer of PutObject names the expiration, and not the class.
    """
    return Facts(
        size=request["ContentLength"],
        metadata=request["Metadata"],
        stay=stay_of({**answer, "StorageClass": request.get("StorageClass")}, now),
        sha256=sha256_of(answer),
        age=timedelta(),
        etag=answer.get("ETag") or None,
    )


def _metadata(provenance: Provenance) -> dict[str, str]:
    """Return what the object must say of itself when nothing else is left to ask.

    Raises a PERMANENT `ServiceError` when it does not fit: audio without its encryption
    details is noise, so nothing is dropped to make it fit.
    """
    recording = provenance.recording
    created = (
        f"{recording.created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if recording.created else None
    )
    facts: dict[str, str | int | None] = {
        "recording-sid": recording.sid,
        "call-sid": recording.call_sid,
        "conference-sid": recording.conference_sid,
        "account-sid": recording.account_sid,
        "region": recording.region,
        "duration": recording.duration,
        "channels": recording.channels,
        "sha256": provenance.sha256,
        "size": provenance.size,
        "created": created,
        "source": recording.source,
        "seconds": _counted(provenance.seconds),
        "length-accepted": "true" if provenance.accepted else None,
    }
    for name, value in recording.encryption.items():
        facts["encryption-" + name.removeprefix("encryption_").replace("_", "-")] = value
    metadata = {name: str(value) for name, value in facts.items() if value is not None}
    for name, text in metadata.items():
        if not f"{name}{text}".isascii() or not text.isprintable() or text != text.strip():
            raise _unfit(recording.sid, f"{name} is not plain ASCII, and S3 would change it")
    if (size := sum(len(name) + len(text) for name, text in metadata.items())) > METADATA_LIMIT:
        raise _unfit(recording.sid, f"it takes {size} bytes, and S3 allows {METADATA_LIMIT}")
    return metadata


def _counted(seconds: float | None) -> str | None:
    """Return a length in hundredths of a second; None for what is no length."""
    known = seconds is not None and math.isfinite(seconds) and seconds >= 0
    return f"{seconds:.2f}" if known else None


def _unfit(sid: str, text: str) -> ServiceError:
    message = f"the metadata of {sid} cannot be kept beside it: {text}"
    return ServiceError(failure(FailureKind.PERMANENT, "MetadataUnfit", message))
