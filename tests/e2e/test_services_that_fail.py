"""Whose failure it is: a service's, one recording's, or that of another service altogether."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_a_table_that_is_not_there_is_no_recording_that_twilio_has_forgotten(lab: Lab) -> None:
    """Both answer 404, and are told by the same code; only Twilio's may be passed over."""
    calls = [lab.call() for _ in range(3)]
    assert lab.json("process").code == 0
    refusal = Fault(FaultKind.STATUS, times=None, status=404, body=b'{"error":"NOT_FOUND"}')
    lab.sandbox.airtable.faults.add(refusal)
    told = lab.json("purge-twilio", "--retention", "0")
    assert told.code == 1
    assert (told.summary["held"], told.summary["failed"]) == (3, 3)
    for _, recording in calls:
        assert told.of(recording)["reason"] == "could not observe"
    assert {(e["code"], e["hint"]) for e in told.doc["errors"]} == {
        ("not_found", "check airtable.table and airtable.base_id")
    }
    assert lab.deleted() == set()
