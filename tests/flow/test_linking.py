"""Links are written only into cells that still hold what was decided on."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import LinkState
from reccli.core.rows import Slot
from reccli.flow.effects import Rows, Stale, WriteLinks
from reccli.flow.linking import FRESH, write_links
from reccli.flow.turn import Turn
from tests.sim.faults import Fault, Plan
from tests.sim.ports import FakeS3
from tests.sim.world import FIELDS, World, re_sid

from .bench import Bench, failure, links, many

if TYPE_CHECKING:
    from collections.abc import Iterable

PERSON = "https://drive.example.org/notes"
OLD = 2 * FRESH


def effects(bench: Bench, numbers: Iterable[int], age: timedelta = OLD) -> list[WriteLinks]:
    """Decide, so long ago, to write each recording's link over its fallback."""
    return [effect(bench, number, bench.world.now() - age) for number in numbers]


def effect(bench: Bench, number: int, seen_at: datetime) -> WriteLinks:
    world, sid = bench.world, re_sid(number)
    text = world.rows.now[f"row{number}"].links[FIELDS[0]]
    slot = Slot(f"row{number}", FIELDS[0], LinkState.TWILIO_LINK, text)
    rows = bench.reach.airtable.find([(sid, world.tapes.now[sid].call_sid)])
    assert rows
    ref = world.tapes.now[sid].ref
    return WriteLinks(ref, "mp3", world.key(sid), (slot,), seen_at)


def written(bench: Bench) -> set[str]:
    return {row for row, link in links(bench.world).items() if "amazonaws" in link}


def test_what_somebody_else_has_put_there_since_stays() -> None:
    bench = Bench(many(3))
    decided = effects(bench, (1, 2, 3))
    bench.world.edit("row2", FIELDS[0], PERSON)
    replies = write_links(decided, bench.reach)
    assert [type(reply) for reply in replies] == [Rows, Stale, Rows]
    assert written(bench) == {"row1", "row3"}
    assert links(bench.world)["row2"] == PERSON


def test_a_cell_that_was_emptied_or_whose_row_is_gone_is_decided_on_anew() -> None:
    bench = Bench(many(2))
    decided = effects(bench, (1, 2))
    bench.world.edit("row1", FIELDS[0], "")
    bench.world.rows.now = {k: v for k, v in bench.world.rows.now.items() if k != "row2"}
    assert write_links(decided, bench.reach) == [Stale(), Stale()]
    assert bench.count("airtable.write") == 0


def test_of_two_rows_of_one_recording_neither_is_written_when_one_has_changed() -> None:
    bench = Bench(many(2))
    (one, two) = effects(bench, (1, 2))
    both = replace(one, slots=(*one.slots, *two.slots))
    bench.world.edit("row2", FIELDS[0], PERSON)
    assert write_links([both], bench.reach) == [Stale()]
    assert written(bench) == set()


def test_a_cell_is_written_by_one_effect_only() -> None:
    bench = Bench(many(2))
    one, two = effects(bench, (1, 2))
    again = replace(two, slots=one.slots)
    replies = write_links([one, again, two], bench.reach)
    assert [type(reply) for reply in replies] == [Rows, Stale, Rows]
    assert re_sid(1) in links(bench.world)["row1"]


def test_two_cells_of_a_row_go_into_one_request() -> None:
    world = World()
    sids = [world.record(number, 1) for number in (1, 2)]
    for sid in sids:
        world.store(sid)
    world.add_row("row1", 1, *(world.twilio_link(sid) for sid in sids))
    bench = Bench(world)
    one = effect(bench, 1, world.now())
    text = world.rows.now["row1"].links[FIELDS[1]]
    slot = Slot("row1", FIELDS[1], LinkState.TWILIO_LINK, text)
    bench.reach.airtable.find([(sids[1], None)])
    ref = world.tapes.now[sids[1]].ref
    two = WriteLinks(ref, "mp3", world.key(sids[1]), (slot,), world.now())
    assert all(isinstance(reply, Rows) for reply in write_links([one, two], bench.reach))
    assert bench.count("airtable.write") == 1
    assert world.dangling(sids[0]) == world.dangling(sids[1]) == set()


