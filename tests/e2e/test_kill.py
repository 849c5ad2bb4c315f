"""Killed at any instant and run again: nothing is lost, and everything converges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.lab import Tripwire

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

SINGLE = ("--concurrency", "1")
NOW = ("--retention", "0")


def converged(lab: Lab, calls: list[tuple[FakeRow, FakeRecording]]) -> None:
    for row, mine in calls:
        assert lab.archived(mine)
        assert lab.holds(row, mine) == "s3"


def test_process(lab: Lab) -> None:
    calls: list[tuple[FakeRow, FakeRecording]] = []
    for effect, lost in (
        ("Recordings.json", False),
        ("GET /v0", True),
        (r"GET .*\.mp3", False),
        ("GET /RE", True),  # the media at its other origin
        ("HEAD", False),
        ("PUT", True),
        ("PUT", False),
        ("PATCH", True),
        ("PATCH", False),
    ):
        calls.append(lab.call())
        wire = Tripwire(at=1, lost=lost, method=effect)
        told = lab.trip(wire, "process", *SINGLE)
        assert wire.tripped.is_set(), effect
        assert told.code == -9
    assert lab.deleted() == set()
    assert lab.json("process").code == 0
    converged(lab, calls)
    assert len(lab.keys()) == len(calls)
    assert len([1 for method, _ in lab.tap.requests if method == "PUT"]) <= len(calls) + 2


def test_migrate_with_deletes(lab: Lab) -> None:
    calls: list[tuple[FakeRow, FakeRecording]] = []
    # In each run two calls are new, and those before them are further.
    for effect, at, lost in (
        ("PUT", 1, True),
        ("PUT", 2, False),
        ("PATCH", 1, True),
        ("PATCH", 1, False),
        ("DELETE", 1, True),
        ("DELETE", 1, False),
        ("DELETE", 2, False),
    ):
        calls.extend(lab.call(linked=True) for _ in range(2))
        wire = Tripwire(at=at, lost=lost, method=effect)
        told = lab.trip(wire, "migrate-fallbacks", *SINGLE, *NOW)
        assert wire.tripped.is_set(), (effect, told)
        lab.check_nothing_lost()
    assert lab.json("migrate-fallbacks", *NOW).code == 0
    converged(lab, calls)
    assert lab.json("purge-twilio", *NOW).code == 0
    assert lab.deleted() == {mine.sid for _, mine in calls}
    assert lab.json("report").doc["report"]["at_risk"] == 0


def test_purge(lab: Lab) -> None:
    calls = [lab.call() for _ in range(6)]
    assert lab.json("process").code == 0
    gone = 0
    # Before it has looked, before it deletes, and before Twilio's confirmation is read.
    for effect, lost in (("HEAD", True), ("DELETE", True), ("DELETE", False), ("GET .*RE", False)):
        wire = Tripwire(at=2, lost=lost, method=effect)
        lab.trip(wire, "purge-twilio", *SINGLE, *NOW)
        assert wire.tripped.is_set()
        lab.check_nothing_lost()
        gone = len(lab.deleted())
    assert 0 < gone < 6
    assert lab.json("purge-twilio", *NOW).code == 0
    assert lab.deleted() == {mine.sid for _, mine in calls}
    converged(lab, calls)
