"""The S3 adapter writes to a store that checks: SeaweedFS, a real process over real HTTP."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State
from tests.adapters.s3_fakes import (
    AUDIO,
    ENCRYPTION,
    OTHER_SID,
    SID,
    adapter,
    body,
    kind_of,
    provenance,
    recording,
)
from tests.adapters.seaweed_store import claims, options, plant, stored_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reccli.adapters.s3 import S3Adapter
    from tests.adapters.seaweed_store import Store

pytestmark = pytest.mark.timeout(180)


def test_what_was_put_is_proven_then_and_later(seaweed: Store, s3: S3Adapter, key: str) -> None:
    put = s3.put(key, body(), provenance())
    assert (put.state, put.proven, put.age) == (S3State.VERIFIED, True, timedelta())
    assert (put.size, put.sha256) == (len(AUDIO), hashlib.sha256(AUDIO).hexdigest())
    assert stored_bytes(seaweed, key) == AUDIO

    seen = s3.observe(key, SID, read_back=False)
    assert seen == replace(put, age=seen.age)


def test_bytes_that_are_not_the_announced_ones_are_refused(s3: S3Adapter, key: str) -> None:
    flipped = AUDIO[:-1] + b"\x00"
    assert flipped != AUDIO
    with pytest.raises(ServiceError) as caught:
        s3.put(key, body(flipped), provenance())
    assert kind_of(caught) == (FailureKind.BUSY, "BadDigest")
    assert s3.observe(key, SID, read_back=False).state is S3State.ABSENT


def test_a_short_body_is_refused_before_it_is_sent(s3: S3Adapter, key: str) -> None:
    with pytest.raises(ServiceError) as caught:
        s3.put(key, body(AUDIO[:-1]), provenance())
    assert kind_of(caught) == (FailureKind.BUSY, "IncompleteBody")


def test_putting_again_finds_the_first_one(s3: S3Adapter, key: str) -> None:
    s3.put(key, body(), provenance())
    again = s3.put(key, body(), provenance())
    assert (again.state, again.proven) == (S3State.VERIFIED, True)


def test_another_rendering_of_the_same_recording_is_kept(
    seaweed: Store, s3: S3Adapter, key: str
) -> None:
    first = AUDIO + b"first rendering"
    s3.put(key, body(first), provenance(first))
    second = s3.put(key, body(), provenance())
    assert (second.state, second.proven) == (S3State.VERIFIED, True)
    assert second.sha256 == hashlib.sha256(first).hexdigest()
    assert stored_bytes(seaweed, key) == first


@pytest.mark.parametrize("metadata", [{}, claims(recording_sid=OTHER_SID)])
def test_a_foreign_object_is_a_conflict_and_stays(
    seaweed: Store, s3: S3Adapter, key: str, metadata: Mapping[str, str]
) -> None:
    plant(seaweed, key, b"somebody's", metadata)
    put = s3.put(key, body(), provenance())
    assert (put.state, put.proven) == (S3State.CONFLICT, False)
    assert put.failure is not None
    assert key in put.failure.message
    assert stored_bytes(seaweed, key) == b"somebody's"


def test_of_eight_racing_puts_one_wins_and_all_agree(
    seaweed: Store, s3: S3Adapter, key: str
) -> None:
    renderings = [AUDIO + bytes([number]) for number in range(8)]
    start = threading.Barrier(8)

    def race(data: bytes) -> str | None:
        start.wait()
        stored = s3.put(key, body(data), provenance(data))
        assert (stored.state, stored.proven) == (S3State.VERIFIED, True)
        return stored.sha256

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(race, renderings))
    assert seen == {hashlib.sha256(stored_bytes(seaweed, key)).hexdigest()}


@pytest.mark.parametrize(
    "name", ["a b+c&d=e.mp3", "ü/€ 通話.mp3", "x//y.mp3", "50%20off?.mp3", "it's (1)!#~.mp3"]
)
def test_odd_keys_work_from_put_to_link(seaweed: Store, s3: S3Adapter, name: str) -> None:
    key = f"{uuid4().hex}/{name}"
    s3.put(key, body(), provenance())
    assert s3.observe(key, SID, read_back=False).proven
    assert stored_bytes(seaweed, key) == AUDIO
    assert httpx.get(s3.presign(key)).content == AUDIO


def test_class_encryption_and_provenance_arrive(seaweed: Store, key: str) -> None:
    wanted = options(seaweed, storage_class="STANDARD_IA", server_side_encryption="AES256")
    with adapter(**wanted) as s3:
        s3.put(key, body(), provenance(about=recording(encryption=ENCRYPTION)))
        assert s3.observe(key, SID, read_back=True).proven
    head = seaweed.client.head_object(Bucket=seaweed.bucket, Key=key)
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert head["ContentType"] == "audio/mpeg"
    assert head["Metadata"] == {
        "recording-sid": SID,
        "call-sid": "CA" + "e5" * 16,
        "account-sid": "AC" + "c3" * 16,
        "region": "us1",
        "duration": "12",
        "channels": "2",
        "sha256": hashlib.sha256(AUDIO).hexdigest(),
        "size": str(len(AUDIO)),
        "created": "2026-11-22T09:30:00Z",
        "source": "OutboundAPI",
        "encryption-public-key-sid": ENCRYPTION["encryption_public_key_sid"],
        "encryption-cek": ENCRYPTION["encryption_cek"],
        "encryption-iv": ENCRYPTION["encryption_iv"],
    }


def test_a_link_works_until_it_expires_and_not_when_changed(seaweed: Store, key: str) -> None:
    with adapter(**options(seaweed, link_ttl=timedelta(seconds=2))) as s3:
        s3.put(key, body(), provenance())
        link = s3.presign(key)
        fresh = httpx.get(link)
        tampered = httpx.get(link.replace(SID, OTHER_SID))
        time.sleep(3)
        expired = httpx.get(link)
    assert (fresh.status_code, fresh.content) == (200, AUDIO)
    assert fresh.headers["content-type"] == "audio/mpeg"
    assert (tampered.status_code, expired.status_code) == (403, 403)


def test_a_link_is_for_one_method_and_for_the_life_that_is_asked_for(
    seaweed: Store, s3: S3Adapter, key: str
) -> None:
    s3.put(key, body(), provenance())
    get, head = s3.presign(key), s3.presign(key, method="HEAD")
    assert httpx.get(get, headers={"Range": "bytes=3-12"}).content == AUDIO[3:13]
    looked = httpx.head(head)
    assert (looked.status_code, looked.headers["content-length"]) == (200, str(len(AUDIO)))
    assert (httpx.head(get).status_code, httpx.get(head).status_code) == (403, 403)
    short = s3.presign(key, life=timedelta(seconds=3), method="HEAD")
    assert httpx.head(short).status_code == 200
    time.sleep(4)
    assert httpx.head(short).status_code == 403


def test_fifty_megabytes_pass_in_flat_memory(seaweed: Store, s3: S3Adapter, key: str) -> None:
    block = bytes(range(256)) * 4096
    size, digest = 50 * len(block), hashlib.sha256()
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            file.write(block)
            digest.update(block)
        about = replace(provenance(), size=size, sha256=digest.hexdigest())
        tracemalloc.start()
        try:
            s3.put(key, file, about)
            plain = claims(size=str(size), sha256=digest.hexdigest())
            file.seek(0)
            seaweed.client.put_object(
                Bucket=seaweed.bucket, Key=f"{key}.plain", Body=file, Metadata=plain
            )
            assert s3.observe(f"{key}.plain", SID, read_back=True).proven
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_a_file_that_spilled_to_disk_is_stored(s3: S3Adapter, key: str) -> None:
    with tempfile.SpooledTemporaryFile(max_size=1024) as spool:
        spool.write(AUDIO)
        assert s3.put(key, spool, provenance()).proven  # type: ignore[arg-type]
