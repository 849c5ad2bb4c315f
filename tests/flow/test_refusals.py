"""One answer decides for all where it is about a field; what is about a row stays with the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.effects import Rows
from reccli.flow.linking import write_links
from reccli.flow.refusals import REMEMBERED, Updates, fields_of
from tests.sim.world import FIELDS, re_sid

from .bench import Bench, many
from .test_linking import effects, two_cells, writing, written

K = FailureKind
Says = Callable[[Updates], Failure | None]
NOW = timedelta()


def refusal(kind: FailureKind = K.PERMANENT, name: str | None = None, said: str = "no") -> Failure:
    return Failure(Service.AIRTABLE, kind, "made", said, field=name)


def refusing(bench: Bench, says: Says) -> list[list[str]]:
    """Refuse what `says` gives a failure for; tells which rows each request is for."""

    def answer(updates: Updates, write: Callable[[Updates], object]) -> object:
        if failure := says(updates):
            raise ServiceError(failure)
        return write(updates)

    return writing(bench, answer)  # type: ignore[arg-type]


def rows_of(updates: Updates, *numbers: int) -> bool:
    return any(f"row{number}" in updates for number in numbers)


def failures(replies: object) -> list[Failure]:
    assert isinstance(replies, list)
    return [reply for reply in replies if isinstance(reply, Failure)]


def test_a_refusal_that_names_the_field_is_asked_for_once() -> None:
    bench = Bench(many(40))
    locked = refusal(name=FIELDS[0])
    asked = refusing(bench, lambda _updates: locked)
    replies = write_links(effects(bench, range(1, 41)), bench.services)
    assert replies == [locked] * 40
    assert (len(asked), bench.count("airtable.read")) == (1, 1)
    assert write_links(effects(bench, range(1, 41)), bench.services) == replies
    assert (len(asked), bench.count("airtable.read")) == (1, 1)  # nor is it looked at


def test_the_other_cell_of_the_row_is_written() -> None:
    bench, both = two_cells()
    locked = refusal(name=FIELDS[1])
    asked = refusing(bench, lambda updates: locked if FIELDS[1] in fields_of(updates) else None)
    good, bad = write_links(both, bench.services)
    assert (type(good), bad) == (Rows, locked)
    assert asked == [["row1"], ["row1"]]


def test_a_field_that_is_not_named_is_parted_from_the_others() -> None:
    bench, both = two_cells()
    asked = refusing(bench, lambda updates: refusal() if FIELDS[1] in fields_of(updates) else None)
    good, bad = write_links(both, bench.services)
    assert isinstance(good, Rows)
    assert isinstance(bad, Failure)
    assert (bad.message, bad.field) == (f"field {FIELDS[1]!r}: no", None)
    assert f"{FIELDS[1]!r} of airtable.link_fields" in bad.hint
    assert len(asked) == 3


@pytest.mark.parametrize("kind", [K.PERMANENT, K.TOO_LARGE])
def test_five_rows_alone_speak_for_the_field(kind: FailureKind) -> None:
    bench = Bench(many(30))
    asked = refusing(bench, lambda _updates: refusal(kind))
    replies = write_links(effects(bench, range(1, 31), NOW), bench.services)
    assert len(failures(replies)) == 30
    assert {reply.field for reply in failures(replies)} == {None, FIELDS[0]}
    assert len([rows for rows in asked if len(rows) == 1]) == 5
    assert len(asked) <= 9


def test_the_rows_that_are_asked_alone_are_far_apart() -> None:
    bench = Bench(many(10))
    asked = refusing(bench, lambda _updates: refusal())
    write_links(effects(bench, range(1, 11), NOW), bench.services)
    assert asked[1:4] == [["row1"], ["row10"], ["row6"]]


@pytest.mark.parametrize("bad", [(1, 2, 3), (1, 10), (1, 2, 9, 10), (6,), (1, 6, 9)])
def test_rows_that_are_refused_block_no_other(bad: tuple[int, ...]) -> None:
    bench = Bench(many(10))
    refusing(bench, lambda updates: refusal() if rows_of(updates, *bad) else None)
    replies = write_links(effects(bench, range(1, 11), NOW), bench.services)
    assert len(failures(replies)) == len(bad)
    assert written(bench) == {f"row{number}" for number in range(1, 11) if number not in bad}


def test_what_was_taken_in_between_counts() -> None:
    bench = Bench(many(9))
    refusing(bench, lambda updates: refusal() if rows_of(updates, 1, 3, 5, 7) else None)
    for number in range(1, 10):
        write_links(effects(bench, (number,), NOW), bench.services)
    assert written(bench) == {f"row{number}" for number in (2, 4, 6, 8, 9)}


@pytest.mark.parametrize("gone", [(1, 6, 10), (1, 2, 3, 4, 5)])
def test_rows_that_are_gone_say_nothing_of_the_field(gone: tuple[int, ...]) -> None:
    bench = Bench(many(10))
    refusing(bench, lambda updates: refusal(K.GONE) if rows_of(updates, *gone) else None)
    replies = write_links(effects(bench, range(1, 11), NOW), bench.services)
    assert len(failures(replies)) == len(gone)
    assert {(reply.message, reply.field) for reply in failures(replies)} == {("no", None)}
    assert len(written(bench)) == 10 - len(gone)


def test_of_a_field_that_takes_links_halves_are_asked_for() -> None:
    bench = Bench(many(14))
    asked = refusing(bench, lambda updates: refusal() if rows_of(updates, 9) else None)
    write_links(effects(bench, range(1, 5), NOW), bench.services)
    write_links(effects(bench, range(5, 15), NOW), bench.services)
    assert [len(rows) for rows in asked] == [4, 10, 5, 2, 3, 1, 2, 1, 1, 5]
    assert len(written(bench)) == 13


def test_a_request_that_is_too_large_is_halved_for_all_that_follow() -> None:
    bench = Bench(many(40))
    asked = refusing(bench, lambda updates: refusal(K.TOO_LARGE) if len(updates) > 5 else None)
    replies = write_links(effects(bench, range(1, 11), NOW), bench.services)
    replies += write_links(effects(bench, range(11, 26), NOW), bench.services)
    assert not failures(replies)
    assert [len(rows) for rows in asked] == [10, 5, 5, 5, 5, 5]
    bench.world.sleep(REMEMBERED.total_seconds())
    assert not failures(write_links(effects(bench, range(26, 36), NOW), bench.services))
    assert [len(rows) for rows in asked[6:]] == [10, 5, 5]


def test_an_answer_to_a_longer_request_makes_none_longer_again() -> None:
    bench = Bench(many(20))
    refusals = bench.services.checks.refusals
    updates = {f"row{number}": {FIELDS[0]: ""} for number in range(10)}
    for size in (4, 10):
        refusals.learn({row: updates[row] for row in list(updates)[:size]}, refusal(K.TOO_LARGE))
    assert refusals.batch == 2


def test_two_cells_of_a_row_may_be_too_large_together() -> None:
    bench, both = two_cells()
    refusing(bench, lambda updates: refusal(K.TOO_LARGE) if len(fields_of(updates)) > 1 else None)
    assert not failures(write_links(both, bench.services))


def test_a_field_that_was_mended_is_asked_again_after_a_while() -> None:
    bench = Bench(many(3))
    locked: list[Failure] = [refusal(name=FIELDS[0])]
    asked = refusing(bench, lambda _updates: next(iter(locked), None))
    assert failures(write_links(effects(bench, (1,), NOW), bench.services))
    locked.clear()
    bench.world.sleep(REMEMBERED.total_seconds() - 1)
    assert failures(write_links(effects(bench, (2,), NOW), bench.services))
    bench.world.sleep(1)
    assert not failures(write_links(effects(bench, (3,), NOW), bench.services))
    assert len(asked) == 2


def test_a_field_that_five_rows_spoke_for_needs_one_to_be_refused_anew() -> None:
    bench = Bench(many(20))
    asked = refusing(bench, lambda _updates: refusal())
    write_links(effects(bench, range(1, 11), NOW), bench.services)
    bench.world.sleep(REMEMBERED.total_seconds())
    write_links(effects(bench, range(11, 21), NOW), bench.services)
    assert [len(rows) for rows in asked] == [10, 1, 1, 1, 7, 1, 1, 10, 1]


def test_a_field_that_took_links_until_its_type_was_changed_is_found_out() -> None:
    bench = Bench(many(12))
    asked = refusing(bench, lambda updates: None if rows_of(updates, 1) else refusal())
    write_links(effects(bench, (1,), NOW), bench.services)
    replies = write_links(effects(bench, range(2, 12), NOW), bench.services)
    assert (len(failures(replies)), len(asked)) == (10, 11)
    bench.world.sleep(REMEMBERED.total_seconds())
    write_links(effects(bench, range(2, 12), NOW), bench.services)
    assert [len(rows) for rows in asked[11:]] == [10, 1]


def test_an_answer_that_came_while_a_request_waited_keeps_it_from_being_sent() -> None:
    bench, both = two_cells()
    locked = refusal(name=FIELDS[1])

    def meanwhile(updates: Updates, write: Callable[[Updates], object]) -> object:
        if len(fields_of(updates)) > 1:
            bench.services.checks.refusals.learn(updates, locked)
        return write(updates)

    asked = writing(bench, meanwhile)  # type: ignore[arg-type]
    good, bad = write_links(both, bench.services)
    assert (type(good), bad) == (Rows, locked)
    assert (len(asked), bench.count("airtable.write")) == (2, 1)


def test_a_recording_of_two_rows_is_not_linked_where_one_is_refused() -> None:
    bench = Bench(many(2))
    one, two = effects(bench, (1, 2), NOW)
    both = replace(one, cells=(*one.cells, *two.cells))
    refusing(bench, lambda updates: refusal() if rows_of(updates, 2) else None)
    (reply,) = write_links([both], bench.services)
    assert isinstance(reply, Failure)
    assert re_sid(1) in bench.world.rows.now["row1"].links[FIELDS[0]]


def test_a_refusal_that_names_a_field_of_others_decides_nothing() -> None:
    bench = Bench(many(2))
    refusing(bench, lambda updates: refusal(name=FIELDS[1]) if rows_of(updates, 1) else None)
    bad, good = write_links(effects(bench, (1, 2), NOW), bench.services)
    assert (type(bad), type(good)) == (Failure, Rows)


def test_a_hint_is_kept_where_the_field_is_not_named() -> None:
    bench = Bench(many(1))
    refusing(bench, lambda _updates: replace(refusal(), hint="see there"))
    (reply,) = write_links(effects(bench, (1,), NOW), bench.services)
    assert isinstance(reply, Failure)
    assert (reply.message, reply.hint) == (f"field {FIELDS[0]!r}: no", "see there")


def test_a_failure_names_its_field_once() -> None:
    bench = Bench(many(1))
    said = f'Field "{FIELDS[0]}" cannot accept the provided value'
    refusing(bench, lambda _updates: replace(refusal(said=said), hint="see there"))
    (reply,) = write_links(effects(bench, (1,), NOW), bench.services)
    assert isinstance(reply, Failure)
    assert (reply.message, reply.hint) == (said, "see there")
