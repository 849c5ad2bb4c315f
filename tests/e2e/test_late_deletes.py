"""Twilio deletes, and for some seconds shows the recording as if it had not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def asked_to_delete(lab: Lab) -> list[str]:
    requests = lab.sandbox.twilio.requests
    return sorted(one.path[-39:-5] for one in requests if one.method == "DELETE")


def test_a_delete_that_shows_late_is_counted_in_the_same_run(lab: Lab) -> None:
    calls = [lab.call() for _ in range(8)]
    lab.json("process")
    for _, late in calls[:7]:
        late.shows_late = 1
    told = lab.json("purge-twilio", "--retention", "0")
    sids = {mine.sid for _, mine in calls}
    assert (told.code, told.summary["deleted"], lab.deleted()) == (0, 8, sids)
    assert told.names["twilio_recording_deleted"] == 8
    assert told.names["twilio_recording_delete_error"] == 0
    assert asked_to_delete(lab) == sorted(sids)  # each of them once


def test_a_delete_that_does_not_show_is_told_as_that_and_not_repeated(lab: Lab) -> None:
    calls = [lab.call() for _ in range(7)]
    lab.json("process")
    for _, late in calls[:6]:
        late.shows_late = 100
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, told.summary["deleted"]) == (5, 1)
    assert told.error_codes == {"delete_unconfirmed"}  # and no service that is down
    assert asked_to_delete(lab) == sorted(lab.deleted())
    assert "still shows" in told.of(calls[0][1])["error"]
    assert told.names["twilio_recording_deleted"] == 1

    for _, late in calls:
        late.shows_late = 0
    assert lab.json("purge-twilio", "--retention", "0").code == 0


def test_a_late_delete_whose_answer_was_lost_ends_well_too(lab: Lab) -> None:
    _, mine = lab.call()
    lab.json("process")
    mine.shows_late = 2
    lab.sandbox.twilio.faults.add(Fault(FaultKind.LOST_RESPONSE, "DELETE"))
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, told.summary["deleted"]) == (0, 1)
    assert told.names["twilio_recording_delete_error"] == 0
