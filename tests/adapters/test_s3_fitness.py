"""What is stored, but not for keeps: archive classes and expirations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import FailureKind
from reccli.core.model import S3State
from tests.adapters.s3_fakes import (
    AUDIO,
    KEY,
    SHA256,
    SID,
    Reply,
    ScriptedS3,
    adapter,
    body,
    head_of,
    provenance,
)
from tests.adapters.seaweed_store import claims, options

if TYPE_CHECKING:
    from reccli.core.model import StoredObject
    from tests.adapters.seaweed_store import Store

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 09:30:00 GMT"
TOLD = {"x-amz-checksum-sha256": SHA256}
CLASS, TIER = "x-amz-storage-class", "x-amz-archive-status"
RESTORE, EXPIRES = "x-amz-restore", "x-amz-expiration"


def goes(when: str) -> dict[str, str]:
    return {EXPIRES: f'expiry-date="{when}", rule-id="tidy%20up"'}


def looked_at(
    headers: dict[str, str],
    *,
    accept: bool = False,
    read_back: bool = False,
    date: str = DATE,
    now: datetime = NOW,
) -> tuple[StoredObject, list[str]]:
    """Observe an object of a store that is believed; tell the methods of the requests too."""
    with (
        ScriptedS3(lambda _: head_of(headers={**TOLD, **headers})) as server,
        adapter(
            lambda: now,
            endpoint_url=server.endpoint_url,
            verifies_checksums=True,
            accept_archive_class=accept,
        ) as s3,
    ):
        server.date = date
        stored = s3.observe(KEY, SID, read_back=read_back)
    return stored, [request.method for request in server.seen]


def told(stored: StoredObject, code: str) -> str:
    """Tell the message of what must be unfit for that reason, and proven all the same."""
    assert (stored.state, stored.proven, stored.size) == (S3State.UNFIT, True, len(AUDIO))
    assert stored.failure is not None
    assert (stored.failure.kind, stored.failure.code) == (FailureKind.PERMANENT, code)
    assert stored.failure.message.startswith(f"s3://rec/{KEY}: ")
    hint = {"ArchiveClass": "s3.accept_archive_class", "Expires": "lifecycle rule"}[code]
    assert hint in stored.failure.hint
    return stored.failure.message


ARCHIVED = [
    ({CLASS: "GLACIER"}, "GLACIER: no link"),
    ({CLASS: "DEEP_ARCHIVE"}, "DEEP_ARCHIVE: no link"),
    ({CLASS: "INTELLIGENT_TIERING", TIER: "ARCHIVE_ACCESS"}, " ARCHIVE_ACCESS"),
    ({CLASS: "INTELLIGENT_TIERING", TIER: "DEEP_ARCHIVE_ACCESS"}, "DEEP_ARCHIVE_ACCESS"),
    ({CLASS: "GLACIER", RESTORE: 'ongoing-request="true"'}, "under way"),
    (
        {
            CLASS: "GLACIER",
            RESTORE: 'ongoing-request="false", expiry-date="Fri, 18 Dec 2026 00:00:00 GMT"',
        },
        "only until Fri, 18 Dec 2026",
    ),
]


@pytest.mark.parametrize("read_back", [False, True])
@pytest.mark.parametrize(("headers", "words"), ARCHIVED)
def test_an_archive_class_is_unfit_unless_accepted(
    headers: dict[str, str], words: str, *, read_back: bool
) -> None:
    stored, methods = looked_at(headers, read_back=read_back)
    assert words in told(stored, "ArchiveClass")
    accepted, _ = looked_at(headers, accept=True, read_back=read_back)
    assert (accepted.state, accepted.proven, accepted.failure) == (S3State.VERIFIED, True, None)
    assert methods == ["HEAD"]


@pytest.mark.parametrize("name", ["", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING"])
def test_a_class_that_opens_at_once_is_fit(name: str) -> None:
    stored, _ = looked_at({CLASS: name})
    assert (stored.state, stored.failure) == (S3State.VERIFIED, None)


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("storage_class", ["STANDARD_IA", "GLACIER"])
@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("Sun, 29 Nov 2026 09:30:00 GMT", "it goes on 2026-11-29 09:30 UTC"),
        ("Sat, 21 Nov 2026 00:00:00 GMT", "'tidy%20up'"),
        ("soon", "not when"),
        ("", "not when"),
    ],
)
def test_what_goes_within_a_week_is_unfit_whatever_is_accepted(
    when: str, words: str, storage_class: str, *, accept: bool
) -> None:
    stored, _ = looked_at({CLASS: storage_class, **goes(when)}, accept=accept)
    assert words in told(stored, "Expires")


def test_an_expiration_without_a_date_is_unfit() -> None:
    stored, _ = looked_at({EXPIRES: 'rule-id="tidy"'})
    assert "not when" in told(stored, "Expires")


@pytest.mark.parametrize(
    "headers", [goes("Sun, 29 Nov 2026 09:30:01 GMT"), {EXPIRES: "NotImplemented"}]
)
def test_what_stays_for_a_week_is_fit(headers: dict[str, str]) -> None:
    assert looked_at(headers)[0].state is S3State.VERIFIED


@pytest.mark.parametrize(
    ("date", "now"),
    [
        (DATE, NOW + timedelta(seconds=1)),
        ("Sun, 22 Nov 2026 09:30:01 GMT", NOW),
        ("yesterday", NOW + timedelta(seconds=1)),
    ],
)
def test_the_clock_that_is_further_on_counts(date: str, now: datetime) -> None:
    stored, _ = looked_at(goes("Sun, 29 Nov 2026 09:30:01 GMT"), date=date, now=now)
    told(stored, "Expires")


def test_an_unfit_object_that_is_not_proven_is_not_read_for_nothing() -> None:
    with (
        ScriptedS3(lambda _: head_of(headers={CLASS: "GLACIER"})) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        stored = s3.observe(KEY, SID, read_back=True)
    assert (stored.state, stored.proven) == (S3State.UNFIT, False)
    assert [request.method for request in server.seen] == ["HEAD"]


def test_a_conflict_is_a_conflict_in_any_class() -> None:
    headers = {CLASS: "GLACIER", "x-amz-meta-Size": "1"}
    assert looked_at(headers)[0].state is S3State.CONFLICT


def test_one_that_turns_out_to_go_while_it_is_read_is_unfit() -> None:
    with (
        ScriptedS3(
            lambda seen: head_of(headers=goes("") if seen.method == "GET" else None)
        ) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        told(s3.observe(KEY, SID, read_back=True), "Expires")


@pytest.mark.parametrize(
    ("storage_class", "headers", "code"),
    [("GLACIER", {}, "ArchiveClass"), ("", goes("Mon, 23 Nov 2026 00:00:00 GMT"), "Expires")],
)
def test_a_put_tells_at_once_that_its_object_is_unfit(
    storage_class: str, headers: dict[str, str], code: str
) -> None:
    with (
        ScriptedS3(lambda _: Reply(headers={**TOLD, **headers})) as server,
        adapter(
            lambda: NOW,
            endpoint_url=server.endpoint_url,
            verifies_checksums=True,
            storage_class=storage_class,
        ) as s3,
    ):
        told(s3.put(KEY, body(), provenance()), code)
    assert len(server.seen) == 1


def test_a_store_with_classes_tells_them(seaweed: Store, key: str) -> None:
    seaweed.client.put_object(
        Bucket=seaweed.bucket, Key=key, Body=AUDIO, Metadata=claims(), StorageClass="GLACIER"
    )
    with adapter(**options(seaweed)) as s3:
        assert s3.observe(key, SID, read_back=True).state is S3State.UNFIT
    with adapter(**options(seaweed, accept_archive_class=True)) as s3:
        assert s3.observe(key, SID, read_back=True).proven