def test_a_pause_of_thirty_seconds_is_followed_by_another_look() -> None:
    plan = Plan(choose=lambda _number, name: next(faults) if name == "airtable.write" else None)
    faults = iter([Fault.BUSY, *[None] * 9])
    bench = Bench(many(3), plan)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.reach)
    assert all(isinstance(reply, Rows) for reply in replies)
    assert (bench.count("airtable.write"), bench.count("airtable.read")) == (2, 1)


def test_a_pause_does_not_hide_what_a_person_did_in_it() -> None:
    world = many(3)

    def busy(_number: int, name: str) -> Fault | None:
        if name != "airtable.write" or world.edited:
            return None
        world.edit("row3", FIELDS[0], PERSON)
        return Fault.BUSY

    bench = Bench(world, Plan(choose=busy))
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.reach)
    assert [type(reply) for reply in replies] == [Rows, Rows, Stale]
    assert links(world)["row3"] == PERSON


def test_patience_ends_where_no_look_is_ever_young_enough() -> None:
    world = many(1)

    def slow(name: str, *_args: object) -> None:
        if name == "read":
            world.sleep(OLD.total_seconds())

    bench = Bench(world, on_call=slow)
    assert write_links(effects(bench, (1,)), bench.reach) == [Stale()]
    assert (bench.count("airtable.write"), bench.count("airtable.read")) == (0, 4)


def test_rows_that_cannot_be_looked_at_hold_up_no_other() -> None:
    def broken(name: str, *_args: object) -> None:
        if name == "read":
            raise failure(FailureKind.DENIED)

    bench = Bench(many(3), on_call=broken)
    decided = [*effects(bench, (1, 2)), *effects(bench, (3,), timedelta())]
    replies = write_links(decided, bench.reach)
    assert [type(reply) for reply in replies] == [Failure, Failure, Rows]
    assert written(bench) == {"row3"}


def test_without_a_bucket_nothing_is_written() -> None:
    def missing(name: str, *_args: object) -> None:
        if name == "require_bucket":
            raise failure(FailureKind.CONFIG, Service.S3, "NoSuchBucket")

    bench = Bench(many(3), on_call=missing)
    decided = effects(bench, (1, 2, 3), timedelta())
    replies = write_links([replace(one, key=None) for one in decided], bench.reach)
    assert {reply.code for reply in replies if isinstance(reply, Failure)} == {"NoSuchBucket"}
    assert len(replies) == 3
    assert bench.count("airtable.write") == 0


def test_the_first_link_of_a_run_is_opened_and_no_other() -> None:
    bench = Bench(many(3))
    for number in (1, 2, 3):
        (reply,) = write_links(effects(bench, (number,), timedelta()), bench.reach)
        assert isinstance(reply, Rows)
    assert bench.count("links.open") == 1


def test_a_link_that_does_not_open_is_not_written_and_stops_no_other() -> None:
    world = many(3, stored=False)
    for number in (2, 3):
        world.store(re_sid(number))
    bench = Bench(world)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.reach)
    assert [type(reply) for reply in replies] == [Failure, Rows, Rows]
    assert written(bench) == {"row2", "row3"}


def test_credentials_that_deny_it_stop_all_links_for_a_while() -> None:
    def denied(name: str, *_args: object) -> None:
        if name == "open":
            raise failure(FailureKind.DENIED, Service.S3, "link_denied")

    bench = Bench(many(3), on_call=denied)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.reach)
    assert [reply.code for reply in replies if isinstance(reply, Failure)] == ["link_denied"] * 3


def test_an_archive_that_was_decided_on_is_linked_although_it_does_not_open() -> None:
    world = many(1, stored=False)
    world.store(re_sid(1), unfit=True)
    bench = Bench(world)
    (reply,) = write_links(effects(bench, (1,), timedelta()), bench.reach)
    assert isinstance(reply, Rows)


