"""What the table itself says is to be done: links that are dead, dying, or of another style."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import FailureKind
from reccli.core.model import Row
from reccli.flow import tables
from reccli.flow.ports import Page
from tests.core.samples import RE1, RE2, RE3, make_book, make_row
from tests.sim.world import World

from .bench import Bench, failure
from .byhand import presigned_link

if TYPE_CHECKING:
    from collections.abc import Sequence

DEAD, FRESH = "20261101", "20261122"


def link(sid: str, day: str) -> str:
    return presigned_link(f"call-recordings/{sid}.mp3").replace(FRESH, day)


def look(world: World, seen: set[str], *rows: Row) -> tuple[list[str], list[object]]:
    """Tell which recordings are taken, of which calls, and what Airtable was asked for."""
    bench, asked = Bench(world), list[object]()

    def signed_until(day: date, cursor: str | None, *, holding: Sequence[str] = ()) -> Page[Row]:
        asked.extend((day, cursor, holding))
        return Page(rows, None)

    bench.services.airtable.signed_until = signed_until  # type: ignore[method-assign]
    candidates = list(tables.dying_links(bench.sources, seen))
    return [f"{candidate.ref.sid} {candidate.ref.call_sid}" for candidate in candidates], asked


def test_each_recording_whose_link_dies_is_taken_once() -> None:
    rows = (
        make_row(link(RE1, DEAD), link(RE2, FRESH), call="CA1"),
        make_row(link(RE1, DEAD), call="CA2", row_id="rec2"),
        make_row(link(RE3, DEAD), call="CA3", row_id="rec3"),
        make_row("", link(RE2, DEAD), call="", row_id="rec4"),
    )
    world, seen = World(), {RE3}
    world.book = make_book()
    found, _ = look(world, seen, *rows)
    assert found == [f"{RE1} CA1", f"{RE2} None"]
    assert seen == {RE1, RE2, RE3}


@pytest.mark.parametrize("expired", [1, 3, 4])
def test_a_scan_whose_cursor_is_forgotten_begins_anew_and_not_for_ever(expired: int) -> None:
    bench, asked = Bench(World()), list[str | None]()
    problem = failure(FailureKind.ANEW)

    def fallbacks(cursor: str | None) -> Page[Row]:
        asked.append(cursor)
        if cursor is not None and asked.count(cursor) <= expired:
            raise problem
        return Page((), "next" if cursor is None else None)

    bench.services.airtable.fallbacks = fallbacks  # type: ignore[method-assign]
    assert list(tables.fallbacks(bench.sources)) == []
    tries = min(expired + 1, 4)
    assert asked == [None, "next"] * tries
    assert bench.sources.failures == ([problem.failure] if expired > 3 else [])


@pytest.mark.parametrize("style", ["presigned", "permalink", "object"])
def test_airtable_finds_them_by_their_day_and_by_what_they_hold(style: str) -> None:
    world = World()
    world.book = make_book(style=style, former=("s3://old",))
    found, (day, cursor, holding) = look(world, set())
    signed = world.now() - (timedelta(days=5) if style == "presigned" else timedelta())
    assert (found, day, cursor) == ([], signed.date(), None)
    assert holding == world.book.outdated
    assert "//old.s3" in world.book.outdated
