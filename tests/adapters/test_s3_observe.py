"""The S3 adapter tells proven from claimed, and absent from unknown: SeaweedFS again."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State
from tests.adapters.s3_fakes import (
    AUDIO,
    OTHER_SID,
    SID,
    adapter,
    body,
    closed_port,
    kind_of,
    provenance,
)
from tests.adapters.seaweed_store import claims, options, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.adapters.s3 import S3Adapter
    from tests.adapters.seaweed_store import Store

pytestmark = pytest.mark.timeout(180)


def test_the_age_grows_on_the_clock_of_the_store(s3: S3Adapter, key: str) -> None:
    s3.put(key, body(), provenance())
    first = s3.observe(key, SID, read_back=False).age
    time.sleep(1.1)
    second = s3.observe(key, SID, read_back=False).age
    assert first is not None
    assert second is not None
    assert timedelta(seconds=1) <= second - first <= timedelta(seconds=5)


def test_an_absent_key_is_absent(s3: S3Adapter, key: str) -> None:
    assert s3.observe(key, SID, read_back=True).state is S3State.ABSENT
    assert s3.observe(key, SID, read_back=True).state is S3State.ABSENT


def test_a_missing_bucket_is_no_absent_key(seaweed: Store, key: str) -> None:
    with adapter(**options(seaweed, bucket="no-such-bucket")) as s3:
        calls: list[Callable[[], object]] = [
            lambda: s3.observe(key, SID, read_back=False),
            lambda: s3.put(key, body(), provenance()),
            s3.require_bucket,
            lambda: s3.keys("", None),
        ]
        for call in calls:
            with pytest.raises(ServiceError) as caught:
                call()
            assert kind_of(caught) == (FailureKind.CONFIG, "NoSuchBucket")
            assert caught.value.failure.hint


@pytest.mark.parametrize("read_back", [False, True])
@pytest.mark.parametrize(
    ("code", "lie"),
    [
        ("ChecksumMismatch", {"sha256": "0" * 64}),
        ("SizeMismatch", {"size": str(len(AUDIO) + 1)}),
        ("SizeMismatch", {"size": "many"}),
        ("NoProof", {"sha256": ""}),
        ("OtherRecording", {"recording-sid": OTHER_SID}),
    ],
)
def test_metadata_that_lies_is_a_conflict(
    seaweed: Store, s3: S3Adapter, key: str, code: str, lie: dict[str, str], *, read_back: bool
) -> None:
    plant(seaweed, key, AUDIO, {**claims(), **lie})
    seen = s3.observe(key, SID, read_back=read_back)
    assert (seen.state, seen.proven) == (S3State.CONFLICT, False)
    assert seen.failure is not None
    assert seen.failure.code == code


def test_without_a_checksum_only_reading_back_proves(
    seaweed: Store, s3: S3Adapter, key: str
) -> None:
    plant(seaweed, key, AUDIO, claims(), checksum=False)
    claimed = s3.observe(key, SID, read_back=False)
    assert (claimed.state, claimed.proven) == (S3State.VERIFIED, False)
    proven = s3.observe(key, SID, read_back=True)
    assert (proven.state, proven.proven) == (S3State.VERIFIED, True)


def test_without_a_checksum_reading_back_finds_the_lie(
    seaweed: Store, s3: S3Adapter, key: str
) -> None:
    plant(seaweed, key, AUDIO[::-1], claims(), checksum=False)
    assert s3.observe(key, SID, read_back=False).proven is False
    seen = s3.observe(key, SID, read_back=True)
    assert seen.state is S3State.CONFLICT
    assert seen.failure is not None
    assert seen.failure.code == "ChecksumMismatch"


def test_a_composite_checksum_is_no_proof(seaweed: Store, s3: S3Adapter, key: str) -> None:
    where: dict[str, Any] = {"Bucket": seaweed.bucket, "Key": key}
    upload = seaweed.client.create_multipart_upload(
        **where, Metadata=claims(), ChecksumAlgorithm="SHA256"
    )
    part = seaweed.client.upload_part(
        **where,
        UploadId=upload["UploadId"],
        PartNumber=1,
        Body=AUDIO,
        ChecksumSHA256=base64.b64encode(hashlib.sha256(AUDIO).digest()).decode(),
    )
    seaweed.client.complete_multipart_upload(
        **where,
        UploadId=upload["UploadId"],
        MultipartUpload={
            "Parts": [
                {
                    "PartNumber": 1,
                    "ETag": part["ETag"],
                    "ChecksumSHA256": part["ChecksumSHA256"],
                }
            ]
        },
    )
    assert s3.observe(key, SID, read_back=False).proven is False
    assert s3.observe(key, SID, read_back=True).proven is True


def test_a_wrong_secret_is_denied(seaweed: Store, key: str) -> None:
    with adapter(**options(seaweed, secret_access_key="wrong")) as s3:
        with pytest.raises(ServiceError) as caught:
            s3.observe(key, SID, read_back=False)
        assert kind_of(caught) == (FailureKind.DENIED, "AccessDenied")
        assert "s3:ListBucket" in caught.value.failure.hint
        with pytest.raises(ServiceError) as caught:
            s3.put(key, body(), provenance())
        assert kind_of(caught) == (FailureKind.DENIED, "SignatureDoesNotMatch")


def test_an_unknown_key_id_is_denied_and_not_told(seaweed: Store, key: str) -> None:
    unknown = options(seaweed, access_key_id="AKIAIOSFODNN7EXAMPLE")
    with adapter(**unknown) as s3, pytest.raises(ServiceError) as caught:
        s3.put(key, body(), provenance())
    assert kind_of(caught) == (FailureKind.DENIED, "InvalidAccessKeyId")
    assert "AKIA" not in caught.value.failure.message


def test_a_user_who_may_only_read_is_denied(seaweed: Store, s3: S3Adapter, key: str) -> None:
    reader = options(
        seaweed,
        access_key_id=seaweed.server.reader_access_key,
        secret_access_key=seaweed.server.reader_secret_key,
    )
    with adapter(**reader) as reading:
        with pytest.raises(ServiceError) as caught:
            reading.put(key, body(), provenance())
        assert kind_of(caught) == (FailureKind.DENIED, "AccessDenied")
        assert reading.observe(key, SID, read_back=False).state is S3State.ABSENT
        s3.put(key, body(), provenance())
        assert reading.observe(key, SID, read_back=False).proven


def test_a_server_that_is_down_is_an_outage(key: str) -> None:
    with adapter(endpoint_url=f"http://127.0.0.1:{closed_port()}") as s3:
        with pytest.raises(ServiceError) as caught:
            s3.put(key, body(), provenance())
        assert kind_of(caught) == (FailureKind.OUTAGE, "EndpointConnectionError")
        with pytest.raises(ServiceError) as caught:
            s3.observe(key, SID, read_back=False)
        assert kind_of(caught) == (FailureKind.OUTAGE, "EndpointConnectionError")


def test_a_put_whose_answer_got_lost_is_found_again(seaweed: Store, key: str) -> None:
    with adapter(**options(seaweed, read_timeout=0.5)) as s3:
        seaweed.server.pause()
        try:
            with pytest.raises(ServiceError) as caught:
                s3.put(key, body(), provenance())
        finally:
            seaweed.server.resume()
    assert kind_of(caught)[0] is FailureKind.OUTAGE
    with adapter(**options(seaweed)) as s3:
        assert s3.put(key, body(), provenance()).proven
