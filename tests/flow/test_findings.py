"""What is told of a recording that is held: one text for each cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import Reason, Row
from reccli.flow.outcome import Candidate
from reccli.flow.tables import fallback_links
from tests.core.samples import (
    CA1,
    CA2,
    RE1,
    RE2,
    RE3,
    make_book,
    make_recording,
    make_row,
    twilio_cell,
)
from tests.sim.world import World

from .bench import Bench
from .byhand import Stage, presigned_link

PERSON = "https://files.example.org/x.mp3"


def told(*rows: Row) -> Failure:
    outcome = Stage(rows).play()
    assert outcome.objection
    return outcome.objection


@pytest.mark.parametrize(
    ("cells", "code", "words"),
    [
        ((twilio_cell(RE2), twilio_cell(RE3)), "more_recordings_than_fields", "the 2 link fields"),
        ((PERSON, PERSON), "fields_are_taken", "full of somebody's own links"),
        ((PERSON, twilio_cell(RE2)), "fields_are_taken", "somebody's own and other links"),
        (("pending",), "word_in_cell", 'holds "pending"'),
    ],
)
def test_what_fills_a_row_is_told(cells: tuple[str, ...], code: str, words: str) -> None:
    found = told(make_row(*cells))
    assert (found.code, words in found.message, "rec1" in found.message) == (code, True, True)
    assert found.hint


def test_every_full_row_is_named() -> None:
    found = told(make_row(PERSON, PERSON), make_row(PERSON, PERSON, row_id="rec2"))
    assert found.message == "rows rec1, rec2 are full of somebody's own links"


def test_a_row_that_may_be_the_calls_makes_no_key_and_is_told() -> None:
    stage = Stage((make_row(call="", call_cell=f"{CA1}, {CA2}", fields={"provider": "North"}),))
    stage.naming = replace(stage.naming, template="{provider}/{recording_sid}.{ext}")
    outcome = stage.play()
    assert (outcome.step.reason, outcome.key, stage.keys) == (Reason.NEEDS_ROW, None, [])
    assert outcome.objection
    assert outcome.objection.code == "call_sid_and_more"


@pytest.mark.parametrize(("listed", "code"), [(True, "listed_not_found"), (False, None)])
@pytest.mark.parametrize("kind", [FailureKind.GONE, FailureKind.OUTAGE])
def test_only_what_twilio_lists_can_contradict_its_404(
    kind: FailureKind, code: str | None, *, listed: bool
) -> None:
    recording = make_recording(duration=4)
    gone = Failure(Service.TWILIO, kind, "not_found", "made up")
    # Twilio is asked at first only where nothing was listed, and again before the delete.
    stage = Stage((make_row(presigned_link()),), recording=gone)
    outcome = stage.play(Candidate(recording.ref, recording=recording if listed else None))
    found = outcome.objection.code if outcome.objection else None
    assert outcome.step.reason is Reason.NOT_OBSERVED
    assert found == (code if kind is FailureKind.GONE else None)


def test_a_link_of_ours_is_no_odd_cell_whatever_it_holds() -> None:
    world = World()
    world.book = make_book(bucket="twilio.com-calls")
    bench = Bench(world)
    row = make_row(f"https://s3.amazonaws.com/twilio.com-calls/{RE1}.mp3")
    assert fallback_links([row], bench.services.book) == []


def test_of_the_rows_of_a_call_the_one_without_room_is_described() -> None:
    found = told(make_row(presigned_link()), make_row(PERSON, PERSON, row_id="rec2"))
    assert found.message == "row rec2 is full of somebody's own links"


def test_of_the_cells_that_name_it_elsewhere_the_one_of_twilio_is_described() -> None:
    abroad = f"https://files.example.org/{RE1}.mp3"
    old = twilio_cell(RE1).replace("2010-04-01", "2008-08-01")
    assert told(make_row(abroad, old)).code == "cell_old_version"
    outcome = Stage((make_row(abroad),)).play()
    assert (outcome.step.reason, outcome.objection) == (Reason.ELSEWHERE, None)
