"""SeaweedFS as S3, once for a session: the one store at hand that checks what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from reccli.sandbox.seaweed import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

BUCKET = "rec"


@dataclass(frozen=True)
class Store:
    """A running store with a bucket, and a plain client to prepare and to inspect it with."""

    server: SeaweedFS
    bucket: str
    client: S3Client


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Store]:
    with SeaweedFS() as server:
        server.create_bucket(BUCKET)
        client: S3Client = boto3.Session(
            server.access_key, server.secret_key, region_name=server.region
        ).client(
            "s3",
            endpoint_url=server.endpoint_url,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        try:
            yield Store(server, BUCKET, client)
        finally:
            client.close()
