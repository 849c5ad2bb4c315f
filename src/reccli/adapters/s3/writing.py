"""The one conditional put: what it carries, and what its answer says of the object."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

from reccli.adapters.s3.evidence import Facts, describe, sha256_of
from reccli.adapters.s3.fitness import stay_of

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3.literals import ServerSideEncryptionType, StorageClassType
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef, PutObjectRequestTypeDef

    from reccli.adapters.s3.client import S3Options
    from reccli.flow.ports import Provenance


def request_of(
    options: S3Options, key: str, body: BinaryIO, provenance: Provenance
) -> PutObjectRequestTypeDef:
    """Say what to send; the checksum comes on top."""
    request: PutObjectRequestTypeDef = {
        "Bucket": options.bucket,
        "Key": key,
        "Body": body,
        "IfNoneMatch": "*",
        "ContentLength": provenance.size,
        "ContentType": provenance.content_type,
        "Metadata": describe(provenance),
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
    """Tell about the object that was stored a moment ago: what was sent, and what came back.

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
