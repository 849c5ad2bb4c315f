"""Links are written only into cells that still hold what was decided on."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import LinkState, Ref
from reccli.core.rows import Cell
from reccli.flow.effects import Rows, Stale, WriteLinks
from reccli.flow.linking import FRESH, write_links
from reccli.flow.retry import Backoff
from reccli.flow.turn import Turn
from tests.core.samples import ACCOUNT, make_book
from tests.sim.faults import Fault, Plan
from tests.sim.ports import FakeAirtable, FakeS3
from tests.sim.world import FIELDS, World, re_sid

from .bench import Bench, failure, links, many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reccli.core.model import Row
    from reccli.flow.refusals import Updates

    Write = Callable[[Updates], Sequence[Row]]

PERSON = "https://drive.example.org/notes"
OLD = 2 * FRESH


def effects(bench: Bench, numbers: Iterable[int], age: timedelta = OLD) -> list[WriteLinks]:
    """Decide, so long ago, to write each recording's link over its fallback."""
    return [effect(bench, number, bench.world.now() - age) for number in numbers]


def effect(bench: Bench, number: int, seen_at: datetime) -> WriteLinks:
    world, sid = bench.world, re_sid(number)
    text = world.rows.now[f"row{number}"].links[FIELDS[0]]
    cell = Cell(f"row{number}", FIELDS[0], LinkState.TWILIO_LINK, text)
    rows = bench.services.airtable.find([world.tapes.now[sid].ref])
    assert rows
    ref = world.tapes.now[sid].ref
    return WriteLinks(ref, "mp3", world.key(sid), (cell,), seen_at)


def written(bench: Bench) -> set[str]:
    return {row for row, link in links(bench.world).items() if "amazonaws" in link}


def test_what_somebody_else_has_put_there_since_stays() -> None:
    bench = Bench(many(3))
    decided = effects(bench, (1, 2, 3))
    bench.world.edit("row2", FIELDS[0], PERSON)
    replies = write_links(decided, bench.services)
    assert [type(reply) for reply in replies] == [Rows, Stale, Rows]
    assert written(bench) == {"row1", "row3"}
    assert links(bench.world)["row2"] == PERSON


def test_a_cell_that_was_emptied_or_whose_row_is_gone_is_decided_on_anew() -> None:
    bench = Bench(many(2))
    decided = effects(bench, (1, 2))
    bench.world.edit("row1", FIELDS[0], "")
    bench.world.rows.now = {k: v for k, v in bench.world.rows.now.items() if k != "row2"}
    assert write_links(decided, bench.services) == [Stale(), Stale()]
    assert bench.count("airtable.write") == 0


def test_of_two_rows_of_one_recording_neither_is_written_when_one_has_changed() -> None:
    bench = Bench(many(2))
    (one, two) = effects(bench, (1, 2))
    both = replace(one, cells=(*one.cells, *two.cells))
    bench.world.edit("row2", FIELDS[0], PERSON)
    assert write_links([both], bench.services) == [Stale()]
    assert written(bench) == set()


def test_a_cell_is_written_by_one_effect_only() -> None:
    bench = Bench(many(2))
    one, two = effects(bench, (1, 2))
    again = replace(two, cells=one.cells)
    replies = write_links([one, again, two], bench.services)
    assert [type(reply) for reply in replies] == [Rows, Stale, Rows]
    assert re_sid(1) in links(bench.world)["row1"]


def test_two_cells_of_a_row_go_into_one_request() -> None:
    bench, both = two_cells()
    assert all(isinstance(reply, Rows) for reply in write_links(both, bench.services))
    assert bench.count("airtable.write") == 1
    assert bench.world.dangling(re_sid(1)) == bench.world.dangling(re_sid(2)) == set()


def test_a_pause_of_thirty_seconds_is_followed_by_another_look() -> None:
    plan = Plan(choose=lambda _number, name: next(faults) if name == "airtable.write" else None)
    faults = iter([Fault.BUSY, *[None] * 9])
    bench = Bench(many(3), plan)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.services)
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
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.services)
    assert [type(reply) for reply in replies] == [Rows, Rows, Stale]
    assert links(world)["row3"] == PERSON


