"""The proxy in front of SeaweedFS: what passes unchanged, and what goes wrong on purpose."""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.s3_proxy import S3Proxy
from reccli.sandbox.seaweed import SeaweedFS
from tests.sandbox.s3_samples import BODY, BUCKET, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def put(s3: "S3Client", key: str, body: bytes = BODY) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumSHA256=sha256(body))


def read(s3: "S3Client", key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_it_passes_everything_on(proxy: S3Proxy, s3: "S3Client", direct: "S3Client") -> None:
    key = "call recordings/a+b/\u00e4.mp3"
    large = BODY * 1000
    put(s3, key, large)
    assert read(direct, key) == read(s3, key) == large
    kept = {"date", "x-amz-request-id"}
    through, straight = (
        client.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        for client in (s3, direct)
    )
    heads = [found["ResponseMetadata"]["HTTPHeaders"] for found in (through, straight)]
    assert heads[0].keys() == heads[1].keys()
    assert all(heads[0][name] == heads[1][name] for name in heads[0].keys() - kept)
    assert through["ChecksumSHA256"] == sha256(large)
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="call recordings/")
    assert [item["Key"] for item in listed["Contents"]] == [key]
    assert s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=2-5")["Body"].read() == large[2:6]
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="x", Body=BODY, ChecksumSHA256=sha256(b""))
    s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key=key)
    assert [method for method, _ in proxy.requests] == [
        *("PUT", "GET", "HEAD", "GET", "GET", "PUT", "DELETE", "HEAD")
    ]
    assert proxy.requests[0][1] == f"/{BUCKET}/call%20recordings/a%2Bb/%C3%A4.mp3"


def test_presigned_links_go_through_it(proxy: S3Proxy, s3: "S3Client") -> None:
    put(s3, "linked")
    params = {"Bucket": BUCKET, "Key": "linked"}
    url = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    assert url.startswith(proxy.url)
    assert httpx.get(url).content == BODY
    assert httpx.get(url.replace("linked", "other")).status_code == 403


def test_one_connection_serves_many_requests(proxy: S3Proxy, s3: "S3Client") -> None:
    put(s3, "often")
    began = time.monotonic()
    for _ in range(100):
        s3.head_object(Bucket=BUCKET, Key="often")
    assert time.monotonic() - began < 5
    began = time.monotonic()
    for _ in range(3):
        put(s3, "often")  # each waits for 100 Continue, and without it for a second
    assert time.monotonic() - began < 2.5


def test_it_outlives_a_restart_of_the_store(
    proxy: S3Proxy, s3: "S3Client", store: SeaweedFS
) -> None:
    put(s3, "kept")
    store.down()
    with pytest.raises(BotoCoreError):
        read(s3, "kept")
    store.up()
    assert read(s3, "kept") == BODY
    store.down()  # unseen by the client, whose connection stays
    store.up()
    assert read(s3, "kept") == BODY


def test_a_refused_request_has_no_effect(
    proxy: S3Proxy, s3: "S3Client", direct: "S3Client"
) -> None:
    proxy.faults.add(Fault(FaultKind.REFUSE, "PUT", "refused"))
    with pytest.raises(ConnectionClosedError):
        put(s3, "refused")
    with pytest.raises(ClientError, match="404"):
        direct.head_object(Bucket=BUCKET, Key="refused")
    put(s3, "refused")
    assert read(direct, "refused") == BODY
    assert len(proxy.requests) == 2


def test_a_lost_answer_has_its_effect(proxy: S3Proxy, s3: "S3Client", direct: "S3Client") -> None:
    proxy.faults.add(Fault(FaultKind.LOST_RESPONSE, "PUT"))
    with pytest.raises(ConnectionClosedError):
        put(s3, "lost")
    assert read(direct, "lost") == BODY


def test_a_status_and_a_stall(proxy: S3Proxy, s3: "S3Client", direct: "S3Client") -> None:
    slow = b"<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
    proxy.faults.add(Fault(FaultKind.STATUS, "PUT", status=503, body=slow))
    with pytest.raises(ClientError, match="SlowDown"):
        put(s3, "status")
    proxy.faults.add(Fault(FaultKind.STATUS, "HEAD", status=503, body=slow))
    with pytest.raises(ClientError, match="503"):
        s3.head_object(Bucket=BUCKET, Key="status")
    with pytest.raises(ClientError, match="404"):
        direct.head_object(Bucket=BUCKET, Key="status")
    began = time.monotonic()
    proxy.faults.add(Fault(FaultKind.STALL, "PUT", delay=0.3))
    put(s3, "status")
    assert time.monotonic() - began >= 0.3


def test_a_body_cut_short(proxy: S3Proxy, s3: "S3Client") -> None:
    put(s3, "short")
    params = {"Bucket": BUCKET, "Key": "short"}
    url = s3.generate_presigned_url("get_object", Params=params)
    for kind in (FaultKind.HALF, FaultKind.SHORT, FaultKind.CLOSED):
        proxy.faults.add(Fault(kind, share=0.25))
        answer = httpx.get(url)
        assert (answer.status_code, answer.content) == (200, BODY[: len(BODY) // 4])
    proxy.faults.add(Fault(FaultKind.TRUNCATE))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url)
    assert httpx.get(url).content == BODY


def test_it_can_be_cut(proxy: S3Proxy, s3: "S3Client") -> None:
    put(s3, "cut")
    proxy.cut = True
    for _ in range(2):
        with pytest.raises(BotoCoreError):
            read(s3, "cut")
    proxy.cut = False
    assert read(s3, "cut") == BODY


def test_the_world_changes_before_a_request_is_passed_on(
    proxy: S3Proxy, s3: "S3Client", direct: "S3Client"
) -> None:
    put(s3, "changing")

    def change(method: str, path: str) -> None:
        if (method, path) == ("GET", f"/{BUCKET}/changing"):
            put(direct, "changing", b"other")

    proxy.on_request = change
    assert s3.head_object(Bucket=BUCKET, Key="changing")["ContentLength"] == len(BODY)
    assert read(s3, "changing") == b"other"


def test_many_at_once(proxy: S3Proxy, s3: "S3Client", direct: "S3Client") -> None:
    bodies = {f"many/{i}": bytes([i]) * 50_000 for i in range(20)}
    threads = [threading.Thread(target=put, args=(s3, *item)) for item in bodies.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key: read(direct, key) for key in bodies} == bodies


@pytest.fixture(autouse=True)
def _clean(proxy: S3Proxy) -> Iterator[None]:
    proxy.reset()
    yield
    proxy.reset()
