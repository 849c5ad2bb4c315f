"""Whose failure it is: a service's, one recording's, or that of another service altogether."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import LINK

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

FOR_EVER = 1_000_000
AT_ONCE = {"Retry-After": "0"}
SOON = {"reccli.adapters.twilio.media:NOT_READY_SECONDS": 0.01}


def call(lab: Lab, ago: timedelta) -> tuple[FakeRow, FakeRecording]:
    """Let a call come in whose audio Twilio never gives: it lies in external storage."""
    began = datetime.now(UTC) - ago
    recording = lab.sandbox.twilio.add(duration=2, created=began, media_404_times=FOR_EVER)
    return lab.row(recording.call_sid), recording


@pytest.mark.parametrize(("hours", "code"), [(2, 1), (0, 5)])
def test_no_link_leads_to_audio_that_twilio_does_not_have(lab: Lab, hours: int, code: int) -> None:
    """That of a recording that has just ended may still come."""
    lab.patches = SOON
    row, mine = call(lab, timedelta(hours=hours))
    linked, old = call(lab, timedelta(hours=hours))
    linked.fields[LINK] = link = lab.sandbox.twilio.recording_url(old)
    for command in ("process", "migrate-fallbacks"):
        told = lab.json(command, *([mine.sid, old.sid] if command == "process" else []))
        assert told.code == code
        assert told.summary["failed"] == told.summary["seen"]
        entry = told.of(old)
        assert (entry["steps"], entry["step"]) == ([], "Hold")
        assert entry["reason"] == "Twilio has no audio of it to give: a link to it would be dead"
        assert "external storage" in told.doc["errors"][0]["hint"]
        assert not {"recording_s3_fallback_to_twilio", "twilio_recording_preserved"} & {*told.names}
        assert "S3" not in told.stderr + told.stdout
    assert (lab.holds(row, mine), lab.link(linked)) == ("empty", link)
    mine.media_404_times = old.media_404_times = 0
    assert lab.json("process", mine.sid, old.sid).code == 0
    assert (lab.holds(row, mine), lab.holds(linked, old)) == ("s3", "s3")


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        (Fault(FaultKind.STATUS, status=429, headers=AT_ONCE), 5, "http_429"),
        (Fault(FaultKind.GZIP), 5, "compressed"),
        (Fault(FaultKind.HTML), 1, "not_the_recording"),
    ],
)
def test_what_twilio_does_not_hand_over_is_no_failure_of_s3(
    lab: Lab, fault: Fault, code: int, error: str
) -> None:
    row, mine = lab.call()
    linked, old = lab.call(linked=True)
    fault.times = None
    lab.sandbox.twilio.media.faults.add(fault)
    told = lab.json("process", mine.sid, old.sid)
    lab.sandbox.twilio.media.faults.clear()
    assert (told.code, told.error_codes) == (code, {error})
    assert told.summary == {"seen": 2, "fallback": 1, "failed": 2}
    for recording, steps in ((mine, ["LinkTwilio"]), (old, [])):
        entry = told.of(recording)
        assert (entry["steps"], entry["step"]) == (steps, "Hold")
        assert entry["reason"] == "no copy could be made now: the one at Twilio is untouched"
    assert (lab.holds(row, mine), lab.holds(linked, old)) == ("twilio", "twilio")
    assert told.names["recording_download_failed"] == 2
    assert told.names["recording_saved_to_airtable_twilio"] == 1
    assert told.names["twilio_recording_preserved"] == 2
    assert told.names["recording_s3_fallback_to_twilio"] == 0
    assert "unreachable" not in told.stdout + told.stderr
    report = lab.json("report").doc["report"]
    assert (report["fallback_rate"], report["s3_success_rate"]) == (None, None)


def test_a_key_that_needs_the_row_is_no_failure_of_s3(lab: Lab) -> None:
    row, mine = lab.call()
    told = lab.json("process", RECCLI_S3__KEY_TEMPLATE="{employee}/{recording_sid}.{ext}")
    assert (lab.holds(row, mine), told.of(mine)["steps"]) == ("twilio", ["LinkTwilio"])
    assert told.names["recording_s3_fallback_to_twilio"] == 0


def test_a_table_that_is_not_there_is_no_recording_that_twilio_has_forgotten(lab: Lab) -> None:
    """Both answer 404, and are told by the same code; only Twilio's may be passed over."""
    calls = [lab.call() for _ in range(3)]
    assert lab.json("process").code == 0
    refusal = Fault(FaultKind.STATUS, times=None, status=404, body=b'{"error":"NOT_FOUND"}')
    lab.sandbox.airtable.faults.add(refusal)
    told = lab.json("purge-twilio", "--retention", "0")
    assert told.code == 1
    assert told.summary["failed"] == 3
    for _, recording in calls:
        assert told.of(recording)["reason"] == "could not observe"
    assert {(e["code"], e["hint"]) for e in told.doc["errors"]} == {
        ("not_found", "check airtable.table and airtable.base_id")
    }
    assert lab.deleted() == set()