def test_patience_ends_where_no_look_is_ever_young_enough() -> None:
    world = many(1)

    def slow(name: str, *_args: object) -> None:
        if name == "read":
            world.sleep(OLD.total_seconds())

    bench = Bench(world, on_call=slow)
    assert write_links(effects(bench, (1,)), bench.services) == [Stale()]
    assert (bench.count("airtable.write"), bench.count("airtable.read")) == (0, 4)


def test_rows_that_cannot_be_looked_at_hold_up_no_other() -> None:
    def broken(name: str, *_args: object) -> None:
        if name == "read":
            raise failure(FailureKind.DENIED)

    bench = Bench(many(3), on_call=broken)
    decided = [*effects(bench, (1, 2)), *effects(bench, (3,), timedelta())]
    replies = write_links(decided, bench.services)
    assert [type(reply) for reply in replies] == [Failure, Failure, Rows]
    assert written(bench) == {"row3"}


def test_without_a_bucket_nothing_is_written() -> None:
    def missing(name: str, *_args: object) -> None:
        if name == "require_bucket":
            raise failure(FailureKind.CONFIG, Service.S3, "NoSuchBucket")

    bench = Bench(many(3), on_call=missing)
    decided = effects(bench, (1, 2, 3), timedelta())
    replies = write_links([replace(one, key=None) for one in decided], bench.services)
    assert {reply.code for reply in replies if isinstance(reply, Failure)} == {"NoSuchBucket"}
    assert len(replies) == 3
    assert bench.count("airtable.write") == 0


def test_the_first_link_of_a_run_is_opened_and_no_other() -> None:
    bench = Bench(many(3))
    for number in (1, 2, 3):
        (reply,) = write_links(effects(bench, (number,), timedelta()), bench.services)
        assert isinstance(reply, Rows)
    assert bench.count("links.open") == 1


def test_a_link_that_does_not_open_is_not_written_and_stops_no_other() -> None:
    world = many(3, stored=False)
    for number in (2, 3):
        world.store(re_sid(number))
    bench = Bench(world)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.services)
    assert [type(reply) for reply in replies] == [Failure, Rows, Rows]
    assert written(bench) == {"row2", "row3"}


def test_credentials_that_deny_it_stop_all_links_for_a_while() -> None:
    def denied(name: str, *_args: object) -> None:
        if name == "open":
            raise failure(FailureKind.DENIED, Service.S3, "link_denied")

    bench = Bench(many(3), on_call=denied)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.services)
    assert [reply.code for reply in replies if isinstance(reply, Failure)] == ["link_denied"] * 3


def test_an_archive_that_was_decided_on_is_linked_although_it_does_not_open() -> None:
    world = many(1, stored=False)
    world.store(re_sid(1), unfit=True)
    bench = Bench(world)
    (reply,) = write_links(effects(bench, (1,), timedelta()), bench.services)
    assert isinstance(reply, Rows)


def test_credentials_that_have_become_temporary_sign_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeS3, "signs_temporarily", lambda _self: True)
    bench = Bench(many(1))
    decided = effects(bench, (1,), timedelta())
    (reply,) = write_links(decided, bench.services)
    assert isinstance(reply, Failure)
    assert (reply.code, reply.kind) == ("temporary_credentials", FailureKind.PERMANENT)
    (fallback,) = write_links([replace(decided[0], key=None)], bench.services)
    assert isinstance(fallback, Rows)


def test_a_free_cell_is_not_filled_when_another_names_the_recording_by_now() -> None:
    world = World()
    sid = world.record(1, 1)
    world.store(sid)
    world.add_row("row1", 1)
    bench = Bench(world)
    bench.services.airtable.find([world.tapes.now[sid].ref])
    cell = Cell("row1", FIELDS[0], LinkState.EMPTY, "")
    ref, old = world.tapes.now[sid].ref, world.now() - OLD
    decided = WriteLinks(ref, "mp3", world.key(sid), (cell,), old)
    world.edit("row1", FIELDS[1], f"https://nas.example.org/{sid}.mp3")
    assert write_links([decided], bench.services) == [Stale()]


def test_a_note_beside_our_own_link_does_not_keep_it_from_being_renewed() -> None:
    world = many(1)
    world.edit("row1", FIELDS[1], f"https://nas.example.org/{re_sid(1)}.mp3")
    bench = Bench(world)
    (reply,) = write_links(effects(bench, (1,)), bench.services)
    assert isinstance(reply, Rows)


