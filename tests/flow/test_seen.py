"""What one case knows of its recording, and from when that is."""

from __future__ import annotations

from reccli.core.model import Reason, StepKind
from reccli.flow.commands import PROCESS
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.outcome import Candidate
from reccli.flow.perform import find_rows
from reccli.flow.result import Exit
from tests.core.samples import make_book
from tests.sim.world import FIELDS, World

from .bench import Bench, links

PERSON = "https://drive.example.org/notes"


def test_a_row_that_was_not_written_is_as_old_as_the_look_at_it() -> None:
    world = World()
    sid = world.record(1, 1)
    dead = world.object_link(world.key(sid))
    world.sleep(10 * 86_400)  # the link of rowB has died
    world.add_row("rowA", 1, world.twilio_link(sid))
    world.add_row("rowB", 1, dead)

    def meanwhile(name: str, *_args: object) -> None:
        if name == "put" and not world.edited:
            world.sleep(10)  # a copy takes that long
            world.edit("rowB", FIELDS[0], PERSON)

    bench = Bench(world, on_call=meanwhile)
    ref = world.tapes.now[sid].ref
    bench.run(PROCESS, iter([Candidate(ref)]))
    assert "amazonaws" in links(world)["rowA"]
    assert world.rows.now["rowB"].links[FIELDS[0]] == PERSON
    assert not world.violations


def test_a_look_is_as_old_as_the_question_and_not_as_the_answer() -> None:
    """What a person has put into a cell while Airtable was slow to answer stays."""
    world = World()
    sid = world.record(1, 1)
    bench = Bench(world, on_call=lambda *_args: world.sleep(4))
    asked = world.now()
    (rows,) = find_rows([ObserveRows(world.tapes.now[sid].ref)], bench.services)
    assert isinstance(rows, Rows)
    assert rows.at == asked


def test_what_is_left_in_a_former_place_is_not_called_lost() -> None:
    world = World()
    sid = world.record(1, 1, "deleted")
    world.book = make_book(former=("s3://old-calls",))
    key = world.key(sid)
    world.add_row("row1", 1, f"https://old-calls.s3.amazonaws.com/{key}")
    world.vanished.add(key)
    world.late.add(("row1", sid))
    bench = Bench(world)
    world.vanished.add(sid)
    result = bench.run(PROCESS, iter([Candidate(world.tapes.now[sid].ref)]))
    (outcome,) = result.outcomes
    assert (outcome.step.kind, outcome.step.reason) == (StepKind.HOLD, Reason.NOT_OBSERVED)
    assert [failure.code for failure in outcome.failures] == ["former_place"]
    assert result.exit_code is Exit.FAILED


def test_a_living_recording_is_copied_from_twilio_whatever_former_place_has_it() -> None:
    world = World()
    sid = world.record(1, 1)
    world.book = make_book(former=("s3://old-calls",))
    world.add_row("row1", 1, f"https://old-calls.s3.amazonaws.com/somewhere/{sid}.mp3")
    result = Bench(world).run(PROCESS, iter([Candidate(world.tapes.now[sid].ref)]))
    assert result.summary["copied"] == result.summary["resigned"] == 1
    assert list(world.objects.now) == [world.key(sid)]
    assert world.dangling(sid) == set()
