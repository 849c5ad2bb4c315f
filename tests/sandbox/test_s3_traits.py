"""What other stores do, as the proxy plays it: archives, promises not kept, clocks, sessions."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError

from reccli.sandbox.s3_proxy import Archived, S3Proxy, S3Traits
from reccli.sandbox.seaweed import SeaweedFS
from tests.sandbox.s3_samples import BODY, BUCKET, connect, sha256, status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = datetime(2026, 12, 4, tzinfo=UTC)
Put = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _clean(proxy: S3Proxy) -> Iterator[None]:
    proxy.reset()
    yield
    proxy.reset()


@pytest.fixture
def put(s3: "S3Client") -> Put:
    def put(key: str) -> object:
        return s3.put_object(Bucket=BUCKET, Key=key, Body=BODY, ChecksumSHA256=sha256(BODY))

    return put


def head(s3: "S3Client", key: str) -> Any:  # noqa: ANN401 - as boto3 has it
    return s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")


def headers(answer: Any) -> dict[str, str]:  # noqa: ANN401
    found: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return found


def read(s3: "S3Client", key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.mark.parametrize(
    ("archived", "shown"),
    [
        (Archived(), {"x-amz-storage-class": "GLACIER"}),
        (Archived("DEEP_ARCHIVE"), {"x-amz-storage-class": "DEEP_ARCHIVE"}),
        (
            Archived(status="DEEP_ARCHIVE_ACCESS"),
            {
                "x-amz-storage-class": "INTELLIGENT_TIERING",
                "x-amz-archive-status": "DEEP_ARCHIVE_ACCESS",
            },
        ),
        (
            Archived(restoring=True),
            {"x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"'},
        ),
    ],
)
def test_an_archive(
    proxy: S3Proxy, s3: "S3Client", put: Put, archived: Archived, shown: dict[str, str]
) -> None:
    put("cold/1")
    put("warm/1")
    proxy.traits.archived["^cold/"] = archived
    assert shown.items() <= headers(head(s3, "cold/1")).items()
    with pytest.raises(ClientError, match="InvalidObjectState") as caught:
        read(s3, "cold/1")
    assert status(caught) == 403
    assert read(s3, "warm/1") == BODY
    assert not shown.keys() & headers(head(s3, "warm/1")).keys()
    with pytest.raises(ClientError, match="NoSuchKey"):
        read(s3, "cold/none")


def test_what_is_restored_can_be_read(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    put("cold/2")
    proxy.traits.archived["cold"] = Archived(restored_until=DAY)
    told = 'ongoing-request="false", expiry-date="Fri, 04 Dec 2026 00:00:00 GMT"'
    found = head(s3, "cold/2")
    assert (found["Restore"], found["StorageClass"]) == (told, "GLACIER")
    assert read(s3, "cold/2") == BODY


def test_an_expiration(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.expiring["^old/"] = DAY
    told = 'expiry-date="Fri, 04 Dec 2026 00:00:00 GMT", rule-id="old"'
    assert put("old/1")["Expiration"] == told
    assert head(s3, "old/1")["Expiration"] == told
    assert s3.get_object(Bucket=BUCKET, Key="old/1")["Expiration"] == told
    assert "Expiration" not in put("new/1")


def test_a_store_that_repeats_our_checksum(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    put("flipped")
    proxy.traits.flipped.add("^flipped$")
    assert head(s3, "flipped")["ChecksumSHA256"] == sha256(BODY)
    got = read(s3, "flipped")
    wrong = [a ^ b for a, b in zip(got, BODY, strict=True) if a != b]
    assert wrong == [1]


def test_a_store_without_checksums(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.no_checksums = True
    for answer in (put("bare"), head(s3, "bare")):
        assert not [name for name in headers(answer) if name.startswith("x-amz-checksum")]
    proxy.traits.no_checksums = False
    assert "ChecksumSHA256" in head(s3, "bare")


def test_a_store_without_encryption(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.no_sse = True
    with pytest.raises(ClientError, match="NotImplemented") as caught:
        s3.put_object(Bucket=BUCKET, Key="sse", Body=BODY, ServerSideEncryption="AES256")
    assert status(caught) == 501
    with pytest.raises(ClientError, match="404"):
        head(s3, "sse")
    put("sse")


def test_a_store_whose_encryption_is_broken(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.broken_sse = True
    with pytest.raises(ClientError, match="InternalError") as caught:
        s3.put_object(Bucket=BUCKET, Key="broken", Body=BODY, ServerSideEncryption="AES256")
    assert status(caught) == 500
    put("broken")


def test_a_store_without_classes(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.no_classes = True
    with pytest.raises(ClientError, match=r"NotImplemented.*'x-amz-storage-class'") as caught:
        s3.put_object(Bucket=BUCKET, Key="class", Body=BODY, StorageClass="STANDARD_IA")
    assert status(caught) == 501
    put("class")


def test_a_policy_that_wants_kms(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.wants_kms = True
    with pytest.raises(ClientError, match=r"AccessDenied.*explicit deny"):
        put("policy")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=BUCKET, Key="policy", Body=BODY, ServerSideEncryption="AES256")
    proxy.traits.wants_kms = False
    put("policy")


def test_keys_that_a_head_may_not_see(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    put("hidden/1")
    proxy.traits.hidden.add("^hidden/")
    with pytest.raises(ClientError, match="403"):
        head(s3, "hidden/1")
    assert read(s3, "hidden/1") == BODY
    with pytest.raises(ClientError, match="404"):
        head(s3, "shown")


def test_a_key_is_at_most_1024_bytes_long(s3: "S3Client", put: Put) -> None:
    longest = f"{'k' * 203}/" * 5 + "kkkk"
    put(longest)
    with pytest.raises(ClientError, match="KeyTooLongError"):
        put("é" * 513)
    with pytest.raises(ClientError, match="400"):
        head(s3, f"{longest}k")


def test_a_key_that_may_not_decrypt(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    proxy.traits.unreadable.add("^kms/")
    put("kms/1")
    assert head(s3, "kms/1")["ChecksumSHA256"] == sha256(BODY)
    with pytest.raises(ClientError, match=r"AccessDenied.*kms:Decrypt"):
        read(s3, "kms/1")


def test_another_clock(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    put("clock")
    proxy.traits.clock_shift = timedelta(hours=-2)
    told = parsedate_to_datetime(headers(head(s3, "clock"))["date"])
    assert abs(datetime.now(UTC) - timedelta(hours=2) - told) < timedelta(seconds=5)


def test_seaweed_knows_no_sessions(store: SeaweedFS) -> None:
    straight = connect(store, token="session")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        straight.put_object(Bucket=BUCKET, Key="session", Body=BODY)
    straight.close()


def test_sessions(proxy: S3Proxy, store: SeaweedFS, direct: "S3Client") -> None:
    s3 = connect(store, url=proxy.url, access_key="ASIA0", secret_key="x", token="session/1+")
    key = "session/a b+\u00e4"
    s3.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=BODY,
        ChecksumSHA256=sha256(BODY),
        Metadata={"recording-sid": "RE1"},
        ServerSideEncryption="AES256",
        IfNoneMatch="*",
    )
    assert head(direct, key)["Metadata"] == {"recording-sid": "RE1"}
    assert head(direct, key)["ChecksumSHA256"] == sha256(BODY)
    assert read(s3, key) == BODY
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="session/", Delimiter="/")
    assert [item["Key"] for item in listed["Contents"]] == [key]
    params = {"Bucket": BUCKET, "Key": key, "ResponseContentType": "audio/mpeg"}
    url = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=2)
    assert "X-Amz-Security-Token" in url
    answer = httpx.get(url)
    assert (answer.content, answer.headers["Content-Type"]) == (BODY, "audio/mpeg")
    proxy.traits.expired_tokens.add("session/1+")
    with pytest.raises(ClientError, match="ExpiredToken") as caught:
        read(s3, key)
    assert status(caught) == 400
    assert "ExpiredToken" in httpx.get(url).text
    proxy.traits.expired_tokens.clear()
    time.sleep(2.1)
    late = httpx.get(url)
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
    s3.close()


def test_a_reset_forgets_all(proxy: S3Proxy, s3: "S3Client", put: Put) -> None:
    put("any")
    proxy.traits.archived["."] = Archived()
    proxy.cut = True
    proxy.on_request = print
    proxy.reset()
    assert (proxy.traits, proxy.cut) == (S3Traits(), False)
    assert vars(proxy)["on_request"] is None
    assert (proxy.requests, len(proxy.faults)) == ([], 0)
