"""SeaweedFS as S3, once for a session: the one store at hand that checks what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from reccli.sandbox.seaweed import SeaweedFS
from tests.adapters.s3_fakes import SID, adapter
from tests.adapters.seaweed_store import Store, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from reccli.adapters.s3 import S3Adapter

BUCKET = "rec"


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


@pytest.fixture
def s3(seaweed: Store) -> Iterator[S3Adapter]:
    with adapter(**options(seaweed)) as made:
        yield made


@pytest.fixture
def key() -> str:
    return f"call-recordings/CA{uuid4().hex}/{SID}.mp3"
