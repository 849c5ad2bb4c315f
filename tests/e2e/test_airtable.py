"""Airtable that fails, refuses, or answers well and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.airtable_api import Paging
from reccli.sandbox.faults import Fault, FaultKind

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_a_failed_lookup_is_no_reason_to_write_anything(lab: Lab) -> None:
    row, mine = lab.call()
    lab.sandbox.airtable.faults.add(Fault(FaultKind.STATUS, "GET|POST", times=None, status=503))
    told = lab.json("process")
    assert told.code == 5
    assert (told.of(mine)["step"], told.of(mine)["reason"]) == ("Hold", "could not observe")
    assert (lab.writes(), lab.keys(), lab.holds(row, mine)) == ([], [], "empty")


def test_a_failed_update_is_told_and_repaired_by_the_next_run(lab: Lab) -> None:
    row, mine = lab.call()
    lab.sandbox.airtable.faults.add(Fault(FaultKind.STATUS, "PATCH", times=None, status=503))
    told = lab.json("process")
    assert (told.code, lab.holds(row, mine)) == (5, "empty")
    event = told.event("airtable_update_error")
    assert (event["recording_sid"], event["call_sid"]) == (mine.sid, mine.call_sid)
    assert told.of(mine)["error"]
    lab.sandbox.airtable.faults.clear()
    uploads = lab.tap.requests.count(("PUT", f"/{lab.bucket}/{lab.keys()[0]}"))
    assert (lab.json("process").code, lab.holds(row, mine)) == (0, "s3")
    assert uploads == 1


def test_one_row_of_ten_that_is_refused_blocks_no_other(lab: Lab) -> None:
    calls = [lab.call() for _ in range(10)]
    (bad_row, bad), (deaf_row, deaf), *others = calls
    lab.sandbox.airtable.refuse.add(bad_row.id)  # 422 for the whole request
    lab.sandbox.airtable.ignore_writes.add(deaf_row.id)  # 200, and the row as it was
    told = lab.json("process")
    assert told.code == 1
    assert [lab.holds(row, mine) for row, mine in others] == ["s3"] * 8
    assert (lab.holds(bad_row, bad), lab.holds(deaf_row, deaf)) == ("empty", "empty")
    assert told.summary == {"seen": 10, "copied": 10, "relinked": 8, "waiting": 8, "failed": 2}
    failed = {e["recording_sid"] for e in told.events if e["event"] == "airtable_update_error"}
    assert failed == {bad.sid, deaf.sid}
    assert "link_not_stored" in told.error_codes

    purge = lab.json("purge-twilio", "--retention", "0")
    assert lab.deleted() == {mine.sid for _, mine in others}
    assert purge.code == 0
    lab.sandbox.airtable.refuse.clear()
    lab.sandbox.airtable.ignore_writes.clear()
    assert lab.json("process").summary["relinked"] == 2


def test_pages_that_shift_while_rows_are_rewritten_hide_none(lab: Lab) -> None:
    lab.sandbox.airtable.paging = Paging.POSITION
    calls = [lab.call(duration=1, linked=True) for _ in range(115)]
    told = lab.json("migrate-fallbacks", "--retention", "0", RECCLI_SAFETY__MAX_DELETE_FRACTION="1")
    assert told.code == 0
    assert {lab.holds(row, mine) for row, mine in calls} == {"s3"}
    assert told.summary == {"seen": 115, "copied": 115, "relinked": 115, "deleted": 115}
    assert len(lab.deleted()) == 115


def test_a_row_of_another_recording_is_never_replaced_in_a_race(lab: Lab) -> None:
    """Somebody fills the field between the look and the write: the next run takes the other."""
    row, mine = lab.call()
    twin = lab.sandbox.twilio.add(duration=2)
    row.fields["Recording URL (Twilio/S3)"] = lab.sandbox.twilio.recording_url(twin)
    told = lab.json("process", mine.sid)
    assert told.code == 0
    assert lab.holds(row, twin) == "twilio"
    assert lab.holds(row, mine, "Transfer Recording URL") == "s3"
