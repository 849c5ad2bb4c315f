"""A running SeaweedFS, and ways past the adapter to prepare and to inspect what is in it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.adapters.s3_fakes import AUDIO, SID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from reccli.sandbox.seaweed import SeaweedFS


@dataclass(frozen=True)
class Store:
    """A running store with a bucket, and a plain client to prepare and to inspect it with."""

    server: SeaweedFS
    bucket: str
    client: S3Client


def options(store: Store, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Believe the store: SeaweedFS refuses a wrong SHA-256, as a test in test_s3.py shows."""
    return {
        "verifies_checksums": True,
        "bucket": store.bucket,
        "endpoint_url": store.server.endpoint_url,
        "access_key_id": store.server.access_key,
        "secret_access_key": store.server.secret_key,
        **changes,
    }


def plant(
    store: Store, key: str, data: bytes, metadata: Mapping[str, str], *, checksum: bool = True
) -> None:
    """Put an object past the adapter, with whatever metadata."""
    extra: dict[str, Any] = {}
    if checksum:
        extra["ChecksumSHA256"] = base64.b64encode(hashlib.sha256(data).digest()).decode()
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data, Metadata=metadata, **extra)


def claims(data: bytes = AUDIO, **changes: str) -> dict[str, str]:
    sha256 = hashlib.sha256(data).hexdigest()
    named = {"recording_sid": SID, "sha256": sha256, "size": str(len(data)), **changes}
    return {name.replace("_", "-"): text for name, text in named.items()}


def stored_bytes(store: Store, key: str) -> bytes:
    return store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