@pytest.mark.parametrize("count", [10, 11, 25, 100])
def test_ten_rows_go_into_a_request(count: int) -> None:
    bench = Bench(many(count))
    replies = write_links(effects(bench, range(1, count + 1)), bench.services)
    assert all(isinstance(reply, Rows) for reply in replies)
    assert bench.count("airtable.write") == -(-count // 10)
    assert bench.count("airtable.read") == 1


def test_a_table_service_says_how_many_rows_a_request_may_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeAirtable, "rows_a_write", 4)
    bench = Bench(many(11))
    write_links(effects(bench, range(1, 12)), bench.services)
    assert bench.count("airtable.write") == 3


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
        write_links([first], bench.services, turn=turn)
    (reply,) = write_links([second], bench.services, turn=turn)
    assert (broken, type(reply)) == ([name], Rows)


def test_a_request_that_is_refused_and_halved_is_one_of_the_turn() -> None:
    def refuse(name: str, cells: object = None, *_args: object) -> None:
        if name == "write" and isinstance(cells, dict) and "row2" in cells:
            raise failure(FailureKind.PERMANENT)

    bench, turn = Bench(many(4), on_call=refuse), Turn()
    replies = write_links(effects(bench, (1, 2, 3)), bench.services, turn=turn)
    assert [type(reply) for reply in replies] == [Rows, Failure, Rows]
    (reply,) = write_links(effects(bench, (4,)), bench.services, turn=turn)
    assert isinstance(reply, Rows)


@pytest.mark.parametrize("ages", [(OLD, timedelta()), (timedelta(), OLD)])
def test_a_row_is_as_old_as_the_oldest_look_at_its_cells(ages: tuple[timedelta, timedelta]) -> None:
    bench, both = two_cells()
    bench.world.edit("row1", FIELDS[0], PERSON)
    now = bench.world.now()
    decided = [replace(one, seen_at=now - age) for one, age in zip(both, ages, strict=True)]
    replies = write_links(decided, bench.services)
    assert [type(reply) for reply in replies] == [Stale, Rows]
    assert bench.count("airtable.read") == 1


def two_cells() -> tuple[Bench, list[WriteLinks]]:
    """Make a row with the fallbacks of two recordings, and decide to write both links."""
    world = World()
    sids = [world.record(number, 1) for number in (1, 2)]
    for sid in sids:
        world.store(sid)
    world.add_row("row1", 1, *(world.twilio_link(sid) for sid in sids))
    bench = Bench(world)
    decided = []
    for sid, name in zip(sids, FIELDS, strict=False):
        cell = Cell("row1", name, LinkState.TWILIO_LINK, world.rows.now["row1"].links[name])
        bench.services.airtable.find([Ref(sid, ACCOUNT)])
        ref = world.tapes.now[sid].ref
        decided.append(WriteLinks(ref, "mp3", world.key(sid), (cell,), world.now()))
    return bench, decided


def test_only_rows_that_were_seen_long_ago_are_looked_at_again() -> None:
    bench = Bench(many(2))
    decided = [*effects(bench, (1,)), *effects(bench, (2,), timedelta())]
    asked: list[list[str]] = []
    bench.on_call = lambda name, *args: asked.append(args[0]) if name == "read" else None
    assert all(isinstance(reply, Rows) for reply in write_links(decided, bench.services))
    assert asked == [["row1"]]


def test_a_request_that_waits_is_as_old_as_its_oldest_row() -> None:
    world = many(2)
    waits = iter([2, 0])

    def slow(name: str, *_args: object) -> None:
        if name == "write" and (seconds := next(waits)):
            world.sleep(seconds)
            world.edit("row1", FIELDS[0], PERSON)

    bench = Bench(world, on_call=slow)
    decided = [*effects(bench, (1,), timedelta(seconds=2)), *effects(bench, (2,), timedelta())]
    replies = write_links(decided, bench.services)
    assert [type(reply) for reply in replies] == [Stale, Rows]
    assert links(world)["row1"] == PERSON


def writing(bench: Bench, change: Callable[[Updates, Write], Sequence[Row]]) -> list[list[str]]:
    """Change how rows are written; tells which rows each request is for."""
    honest, asked = bench.services.airtable.write, list[list[str]]()

    def write(cells: Updates, *, before: Callable[[], None]) -> Sequence[Row]:
        asked.append(list(cells))
        return change(cells, lambda some: honest(some, before=before))

    bench.services.airtable.write = write  # type: ignore[method-assign]
    return asked


