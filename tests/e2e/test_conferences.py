"""Recordings of conferences: their rows, who takes which cell of them, and what is said if none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from reccli.sandbox.running import CONFERENCE, LINK, TRANSFER

if TYPE_CHECKING:
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

FIELD = {"RECCLI_AIRTABLE__CONFERENCE_SID_FIELD": CONFERENCE}
UNREFERENCED = "archived, nothing refers to it yet"


def talk(lab: Lab, conference_sid: str = "", *, minutes: int = 5) -> FakeRecording:
    """Record a conference that began so many minutes ago."""
    created = datetime.now(UTC) - timedelta(minutes=minutes)
    named = conference_sid or f"CF{uuid4().hex}"
    return lab.sandbox.twilio.add_conference(duration=2, created=created, conference_sid=named)


def test_its_row_is_found_by_the_conference_and_its_copy_is_deleted_in_time(lab: Lab) -> None:
    mine = talk(lab)
    row = lab.sandbox.airtable.add_row(**{CONFERENCE: mine.conference_sid or ""})
    told = lab.json("process", **FIELD)
    assert (told.code, lab.holds(row, mine), lab.archived(mine)) == (0, "s3", True)
    assert told.of(mine)["steps"] == ["Copy", "Relink"]
    assert lab.json("purge-twilio", "--yes", "--retention", "0", **FIELD).code == 0
    assert lab.deleted() == {mine.sid}


def test_without_the_field_a_row_that_mentions_it_is_its_row(lab: Lab) -> None:
    mine = talk(lab)
    row = lab.sandbox.airtable.add_row(
        **{CONFERENCE: mine.conference_sid or "", TRANSFER: lab.sandbox.twilio.recording_url(mine)}
    )
    told = lab.json("migrate-fallbacks", "--yes")
    assert (told.code, lab.holds(row, mine, TRANSFER), lab.holds(row, mine)) == (0, "s3", "empty")


@pytest.mark.parametrize(
    ("settings", "fix"),
    [({}, "airtable.conference_sid_field"), (FIELD, f'in "{CONFERENCE}"')],
)
def test_without_a_row_it_is_archived_and_held_in_words_that_help(
    lab: Lab, settings: dict[str, str], fix: str
) -> None:
    mine, (_, other) = talk(lab), lab.call()
    lab.sandbox.airtable.rows.clear()
    for _ in range(2):
        told = lab.json("process", **settings)
        assert told.code == 0
        said = told.of(mine)
        assert (said["step"], lab.archived(mine)) == ("Hold", True)
        assert said["reason"].startswith(f"{UNREFERENCED}: ")
        assert str(mine.conference_sid) in said["reason"]
        assert told.of(other)["reason"] == UNREFERENCED
    assert fix in lab.run("process", **settings).stdout


def test_recordings_of_one_conference_take_the_cells_in_order_of_creation(lab: Lab) -> None:
    second = talk(lab, minutes=3)
    first = talk(lab, str(second.conference_sid), minutes=9)
    row = lab.sandbox.airtable.add_row(**{CONFERENCE: second.conference_sid or ""})
    assert lab.json("process", second.sid, **FIELD).code == 0  # alone, and it knows its place
    assert (lab.holds(row, first), lab.holds(row, second, TRANSFER)) == ("empty", "s3")
    assert lab.json("process", **FIELD).code == 0
    assert lab.holds(row, first) == "s3"


@pytest.mark.parametrize("first", ["call", "conference"])
def test_a_row_of_a_call_and_a_conference_is_shared_by_the_age_of_the_recordings(
    lab: Lab, first: str
) -> None:
    mine = talk(lab, minutes=5)
    created = datetime.now(UTC) - timedelta(minutes=9 if first == "call" else 2)
    of_call = lab.sandbox.twilio.add(duration=2, created=created)
    row = lab.row(of_call.call_sid, **{CONFERENCE: str(mine.conference_sid)})
    older, younger = (of_call, mine) if first == "call" else (mine, of_call)
    for one in (younger, older):
        assert lab.json("process", one.sid, **FIELD).code == 0
    assert (lab.holds(row, older), lab.holds(row, younger, TRANSFER)) == ("s3", "s3")


def test_a_recording_that_belongs_to_both_waits_for_every_row_of_either(lab: Lab) -> None:
    mine = lab.sandbox.twilio.add(duration=2, conference_sid=f"CF{uuid4().hex}")
    rows = [
        lab.row(mine.call_sid),
        lab.sandbox.airtable.add_row(**{CONFERENCE: str(mine.conference_sid)}),
    ]
    assert lab.json("process", **FIELD).code == 0
    assert [lab.holds(row, mine) for row in rows] == ["s3", "s3"]
    rows[1].fields.pop(LINK)
    assert lab.json("purge-twilio", "--yes", "--retention", "0", **FIELD).code == 0
    assert lab.deleted() == set()
