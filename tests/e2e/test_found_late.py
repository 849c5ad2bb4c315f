"""What `process` looks at without being told: all since it last saw everything, failures last."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import LINK

if TYPE_CHECKING:
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab


def let_pass(lab: Lab, days: int) -> None:
    """Make everything that the ledger knows so much older."""
    us = days * 86_400_000_000
    with closing(sqlite3.connect(lab.home / "state" / "ledger.sqlite3")) as db, db:
        db.execute("UPDATE events SET at_us = at_us - ?", (us,))


def older(lab: Lab, days: int) -> FakeRecording:
    created = datetime.now(UTC) - timedelta(days=days)
    return lab.sandbox.twilio.add(duration=1, created=created)


def test_after_ten_days_away_everything_since_is_looked_at(lab: Lab) -> None:
    """Also what has its object already, and has no link: S3's listing would not tell of that."""
    mine = older(lab, 6)
    row = lab.row(mine.call_sid)
    assert lab.run("process", mine.sid).code == 0
    assert lab.run("process").code == 0
    row.fields[LINK] = ""
    assert lab.json("process").doc["recordings"] == []
    let_pass(lab, 10)
    told = lab.json("process")
    assert (told.code, told.summary) == (0, {"seen": 1, "relinked": 1, "waiting": 1})
    row.fields[LINK] = ""
    assert lab.json("process").doc["recordings"] == []  # all of it has been seen now
    full = lab.json("process", "--full")
    assert (full.code, full.summary["relinked"]) == (0, 1)


def test_what_failed_comes_last_in_the_next_run_and_in_turn_after_that(lab: Lab) -> None:
    now = datetime.now(UTC)
    made = [
        lab.sandbox.twilio.add(duration=1, created=now - timedelta(hours=9 - number))
        for number in range(6)
    ]
    bad, good = made[:3], made[3:]
    for recording in good:
        lab.row(recording.call_sid)
    for recording in bad:  # without a row that could hold a fallback link
        fault = Fault(FaultKind.HTML, path=recording.sid, times=None)
        lab.sandbox.twilio.media.faults.add(fault)

    def seen() -> set[str]:
        told = lab.json("process", "--limit", "3")
        return {entry["sid"] for entry in told.doc["recordings"]}

    assert seen() == {recording.sid for recording in bad}
    assert seen() == {recording.sid for recording in good}
    assert all(lab.archived(recording) for recording in good)
    assert seen() == {recording.sid for recording in bad}  # they have their turn again


def test_more_that_fail_than_the_limit_allows_keep_no_other_from_its_turn(lab: Lab) -> None:
    now = datetime.now(UTC)
    made = [
        lab.sandbox.twilio.add(duration=1, created=now - timedelta(hours=9 - number))
        for number in range(6)
    ]
    for recording in made:
        lab.row(recording.call_sid, link=lab.sandbox.twilio.recording_url(recording))
    for recording in made[:5]:
        fault = Fault(FaultKind.HTML, path=recording.sid, times=None)
        lab.sandbox.twilio.media.faults.add(fault)

    def seen() -> set[str]:
        told = lab.json("migrate-fallbacks", "--limit", "2")
        return {entry["sid"] for entry in told.doc["recordings"]}

    turns = [seen() for _ in range(3)]
    assert set.union(*turns) == {recording.sid for recording in made}
    assert lab.archived(made[5])
    assert seen() | seen() | seen() == {recording.sid for recording in made[:5]}