def test_a_field_that_holds_another_link_after_the_update_is_told() -> None:
    bench = Bench(many(2))

    def rewritten(cells: Updates, write: Write) -> list[Row]:
        rows = {row.id: row for row in write(cells)}
        rows["row1"] = replace(rows["row1"], links={**rows["row1"].links, FIELDS[0]: PERSON})
        return list(rows.values())

    writing(bench, rewritten)
    bad, good = write_links(effects(bench, (1, 2)), bench.services)
    assert isinstance(bad, Failure)
    assert (bad.code, bad.service) == ("link_not_stored", Service.AIRTABLE)
    assert "row1" in bad.message
    assert isinstance(good, Rows)


def test_an_answer_that_leaves_a_row_out_is_odd() -> None:
    bench = Bench(many(2))
    writing(bench, lambda cells, write: [row for row in write(cells) if row.id != "row1"])
    bad, good = write_links(effects(bench, (1, 2)), bench.services)
    assert isinstance(bad, Failure)
    assert (bad.code, isinstance(good, Rows)) == ("odd_answer", True)


def test_what_a_refused_request_has_written_all_the_same_does_no_harm() -> None:
    bench = Bench(many(5))

    def refused(cells: Updates, write: Write) -> Sequence[Row]:
        if len(cells) == 5:
            write({row_id: cells[row_id] for row_id in ("row1", "row4")})
            raise failure(FailureKind.PERMANENT)
        return write(cells)

    asked = writing(bench, refused)
    replies = write_links(effects(bench, range(1, 6), timedelta()), bench.services)
    assert all(isinstance(reply, Rows) for reply in replies)
    assert asked[1:] == [["row1"], ["row5"], ["row3"], ["row2", "row4"]]
    assert bench.count("airtable.read") == 0


@pytest.mark.parametrize(
    "kind", [kind for kind in FailureKind if not failure(kind).failure.lasting]
)
def test_a_batch_that_fails_for_another_cause_than_its_rows_is_not_split(kind: FailureKind) -> None:
    bench = Bench(many(3), backoff=Backoff(attempts=1))

    def refused(_cells: Updates, _write: Write) -> Sequence[Row]:
        raise failure(kind)

    asked = writing(bench, refused)
    replies = write_links(effects(bench, (1, 2, 3), timedelta()), bench.services)
    assert {reply.kind for reply in replies if isinstance(reply, Failure)} == {kind}
    assert len(asked) == 1


def test_the_read_back_is_as_old_as_the_request() -> None:
    world, sent = many(1), list[datetime]()

    def note(name: str, *_args: object) -> None:
        if name == "write":
            sent.append(world.now())

    bench = Bench(world, on_call=note)
    (reply,) = write_links(effects(bench, (1,), timedelta()), bench.services)
    assert isinstance(reply, Rows)
    assert reply.at <= sent[0] < world.now()


def test_a_fallback_is_not_opened() -> None:
    bench = Bench(many(1))
    (one,) = effects(bench, (1,), timedelta())
    (reply,) = write_links([replace(one, key=None)], bench.services)
    assert isinstance(reply, Rows)
    assert links(bench.world)["row1"].endswith(f"/Recordings/{re_sid(1)}.mp3")
    assert bench.count("links.open") == 0


@pytest.mark.parametrize("style", ["permalink", "object"])
def test_links_are_of_the_configured_style(style: str) -> None:
    world, base = many(1), "https://calls.example.com"
    world.book = make_book(style=style, base_url=base, secrets=("s" * 32,))
    bench = Bench(world)
    write_links(effects(bench, (1,), timedelta()), bench.services)
    link = world.rows.now["row1"].links[FIELDS[0]]
    assert link.startswith(f"{base}/r/" if style == "permalink" else f"{base}/call-recordings/")
    assert ("?sig=" in link) is (style == "permalink")


@pytest.mark.parametrize(("seconds", "looks"), [(2.0, 0), (3.5, 1)])
def test_a_cell_is_written_within_three_seconds_of_a_look(seconds: float, looks: int) -> None:
    bench = Bench(many(1))
    decided = effects(bench, (1,), timedelta(seconds=seconds))
    (reply,) = write_links(decided, bench.services)
    assert isinstance(reply, Rows)
    assert bench.count("airtable.read") == looks
