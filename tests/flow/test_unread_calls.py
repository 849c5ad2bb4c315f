"""Rows that Airtable finds by a call, and whose cell is no SID: whose they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.model import Ref, Row
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.perform import about, find_rows
from tests.core.samples import ACCOUNT, CA1, CA2, RE1, RE2, make_row, twilio_cell
from tests.sim.world import World

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND = Ref(RE1, ACCOUNT, "us1", CA1), Ref(RE2, ACCOUNT, "us1", CA2)
LINKED = '["recABC"]'


def look(*rows: Row) -> list[list[str]]:
    """Tell which rows each of the two recordings is given."""
    bench = Bench(World())

    def find(refs: Sequence[Ref]) -> Sequence[Row]:
        assert refs == [FIRST, SECOND]
        return rows

    bench.services.airtable.find = find  # type: ignore[method-assign]
    given = find_rows([ObserveRows(FIRST), ObserveRows(SECOND)], bench.services)
    return [[row.id for row in each.rows] for each in given if isinstance(each, Rows)]


def test_a_row_that_names_no_call_may_be_that_of_whoever_has_none() -> None:
    own = make_row(call=CA1)
    odd = make_row(row_id="rec2", call="", call_cell=LINKED)
    assert look(odd) == [["rec2"], ["rec2"]]
    assert look(own, odd) == [["rec1"], ["rec2"]]


def test_a_row_that_names_its_call_among_others_is_that_calls() -> None:
    both = make_row(call="", call_cell=f"{CA1}, {CA2}")
    assert look(both) == [["rec1"], ["rec1"]]
    assert look(make_row(call="", call_cell=f"see {CA2}")) == [[], ["rec1"]]
    own = make_row(row_id="rec2", call=CA1)
    assert look(own, both) == [["rec1", "rec2"], ["rec1"]]  # the second row is not left out


def test_a_row_that_mentions_a_recording_is_nobody_elses() -> None:
    assert look(make_row(twilio_cell(RE1), call="", call_cell=LINKED)) == [["rec1"], []]


def test_a_row_without_any_call_is_nobodys() -> None:
    assert look(make_row(call="")) == [[], []]


def test_each_row_comes_once() -> None:
    row = make_row(call=CA1)
    assert about([row, row], FIRST) == (row,)
