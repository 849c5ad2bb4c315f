"""The table of a local Airtable: its rows, how they are filtered and paged, how they are written.

Writes are all or nothing, as integrators report.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache, partial
from itertools import dropwhile, islice
from typing import NamedTuple

from reccli.sandbox.airtable_errors import AirtableError, cannot_accept
from reccli.sandbox.airtable_fields import FakeFields, made_id
from reccli.sandbox.formula import FormulaError, FormulaRow, as_text, compile_formula

MOST_ROWS = 10
CHOOSE_RECORDS = (
    "You must provide an array of up to 10 record objects, each with an "
    '"id" ID field and a "fields" object for cell values.'
)


class Paging(StrEnum):
    """Where the next page begins once rows have changed: Airtable documents nothing."""

    POSITION = "position"
    """So many rows into the list as filtered now: rows are skipped when earlier ones drop out."""
    RECORD = "record"
    """After the last row that was shown."""


@dataclass(slots=True)
class FakeRow:
    """One row; empty cells are left out of `fields`."""

    id: str
    created: datetime
    fields: dict[str, object]


@dataclass(slots=True)
class ListParams:
    """What a request to list rows asks for."""

    formula: str | None = None
    fields: Sequence[str] | None = None
    page_size: int = 100
    max_records: int | None = None
    offset: str | None = None
    sort: Sequence[tuple[str, bool]] = field(default_factory=list)
    """Fields, and whether each one descends."""
    by_field_id: bool = False


class _Place(NamedTuple):
    """Where a page ended."""

    shown: int
    last: str
    at: float


@lru_cache(maxsize=64)
def compiled(
    formula: str, fields: tuple[str, ...], ids: tuple[tuple[str, str], ...]
) -> Callable[[FormulaRow], bool]:
    """Compile a filter once for all pages."""
    try:
        return compile_formula(formula, fields, dict(ids))
    except FormulaError as error:
        message = f"The formula for filtering records is invalid: {error}"
        raise AirtableError(422, "INVALID_FILTER_BY_FORMULA", message) from error


class FakeTable:
    """One table. The caller holds a lock around each call."""

    def __init__(
        self,
        name: str,
        fields: Sequence[str],
        types: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.id = made_id("tbl", name)
        self.columns = FakeFields(name, fields, types)
        self.fields, self.field_ids = self.columns.names, self.columns.ids
        self.types, self.field = self.columns.types, self.columns.named
        self.checked = self.columns.checked
        self.clock = clock
        self.rows: dict[str, FakeRow] = {}
        self.refuse: set[str] = set()
        self.ignore_writes: set[str] = set()
        self.paging = Paging.POSITION
        self.iterator_ttl: float | None = None
        self._places: dict[str, _Place] = {}
        self._made = 0

    # --- reading

    def document(
        self, row: FakeRow, only: Sequence[str] | None = None, *, by_field_id: bool = False
    ) -> dict[str, object]:
        """Show a row."""
        fields = row.fields if only is None else {k: row.fields[k] for k in only if k in row.fields}
        if by_field_id:
            fields = {self.field_ids[name]: value for name, value in fields.items()}
        created = row.created.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return {"id": row.id, "createdTime": created, "fields": dict(fields)}

    def page(self, params: ListParams) -> dict[str, object]:
        """Show a page of the rows as they are now."""
        only = None if params.fields is None else [self.field(name) for name in params.fields]
        place = None if params.offset is None else self._place(params.offset)
        shown = place.shown if place else 0
        size = params.page_size
        if params.max_records is not None:
            size = min(size, params.max_records - shown)
        page = list(islice(self._after(place, params), size + 1))
        more, page = len(page) > size, page[:size]
        show = partial(self.document, only=only, by_field_id=params.by_field_id)
        answer: dict[str, object] = {"records": [show(row) for row in page]}
        shown += len(page)
        if page and more and shown != params.max_records:
            iterator = (params.offset or made_id("itr", f"{time.monotonic_ns()}")).partition("/")[0]
            answer["offset"] = f"{iterator}/{page[-1].id}"
            self._places[f"{iterator}/{page[-1].id}"] = _Place(shown, page[-1].id, time.monotonic())
        return answer

    def expire_iterators(self) -> None:
        """Forget every listing under way, as Airtable does on a restart of its servers."""
        self._places.clear()

    def _after(self, place: _Place | None, params: ListParams) -> Iterator[FakeRow]:
        """Show the rows behind PLACE, filtered as they are now."""
        found = self._found(params)
        if place is None:
            return found
        if self.paging is Paging.POSITION:
            return islice(found, place.shown, None)
        if not params.sort:
            return dropwhile(lambda row: row.id <= place.last, found)
        rows = list(found)
        ids = [row.id for row in rows]
        return iter(rows[ids.index(place.last) + 1 if place.last in ids else place.shown :])

    def _found(self, params: ListParams) -> Iterator[FakeRow]:
        found = (self.rows[key] for key in sorted(self.rows))  # the order seen without a sort
        if params.formula:
            ids = tuple(self.columns.by_id().items())
            passes = compiled(params.formula, self.fields, ids)
            found = (row for row in found if passes(self.columns.seen(row)))
        if not params.sort:
            return found
        rows = list(found)
        for name, descending in reversed(params.sort):
            known = self.field(name)
            rows.sort(
                key=lambda row: as_text(self.columns.seen(row).fields.get(known)),
                reverse=descending,
            )
        return iter(rows)

    def _place(self, offset: str) -> _Place:
        if not offset.startswith("itr") or "/rec" not in offset:
            message = "The value of offset is invalid"
            raise AirtableError(422, "INVALID_OFFSET_VALUE", message)
        place = self._places.get(offset)
        ttl = self.iterator_ttl
        if place is None or (ttl is not None and time.monotonic() - place.at > ttl):
            raise AirtableError(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
        return place

    # --- writing

    def add(self, cells: Mapping[str, object]) -> FakeRow:
        """Make a row."""
        self._made += 1
        kept = self.columns.kept(cells)
        row = FakeRow(made_id("rec", f"{self.name}/{self._made}"), self.clock(), kept)
        self.rows[row.id] = row
        return row

    def change(self, cells: Mapping[str, Mapping[str, object]], *, replace: bool) -> list[FakeRow]:
        """Write rows by ID, all or none."""
        checked = {key: self.checked(fields) for key, fields in cells.items()}
        for key, fields in checked.items():
            if key not in self.rows:
                message = f"Record ID {key} does not exist in this table"
                raise AirtableError(422, "ROW_DOES_NOT_EXIST", message)
            if key in self.refuse:
                name = next(iter(fields), self.fields[0])
                raise cannot_accept(name, "cannot accept the provided value")
        for key in checked.keys() - self.ignore_writes:
            row = self.rows[key]
            others = {} if replace else row.fields
            others = {name: cell for name, cell in others.items() if name not in checked[key]}
            row.fields = {**others, **self.columns.kept(checked[key])}
        return [self.rows[key] for key in checked]