def test_credentials_that_have_become_temporary_sign_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeS3, "signs_temporarily", lambda _self: True)
    bench = Bench(many(1))
    decided = effects(bench, (1,), timedelta())
    (reply,) = write_links(decided, bench.reach)
    assert isinstance(reply, Failure)
    assert (reply.code, reply.kind) == ("temporary_credentials", FailureKind.PERMANENT)
    (fallback,) = write_links([replace(decided[0], key=None)], bench.reach)
    assert isinstance(fallback, Rows)


def test_a_free_cell_is_not_filled_when_another_names_the_recording_by_now() -> None:
    world = World()
    sid = world.record(1, 1)
    world.store(sid)
    world.add_row("row1", 1)
    bench = Bench(world)
    bench.reach.airtable.find([(sid, world.tapes.now[sid].call_sid)])
    slot = Slot("row1", FIELDS[0], LinkState.EMPTY, "")
    ref, old = world.tapes.now[sid].ref, world.now() - OLD
    decided = WriteLinks(ref, "mp3", world.key(sid), (slot,), old)
    world.edit("row1", FIELDS[1], f"https://nas.example.org/{sid}.mp3")
    assert write_links([decided], bench.reach) == [Stale()]


def test_a_note_beside_our_own_link_does_not_keep_it_from_being_renewed() -> None:
    world = many(1)
    world.edit("row1", FIELDS[1], f"https://nas.example.org/{re_sid(1)}.mp3")
    bench = Bench(world)
    (reply,) = write_links(effects(bench, (1,)), bench.reach)
    assert isinstance(reply, Rows)


@pytest.mark.parametrize("count", [10, 11, 25, 100])
def test_ten_rows_go_into_a_request(count: int) -> None:
    bench = Bench(many(count))
    replies = write_links(effects(bench, range(1, count + 1)), bench.reach)
    assert all(isinstance(reply, Rows) for reply in replies)
    assert bench.count("airtable.write") == -(-count // 10)
    assert bench.count("airtable.read") == 1


def test_a_turn_is_over_when_the_last_request_was_sent() -> None:
    turn, begun = Turn(), threading.Event()

    def follow() -> None:
        turn.begin()
        begun.set()

    turn.begin()
    turn.expect(2)
    next_one = threading.Thread(target=follow)
    next_one.start()
    for _ in range(2):
        turn.sent()
        assert not begun.wait(0.05)
    turn.sent()
    assert begun.wait(10)
    next_one.join()


@pytest.mark.parametrize("name", ["read", "write"])
def test_whatever_becomes_of_a_group_the_next_one_has_its_turn(name: str) -> None:
    def odd(called: str, *_args: object) -> None:
        if called == name and bench.count("airtable.write") == 0 and not broken:
            broken.append(called)
            raise ZeroDivisionError

    broken: list[str] = []
    bench, turn = Bench(many(2), on_call=odd), Turn()
    first, second = effects(bench, (1, 2))
    with suppress(ZeroDivisionError):
        write_links([first], bench.reach, turn=turn)
    (reply,) = write_links([second], bench.reach, turn=turn)
    assert (broken, type(reply)) == ([name], Rows)


def test_a_request_that_is_refused_and_halved_is_one_of_the_turn() -> None:
    def refuse(name: str, cells: object = None, *_args: object) -> None:
        if name == "write" and isinstance(cells, dict) and "row2" in cells:
            raise failure(FailureKind.PERMANENT)

    bench, turn = Bench(many(4), on_call=refuse), Turn()
    replies = write_links(effects(bench, (1, 2, 3)), bench.reach, turn=turn)
    assert [type(reply) for reply in replies] == [Rows, Failure, Rows]
    (reply,) = write_links(effects(bench, (4,)), bench.reach, turn=turn)
    assert isinstance(reply, Rows)