def test_audio_that_always_fails_holds_up_no_other(lab: Lab) -> None:
    """More in a row than open a breaker, and one after the other, before the good ones."""
    began = datetime.now(UTC) - timedelta(hours=3)
    bad = [lab.sandbox.twilio.add(duration=2, created=began) for _ in range(6)]
    rows = [lab.row(recording.call_sid) for recording in bad]
    poison = "|".join(recording.sid for recording in bad)
    fault = Fault(FaultKind.STATUS, path=poison, status=500, times=None, headers=AT_ONCE)
    lab.sandbox.twilio.media.faults.add(fault)
    good = [lab.call() for _ in range(3)]
    told = lab.json("process", "--concurrency", "1")
    assert told.code == 5
    assert told.summary["copied"] == 3
    assert [lab.holds(row, mine) for row, mine in good] == ["s3"] * 3
    assert told.error_codes == {"http_500"}
    assert {e["sid"] for e in told.doc["errors"]} == {recording.sid for recording in bad}
    assert [lab.holds(*pair) for pair in zip(rows, bad, strict=True)] == ["twilio"] * 6


def test_keys_that_s3_refuses_are_no_refusal_of_the_credentials(lab: Lab) -> None:
    calls = [lab.call() for _ in range(6)]
    refused = "|".join(mine.sid for _, mine in calls)
    lab.tap.faults.add(Fault(FaultKind.STATUS, "HEAD", refused, status=403, times=None))
    row, mine = lab.call()
    told = lab.json("process", "--concurrency", "1")
    assert told.code == 1
    assert lab.holds(row, mine) == "s3"
    assert {e["sid"] for e in told.doc["errors"]} == {mine.sid for _, mine in calls}
    (message,) = {e["message"].partition("AccessDenied")[2] for e in told.doc["errors"]}
    assert message == " (HTTP 403, Forbidden): refused for this alone, others are answered"
    (hint,) = {e["hint"] for e in told.doc["errors"]}
    assert hint == "look for a policy, an access list or an encryption key that concerns it alone"


def test_a_service_that_refuses_everything_is_not_asked_for_ever(lab: Lab) -> None:
    for _ in range(12):
        lab.call()
    lab.tap.faults.add(Fault(FaultKind.STATUS, "HEAD", status=403, times=None))
    told = lab.json("process", "--concurrency", "1")
    assert told.code == 4
    assert {"circuit_open", "service_down"} <= told.error_codes
    heads = [target for method, target in lab.tap.requests if method == "HEAD"]
    assert len(heads) < 12 * 2


def test_rows_that_cannot_be_written_are_no_outage_of_airtable(lab: Lab) -> None:
    """Each alone in its request, and each answered 503; reads are answered."""
    for _ in range(6):
        lab.call()
    fault = Fault(FaultKind.STATUS, "PATCH", times=None, headers=AT_ONCE)
    lab.sandbox.airtable.faults.add(fault)
    told = lab.json("process", "--concurrency", "1")
    assert (told.code, told.error_codes) == (5, {"http_503"})
