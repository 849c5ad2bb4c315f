"""What a table has refused to take, so that one answer decides for all rows. For `linking`.

A field that is locked or computed is named by the refusal itself. A value that is not accepted may
be that of one row, as may be whatever else names no field: rows are asked alone, and a field that
refused five of them in a row, and took none, is asked no more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.errors import FailureKind, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from reccli.core.errors import Failure

REMEMBERED = timedelta(minutes=10)
"""How long a refusal counts for everybody: a server lives for weeks, and people mend fields."""
_ENOUGH = 5
"""So many rows in a row, each refused alone, speak for their field; a batch asks three at first."""

CellId = tuple[str, str]
"""A row's ID and the name of a field."""
Updates = Mapping[str, Mapping[str, str]]
"""Links by row ID and field."""


class Refusals:
    """What is known of fields and of the size of requests; threads share it."""

    def __init__(self, rows_a_write: int, now: Callable[[], datetime]) -> None:
        """`now` is our clock (UTC)."""
        self._most, self._now = rows_a_write, now
        self._lock = threading.Lock()
        self._fields: dict[str, tuple[Failure, datetime]] = {}
        self._alone: Counter[str] = Counter()
        self._takes: set[str] = set()
        self._size, self._until = rows_a_write, now()

    @property
    def batch(self) -> int:
        """How many rows go into one request."""
        return self._size if self._now() < self._until else self._most

    def sieve(self, updates: Updates) -> tuple[Updates, dict[CellId, Failure]]:
        """Return what may be written, and by cell the failures of what is known to be refused."""
        now = self._now()
        with self._lock:
            known = {name: failure for name, (failure, end) in self._fields.items() if now < end}
        refused = {cell_id: known[cell_id[1]] for cell_id in each(updates) if cell_id[1] in known}
        left = {
            row: rest
            for row, links in updates.items()
            if (rest := {name: link for name, link in links.items() if name not in known})
        }
        return left, refused

    def took(self, updates: Updates) -> None:
        """Remember that these were accepted."""
        with self._lock:
            for _, name in each(updates):
                self._takes.add(name)
                self._alone.pop(name, None)

    def learn(self, updates: Updates, failure: Failure) -> Sequence[Updates]:
        """Remember a refusal; return the parts to ask for next, none if there is an answer.

        What is known after that has to be sieved out of the parts.
        """
        cell_id, *others = each(updates)
        with self._lock:
            if failure.field in fields_of(updates):
                self._remember(failure)
                return (updates,)
            if not others:
                self._count(cell_id[1], failure)
                return ()
            if failure.kind is FailureKind.TOO_LARGE and len(updates) > 1:
                self._size = min(self.batch, len(updates) // 2)
                self._until = self._now() + REMEMBERED
                return tuple(batches(updates, self._size))
            return tuple(self._parts(updates))

    def _count(self, name: str, failure: Failure) -> None:
        if failure.kind is FailureKind.GONE:
            return  # that row is no more, which says nothing of the field
        self._alone[name] += 1
        if self._alone[name] >= _ENOUGH:
            self._takes.discard(name)
            self._remember(replace(failure, field=name))

    def _remember(self, failure: Failure) -> None:
        self._fields[failure.field or ""] = failure, self._now() + REMEMBERED

    def _parts(self, updates: Updates) -> Iterator[Updates]:
        """Yield each field by itself, then rows: of a field that never took a link, single ones.

        The first, the last and the middle, for what is wrong with rows is often wrong with
        neighbours.
        """
        names = fields_of(updates)
        if len(names) > 1:
            for name in names:
                yield {row: {name: links[name]} for row, links in updates.items() if name in links}
            return
        rows = list(updates)
        middle = len(rows) // 2
        if names[0] in self._takes:
            parts = [rows[:middle], rows[middle:]]
        else:
            alone = list(dict.fromkeys((rows[0], rows[-1], rows[middle])))
            parts = [[row] for row in alone] + [[row for row in rows if row not in alone]]
        for part in filter(None, parts):
            yield {row: updates[row] for row in part}


def named(failure: Failure, updates: Updates) -> Failure:
    """Return the failure with the name of the field that was refused, where Airtable gives none."""
    name, *others = fields_of(updates)
    theirs = failure.service is Service.AIRTABLE and failure.kind is FailureKind.PERMANENT
    if others or not theirs or failure.field or name in failure.message:
        return failure
    hint = failure.hint or f"look whether {name!r} of airtable.link_fields takes links"
    return replace(failure, message=f"field {name!r}: {failure.message}", hint=hint)


def each(updates: Updates) -> list[CellId]:
    """Return the cells of the updates."""
    return [(row, name) for row, links in updates.items() for name in links]


def fields_of(updates: Updates) -> list[str]:
    """Return the fields, each once."""
    return list(dict.fromkeys(name for _, name in each(updates)))


def batches(updates: Updates, size: int) -> Iterator[Updates]:
    """Yield the updates in parts of so many rows."""
    rows = list(updates)
    for start in range(0, len(rows), size):
        yield {row: updates[row] for row in rows[start : start + size]}
