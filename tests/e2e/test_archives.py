"""Two accounts with one ledger, as the default path makes it: none does the other's work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.adapters.ledger import Callback, Ledger
from tests.ledger.samples import add_all

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

OTHER = "AC" + "0b" * 16


def test_the_callbacks_of_another_account_are_left_alone(lab: Lab) -> None:
    _, mine = lab.call()
    assert lab.run("process").code == 0
    theirs = "RE" + "0b" * 16
    ledger = lab.home / "state" / "ledger.sqlite3"
    with Ledger.open(f"sqlite:///{ledger}") as opened:
        long_ago = datetime.now(UTC) - timedelta(hours=3)
        add_all(opened, [Callback(theirs, "completed", OTHER, None, b"", long_ago)])
    lab.sandbox.twilio.clear_requests()
    told = lab.json("process")
    assert (told.code, told.doc["recordings"]) == (0, [])
    assert not [r for r in lab.sandbox.twilio.requests if theirs in r.path]
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("SELECT finished_us FROM callbacks").fetchall() == [(None,)]
    report = lab.json("report").doc["report"]
    assert report["callbacks_pending"] == 0
    # The other account has its own history: its first run looks at everything, as ours did.
    first = lab.json("report", AWS_S3_RECORDINGS_PREFIX="elsewhere/").doc["report"]
    assert (report["s3_success_rate"], first["s3_success_rate"]) == (1.0, None)
    assert lab.archived(mine)


def test_a_report_leaves_the_ledger_as_it_is(lab: Lab) -> None:
    """Whether there is none, one, or one that another process is writing to."""
    _, mine = lab.call()
    ledger = lab.home / "state" / "ledger.sqlite3"
    for words in (["report"], ["process", "--dry-run"]):
        told = lab.json(*words)
        assert (told.code, told.names["ledger_error"]) == (0, 0)
        assert not ledger.exists()
    report = lab.json("report").doc["report"]
    assert (report["callbacks_pending"], report["callbacks"]) == (None, None)
    lab.sandbox.twilio.add(duration=2)  # which no row mentions: an event
    assert lab.json("process").code == 0
    before = (ledger.read_bytes(), ledger.stat().st_mtime_ns)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        told = lab.json("report")
        dry = lab.json("process", "--dry-run")
    assert dry.names["ledger_error"] == 0
    assert (told.code, told.names) == (0, {"call_log_not_found": 1})
    assert told.doc["report"]["callbacks_pending"] == 0
    assert told.doc["report"]["s3_success_rate"] == 1.0
    assert (ledger.read_bytes(), ledger.stat().st_mtime_ns) == before
    assert lab.archived(mine)
