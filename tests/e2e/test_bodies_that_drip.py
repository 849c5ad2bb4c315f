"""Bodies that come a byte at a time: every read of them is in time, and they never end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.flow import deadline
from reccli.sandbox.faults import Fault, FaultKind
from tests.e2e.serving import wait_until
from tests.e2e.test_worker import call, callbacks, served

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

SOON = {"reccli.flow.deadline:PATIENCE": 0.2}


def drip(path: str | None = None, method: str | None = None, times: int | None = None) -> Fault:
    return Fault(FaultKind.DRIP, method, path, times, delay=0.02, share=0.5)


@pytest.mark.parametrize("service", ["media", "twilio", "airtable", "s3"])
def test_no_body_is_waited_for_for_ever(lab: Lab, service: str) -> None:
    """Once: then it is asked for again, and comes at once."""
    row, mine = lab.call(duration=4)
    lab.patches = SOON
    twilio, airtable = lab.sandbox.twilio, lab.sandbox.airtable
    faults = {
        "media": (twilio.media.faults, drip(times=1)),
        "twilio": (twilio.faults, drip(r"Recordings\.json", times=1)),
        "airtable": (airtable.faults, drip(times=1)),
        "s3": (lab.tap.faults, drip("list-type", "GET", times=1)),
    }
    where, fault = faults[service]
    if service == "s3":  # it lists what is stored, and compares
        lab.json("process")
    where.add(fault)
    told = lab.json("process", mine.sid if service == "media" else "--full")
    assert (told.code, lab.holds(row, mine)) == (0, "s3"), told
    assert len(where) == 0


def test_an_object_that_is_read_back_is_held_to_its_time(lab: Lab) -> None:
    _, mine = lab.call(duration=4)
    assert lab.json("process").code == 0
    lab.tap.faults.add(drip(mine.sid, "GET"))
    lab.patches = SOON
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (5, set())


def test_a_run_ends_soon_after_its_time_whatever_hangs(lab: Lab) -> None:
    """With what was copied linked, and the lock free for the next run."""
    row, hung = lab.call(duration=4, linked=True)
    good = [lab.call(linked=True) for _ in range(2)]
    lab.sandbox.twilio.media.faults.add(drip(hung.sid))
    lab.patches = {"reccli.flow.run:OVERTIME": 2.0}
    told = lab.json("migrate-fallbacks", "--max-duration", "3s")
    assert (told.code, told.error_codes) == (5, {"gave_up"})
    assert [lab.holds(one, mine) for one, mine in good] == ["s3", "s3"]
    assert told.of(hung)["error"] == (
        "it hung when the time of the run was up (--max-duration), and was given up"
    )
    assert lab.holds(row, hung) == "twilio"
    lab.sandbox.twilio.media.faults.clear()
    assert lab.json("migrate-fallbacks").code == 0


def test_a_listing_that_hangs_ends_no_later(lab: Lab) -> None:
    lab.call()
    lab.sandbox.twilio.faults.add(drip())
    lab.patches = {"reccli.flow.run:OVERTIME": 0.3}
    told = lab.json("process", "--max-duration", "1s")
    assert (told.code, told.error_codes) == (5, {"gave_up"})


def test_bodies_that_drip_do_not_stop_a_server(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "PATIENCE", 0.2)
    monkeypatch.setenv("RECCLI_ENGINE__CONCURRENCY", "2")
    bad = [lab.call(duration=4)[1] for _ in range(2)]
    row, good = lab.call()
    lab.sandbox.twilio.media.faults.add(drip("|".join(one.sid for one in bad)))
    with served(lab) as url:
        for recording in (*bad, good):
            call(url, recording)
        wait_until(lambda: lab.holds(row, good) == "s3")
        assert len(callbacks(lab)) == 3
