"""Older recordings whose run broke off between the copy and the link: the next one links them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import LINK
from tests.e2e.lab import Tripwire
from tests.e2e.test_found_late import older

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_a_first_run_that_is_killed_before_the_link_is_made_good_by_the_next(lab: Lab) -> None:
    mine = older(lab, 30)
    row = lab.row(mine.call_sid)
    lab.trip(Tripwire(at=1, lost=True, method="PATCH"), "process")
    assert (lab.archived(mine), lab.holds(row, mine)) == (True, "empty")
    told = lab.json("process")
    assert (told.code, told.summary) == (0, {"seen": 1, "relinked": 1, "waiting": 1})
    assert lab.holds(row, mine) == "s3"


def test_what_failed_in_passing_is_tried_again_by_the_next_run(lab: Lab) -> None:
    mine = older(lab, 30)
    row = lab.row(mine.call_sid)
    fault = Fault(FaultKind.HTML, method="PATCH", times=None)
    lab.sandbox.airtable.faults.add(fault)
    told = lab.json("process")
    assert (told.code, lab.archived(mine), lab.holds(row, mine)) == (5, True, "empty")
    lab.sandbox.airtable.faults.clear()
    told = lab.json("process")
    assert (told.code, told.summary) == (0, {"seen": 1, "relinked": 1, "waiting": 1})
    assert lab.holds(row, mine) == "s3"


def test_what_is_archived_and_has_nothing_to_be_linked_in_is_not_told_again(lab: Lab) -> None:
    homeless, linked, moved = (older(lab, days) for days in (40, 50, 60))
    row, other = lab.row(linked.call_sid), lab.row(moved.call_sid)
    assert lab.json("process").summary["copied"] == 3
    (lab.home / "state" / "ledger.sqlite3").unlink()
    other.fields[LINK] = ""
    told = lab.json("process")
    assert [entry["sid"] for entry in told.doc["recordings"]] == [moved.sid]
    assert lab.holds(row, linked) == lab.holds(other, moved) == "s3"
    assert lab.archived(homeless)
