"""What the tests of S3 share."""

import base64
import hashlib
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from reccli.sandbox.seaweed import SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "recordings"
BODY = b"RIFF" * 1000
CONFIG = Config(
    connect_timeout=2,
    read_timeout=1,
    retries={"total_max_attempts": 1},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    signature_version="s3v4",
    s3={"addressing_style": "path"},
)


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def connect(
    store: SeaweedFS,
    *,
    url: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    token: str | None = None,
) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=url or store.endpoint_url,
        aws_access_key_id=access_key or store.access_key,
        aws_secret_access_key=secret_key or store.secret_key,
        aws_session_token=token,
        region_name=store.region,
        config=CONFIG,
    )


def status(caught: pytest.ExceptionInfo[ClientError]) -> int:
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
