"""The public contract, command by command: documents, exit codes, events, flags."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.adapters.ledger import Callback, Ledger
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import ACCOUNT_SID, TRANSFER
from tests.e2e.lab import Gate, Tripwire
from tests.ledger.samples import add_all

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

REPORT = {
    *("fallback_rows", "oldest_waiting_hours", "preserved_recordings", "preserved_minutes"),
    *("monthly_cost_usd", "s3_success_rate", "fallback_rate", "airtable_update_failures"),
    "callbacks_pending",
}

AT_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
from reccli.cli import main
main()
"""


def test_from_a_new_recording_to_a_clean_twilio(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    row, mine = lab.call()
    unlisted = twilio.add(duration=2)  # its call has no row
    running, nothing = twilio.add(status="in-progress"), twilio.add(status="absent")

    before = dict(row.fields)
    dry = lab.json("process", "--dry-run")
    assert (dry.code, lab.writes(), lab.keys(), row.fields) == (0, [], [], before)
    assert (dry.doc["dry_run"], dry.of(mine)["steps"]) == (True, ["Copy", "Relink"])

    told = lab.json("process")
    assert told.code == 0
    assert told.summary == {
        "seen": 4,
        "copied": 2,
        "relinked": 1,
        "waiting": 2,
        "held": 1,
        "done": 1,
    }
    would = {name: count for name, count in dry.summary.items() if name != "held"}
    assert would == {name: count for name, count in told.summary.items() if name != "held"}
    assert told.doc["summary"]["bytes"] == 2 * len(mine.media("mp3", 1))
    assert told.doc["dry_run"] is False
    entry = told.of(mine)
    assert (entry["steps"], entry["step"]) == (["Copy", "Relink"], "Wait")
    assert (entry["call_sid"], entry["error"]) == (mine.call_sid, None)
    assert entry["key"] == f"call-recordings/{mine.call_sid}/{mine.sid}.mp3"
    assert entry["link"] == lab.link(row).partition("?")[0]
    assert (told.of(unlisted)["step"], told.of(unlisted)["steps"]) == ("Hold", ["Copy"])
    assert told.of(running)["step"] == "Wait"
    assert (told.of(nothing)["step"], told.of(nothing)["reason"]) == (
        "Done",
        "nothing was recorded",
    )
    assert lab.archived(mine)
    assert lab.archived(unlisted)
    assert lab.holds(row, mine) == "s3"
    assert told.names == {
        "recording_download_success": 2,
        "recording_s3_upload_success": 2,
        "recording_saved_to_airtable_s3": 1,
        "twilio_deletion_scheduled": 1,
        "call_log_not_found": 1,
    }
    for name in ("recording_saved_to_airtable_s3", "twilio_deletion_scheduled"):
        event = told.event(name)
        assert (event["recording_sid"], event["call_sid"]) == (mine.sid, mine.call_sid)
    assert told.event("call_log_not_found")["call_sid"] == unlisted.call_sid

    quiet = lab.run("process", "-q")
    assert (quiet.code, quiet.stderr) == (0, "")
    assert quiet.stdout == (
        f"held: archived, nothing refers to it yet; 1 recording: {unlisted.sid}; "
        "fix: create the call's row; if there is one with the SID of the call's other leg, "
        "put the call_sid of --json there: Twilio keeps a recording under the first leg's\n"
    )

    changes = lab.writes()
    dry = lab.json("purge-twilio", "-n", "--retention", "0")
    assert (dry.code, dry.of(mine)["steps"]) == (0, ["Delete"])
    assert (dry.summary["seen"], lab.writes(), lab.deleted()) == (4, changes, set())

    purge = lab.json("purge-twilio", "--retention", "0")  # no terminal: nobody is asked
    assert (purge.code, purge.summary["deleted"], lab.deleted()) == (0, 1, {mine.sid})
    assert purge.of(mine)["steps"] == ["Delete"]
    assert purge.event("twilio_recording_deleted")["recording_sid"] == mine.sid

    report = lab.json("report")
    assert report.code == 0
    assert report.doc["report"].keys() >= REPORT
    assert report.doc["report"]["preserved_recordings"] == 1
    assert report.doc["report"]["s3_success_rate"] == 1.0


def test_an_outage_of_s3_is_told_reported_and_repaired(lab: Lab) -> None:
    (row, mine), (_, other) = lab.call(), lab.call()
    lab.tap.cut = True
    told = lab.json("process")
    assert told.code == 5
    assert told.summary == {"seen": 2, "fallback": 2, "failed": 2}
    assert told.of(mine)["steps"] == ["LinkTwilio"]
    assert (told.of(mine)["step"], told.of(mine)["reason"]) == (
        "Hold",
        "S3 unreachable, Twilio copy preserved",
    )
    for name in (
        "recording_s3_fallback_to_twilio",
        "recording_saved_to_airtable_twilio",
        "twilio_recording_preserved",
    ):
        mentioned = {e["recording_sid"] for e in told.events if e["event"] == name}
        assert mentioned == {mine.sid, other.sid}
    assert lab.holds(row, mine) == "twilio"

    lab.tap.cut = False
    report = lab.json("report")
    assert report.code == 6
    assert report.error_codes == {"threshold"}
    figures = report.doc["report"]
    assert (figures["fallback_rows"], figures["fallback_rate"]) == (2, 1.0)
    assert figures["preserved_minutes"] == 2
    assert figures["oldest_waiting_hours"] == pytest.approx(0.09, abs=0.03)

    changes = lab.writes()
    dry = lab.json("migrate-fallbacks", "--dry-run")
    assert (dry.code, dry.of(mine)["steps"], lab.writes()) == (0, ["Copy", "Relink"], changes)

    one = lab.json("migrate-fallbacks", "--limit", "1", "--concurrency", "1")
    assert (one.code, one.summary["relinked"]) == (0, 1)
    none = lab.json("migrate-fallbacks", "--max-duration", "0s")
    assert (none.code, none.summary.get("relinked", 0)) == (0, 0)
    rest = lab.run("migrate-fallbacks", "-v")  # flags come after the command
    assert rest.code == 0
    assert "1 relinked" in rest.stdout
    assert lab.holds(row, mine) == "s3"
    assert lab.archived(mine)
    assert lab.archived(other)


def test_a_report_never_takes_what_it_could_not_see_for_nought(lab: Lab) -> None:
    airtable, twilio = lab.sandbox.airtable, lab.sandbox.twilio
    down = lab.json("report", AIRTABLE_API_KEY="patWrong.0123456789")
    assert (down.code, down.doc["report"]["fallback_rows"]) == (4, None)
    assert down.doc["errors"]
    assert down.doc["report"]["preserved_recordings"] == 0
    words = lab.run("report", AIRTABLE_API_KEY="patWrong.0123456789")
    assert "could not observe" in words.stdout
    airtable.faults.add(Fault(FaultKind.STATUS, times=None, status=503))
    assert (lab.json("report").code, down.doc["report"]["fallback_rows"]) == (5, None)
    airtable.faults.clear()
    lab.call()
    twilio.faults.add(Fault(FaultKind.STATUS, times=None, status=503))
    cut = lab.json("report")
    assert (cut.code, cut.doc["report"]["preserved_recordings"]) == (5, None)
    assert lab.json("report", "--limit", "9").doc["report"]["at_risk"] is None
    assert (cut.doc["report"]["at_risk"], cut.doc["report"]["fallback_rows"]) == (None, 0)


def test_neither_ledger_nor_lock_is_needed(lab: Lab) -> None:
    """The state directory is a file: no lock, no ledger, and the work is done all the same."""
    row, mine = lab.call()
    blocked = lab.home / "blocked"
    blocked.touch()
    told = lab.json("process", STATE_DIRECTORY=str(blocked))
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    assert told.names["lock_unavailable"] == told.names["ledger_error"] == 1
    report = lab.json("report", STATE_DIRECTORY=str(blocked))
    assert (report.code, report.doc["report"]["callbacks_pending"]) == (0, None)


def test_a_ledger_that_breaks_is_told_and_left_alone(lab: Lab) -> None:
    file = lab.home / "ledger.sqlite3"
    url = f"sqlite:///{file}"
    assert lab.json("process", RECCLI_LEDGER__URL=url).code == 0
    with closing(sqlite3.connect(file)) as db:
        db.execute("ALTER TABLE callbacks RENAME COLUMN call_sid TO gone")
        db.execute("ALTER TABLE events RENAME COLUMN name TO gone")
        db.commit()
    row, mine = lab.call()
    told = lab.json("process", RECCLI_LEDGER__URL=url)
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    assert told.names["ledger_error"]
    report = lab.json("report", RECCLI_LEDGER__URL=url)
    assert (report.code, report.doc["report"]["airtable_update_failures"]) == (0, None)
    assert report.names["ledger_error"]


def test_callbacks_of_settled_recordings_do_not_come_again(lab: Lab) -> None:
    url = f"sqlite:///{lab.home / 'ledger.sqlite3'}"
    (_, mine), running = lab.call(), lab.sandbox.twilio.add(status="in-progress")
    gone = lab.sandbox.twilio.add(duration=2)
    lab.sandbox.twilio.delete(gone.sid)
    lab.tampered.add(gone.sid)
    recordings = (mine, running, gone)
    with Ledger.open(url) as ledger:
        now = datetime.now(UTC)
        sids = [(one.sid, one.call_sid) for one in recordings]
        add_all(
            ledger, [Callback(sid, "completed", ACCOUNT_SID, call, b"", now) for sid, call in sids]
        )

        def pending() -> set[str]:
            return {found.sid for found in ledger.pending_callbacks(10)}

        for words in (["process", "--dry-run"], ["report"], ["purge-twilio"]):
            lab.json(*words, RECCLI_LEDGER__URL=url)
            assert pending() == {recording.sid for recording in recordings}
        told = lab.json("process", RECCLI_LEDGER__URL=url)
        assert (told.of(mine)["step"], told.of(gone)["step"]) == ("Wait", "Lost")
        assert pending() == {running.sid}


def test_the_callback_of_a_call_is_finished_when_all_its_recordings_are_settled(lab: Lab) -> None:
    url = f"sqlite:///{lab.home / 'ledger.sqlite3'}"
    row, (first, second) = lab.sandbox.call(duration=2, recordings=2)
    silent = "CA" + "0f" * 16
    with Ledger.open(url) as ledger:
        now = datetime.now(UTC)
        for sid, received in ((first.call_sid, now), (silent, now - timedelta(hours=2))):
            told = Callback(sid, "stopped MZ1", ACCOUNT_SID, sid, b"", received)
            assert add_all(ledger, [told]) == [True]
        lab.json("process", first.sid, RECCLI_LEDGER__URL=url)
        assert ledger.callbacks_pending() == 2
        lab.json("process", "--limit", "1", RECCLI_LEDGER__URL=url)
        assert lab.holds(row, second, TRANSFER) == "s3"
        lab.json("process", RECCLI_LEDGER__URL=url)
        assert ledger.callbacks_pending() == 0


def test_a_call_that_cannot_be_asked_for_is_an_error_and_stays_pending(lab: Lab) -> None:
    url = f"sqlite:///{lab.home / 'ledger.sqlite3'}"
    call_sid = "CA" + "0f" * 16
    refusal = Fault(FaultKind.STATUS, status=403, path=r"Recordings\.json", after=1, body=b"{}")
    with Ledger.open(url) as ledger:
        told = Callback(call_sid, "stopped MZ1", ACCOUNT_SID, call_sid, b"", datetime.now(UTC))
        add_all(ledger, [told])
        lab.sandbox.twilio.faults.add(refusal)
        done = lab.json("process", RECCLI_LEDGER__URL=url)
        assert done.code == 4
        assert done.doc["errors"]
        assert ledger.callbacks_pending() == 1


def test_the_callback_of_what_was_linked_before_is_finished(lab: Lab) -> None:
    url = f"sqlite:///{lab.home / 'ledger.sqlite3'}"
    _, recording = lab.call()
    lab.json("process", RECCLI_LEDGER__URL=url)
    with Ledger.open(url) as ledger:
        about = (recording.sid, "completed", ACCOUNT_SID, recording.call_sid)
        add_all(ledger, [Callback(*about, b"", datetime.now(UTC))])
        lab.json("process", RECCLI_LEDGER__URL=url)
        assert ledger.callbacks_pending() == 0


def test_a_number_in_a_field_is_in_no_line(lab: Lab) -> None:
    row, mine = lab.call()
    row.fields["Employee"] = "+61 400 111 222"
    told = lab.json("process", RECCLI_S3__KEY_TEMPLATE="{employee}/{recording_sid}.{ext}")
    assert lab.keys() == [f"call-recordings/61-400-111-222/{mine.sid}.mp3"]
    assert "400-111" not in told.stdout + told.stderr
    assert told.of(mine)["key"] == f"call-recordings/[redacted]/{mine.sid}.mp3"
    assert told.of(mine)["link"].endswith(f"/[redacted]/{mine.sid}.mp3")


def test_what_is_lost_or_refused_is_an_error(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    row, lost = lab.call(linked=True)
    twilio.delete(lost.sid)
    lab.tampered.add(lost.sid)
    _, page = lab.call(linked=True)
    twilio.media.faults.add(Fault(FaultKind.HTML, path=page.sid, times=None))
    told = lab.json("migrate-fallbacks")
    assert told.code == 1
    assert told.summary == {"seen": 2, "lost": 1, "failed": 1}
    assert told.of(lost)["step"] == "Lost"
    assert told.event("recording_lost")["recording_sid"] == lost.sid
    assert told.event("recording_download_failed")["call_sid"] == page.call_sid
    assert {"lost", "not_the_recording"} <= told.error_codes
    assert lab.holds(row, lost) == "twilio"

    refused = lab.json("process", RECCLI_S3__SECRET_ACCESS_KEY="wrong-secret-key")
    assert refused.code == 0  # nothing to do: both have a link
    _, new = lab.call()
    refused = lab.json("process", RECCLI_S3__SECRET_ACCESS_KEY="wrong-secret-key")
    assert (refused.code, refused.of(new)["steps"]) == (4, ["LinkTwilio"])

    words = lab.run("process", "RE" + "0" * 32)  # there is no such recording
    assert (words.code, "error: " in words.stdout) == (1, True)

    assert lab.json("process", TWILIO_AUTH_TOKEN="wrong-auth-token").code == 4
    assert lab.json("migrate-fallbacks", AIRTABLE_API_KEY="patWrong.0123456789").code == 4


def test_a_second_run_finds_the_lock(lab: Lab) -> None:
    _, mine = lab.call()
    gate = lab.sandbox.twilio.media.faults = Gate()
    try:
        first = lab.start("process", "--json")
        assert gate.arrived.wait(60)
        second = lab.json("migrate-fallbacks")
        assert (second.code, second.error_codes) == (11, {"locked"})
        assert (second.doc["recordings"], lab.run("purge-twilio").code) == ([], 11)
    finally:
        gate.open.set()
    assert first.end().code == 0
    assert lab.archived(mine)


def test_an_interrupted_run_says_so_and_the_next_converges(lab: Lab) -> None:
    calls = []
    for number in (signal.SIGINT, signal.SIGTERM):
        calls += [lab.call() for _ in range(3)]
        wire = Tripwire(at=1, method=r"GET /RE\w+\.mp3", signal=number)
        told = lab.trip(wire, "process", "--json", "--concurrency", "1")
        assert wire.tripped.is_set()
        assert told.code == 130
    again = lab.json("process")
    assert again.code == 0
    for row, mine in calls:
        assert lab.archived(mine)
        assert lab.holds(row, mine) == "s3"


@pytest.mark.parametrize(
    ("typed", "more", "code"),
    [
        *((b"n\n", (), 0), (b"\n", ("--json",), 0), (b"\x04", (), 0)),
        *((b"\x03", (), 130), (b"y\n", ("--json",), 0)),
    ],
    ids=["n", "json", "ctrl-d", "ctrl-c", "yes"],
)
def test_a_person_at_a_terminal_is_asked_and_may_say_no(
    lab: Lab, typed: bytes, more: tuple[str, ...], code: int
) -> None:
    _, mine = lab.call(duration=61)
    assert lab.run("process").code == 0
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, "purge-twilio", "--retention=0", *more],
        env=lab.environment(TERM="dumb"),
        cwd=lab.home,
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        asked = b""
        while b"for ever?" not in asked:
            asked += os.read(ours, 1000)
        os.write(ours, typed)
        stdout, _ = process.communicate(timeout=30)
    os.close(ours)
    assert b"Delete 1 recordings (2 minutes, the oldest 0.1 hours old)" in asked
    assert ACCOUNT_SID.encode() in asked
    assert lab.bucket.encode() in asked
    yes = typed == b"y\n"
    assert (process.returncode, lab.deleted()) == (code, {mine.sid} if yes else set())
    if more:
        doc = json.loads(stdout)
        (entry,) = doc["recordings"]
        assert (doc["errors"], doc["summary"]["deleted"]) == ([], int(yes))
        assert entry["reason"] == ("converged" if yes else "not confirmed: nothing was deleted")
    else:
        assert b"not confirmed: nothing was deleted" in stdout


def test_too_many_deletes_are_refused(lab: Lab) -> None:
    calls = [lab.call(duration=1) for _ in range(25)]
    assert lab.json("process").summary["relinked"] == 25
    share = {"RECCLI_SAFETY__MAX_DELETE_FRACTION": "0.9"}
    told = lab.json("purge-twilio", "--retention", "0", "--yes", **share)
    assert (told.code, told.error_codes, lab.deleted()) == (3, {"unsafe"}, set())
    assert {entry["step"] for entry in told.doc["recordings"]} == {"Hold"}
    assert not [r for r in lab.sandbox.twilio.requests if r.method == "DELETE"]
    few = lab.json("purge-twilio", "--retention", "0", RECCLI_SAFETY__MAX_DELETES="3")
    assert (few.code, lab.deleted()) == (3, set())
    tell = lab.json("purge-twilio", "-n", "--retention=0", RECCLI_SAFETY__MAX_DELETES="3")
    assert (tell.code, tell.doc["errors"]) == (3, few.doc["errors"])
    assert tell.summary == {"seen": 25, "held": 25}
    words = lab.run("purge-twilio", "-n", "--retention=0")
    assert (words.code, lab.deleted()) == (0, set())
    assert "purge-twilio would say: 25 seen, 25 deleted (25 min, " in words.stdout
    assert "end with exit code 0" in words.stdout
    meant = lab.json(
        "purge-twilio", "--retention=0h", "--max-deletes=25", RECCLI_SAFETY__MAX_DELETES="3"
    )
    assert (meant.code, lab.deleted()) == (0, {mine.sid for _, mine in calls})
