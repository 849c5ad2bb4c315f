"""A local Airtable: one base with one table, over the Web API.

It keeps the limits that shape reccli: 5 requests a second with a penalty, ten rows in a write,
pages that shift while rows are rewritten, iterators that expire, a monthly cap that looks like
a throttle.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Generic, TypeVar

from reccli.sandbox.airtable_errors import AirtableError, failure, not_allowed
from reccli.sandbox.airtable_fields import made_id
from reccli.sandbox.airtable_limits import LimitedStandIn
from reccli.sandbox.airtable_params import body_of, from_query, list_params
from reccli.sandbox.airtable_table import (
    CHOOSE_RECORDS,
    MOST_ROWS,
    FakeRow,
    FakeTable,
    Paging,
)
from reccli.sandbox.standin import Request, Response, utc_now

__all__ = ["AirtableError", "AirtableStandIn", "FakeRow", "Paging"]

T = TypeVar("T")
LONGEST_URL = 16_000
WRITE_PARAMS = {"records", "fields", "typecast", "returnFieldsByFieldId"}


class _Through(Generic[T]):
    """An attribute that lives further in, by its dotted name."""

    def __init__(self, path: str) -> None:
        self.owner, _, self.name = path.rpartition(".")

    def __get__(self, standin: object, _kind: type) -> T:
        found: T = getattr(attrgetter(self.owner)(standin), self.name)
        return found

    def __set__(self, standin: object, value: T) -> None:
        setattr(attrgetter(self.owner)(standin), self.name, value)


class AirtableStandIn(LimitedStandIn):
    """One base. `requests_per_second=None` lifts the rate limit.

    Settable while it runs: `paging`, `iterator_ttl` (seconds), `types`, `formulas_take_ids`,
    `rich_text_escapes`, `read_only`, `locked_fields` (names that the token may not write),
    `may_read_schema`, `longest_body` (bytes; a longer request is answered 413),
    `plural_errors` (the 429 body as seen in the wild), `object_404`, and by record ID `refuse` (a
    write with that row fails) and `ignore_writes` (answered 200 with the row as it was).
    `throttled` counts the 429s of the rate limit. `linked(text)` gives the record ID that a cell of
    linked records holds, `linked_names` the texts by record ID.
    """

    paging = _Through[Paging]("table.paging")
    """Where a next page begins; the harsher `POSITION` by default."""
    iterator_ttl = _Through[float | None]("table.iterator_ttl")
    """Seconds until an offset is no longer taken."""
    formulas_take_ids = _Through[bool]("table.columns.formulas_take_ids")
    """Whether `{fld…}` in a formula is the field; else it is an unknown name."""
    rich_text_escapes = _Through[bool]("table.columns.rich_text_escapes")
    """Whether rich text comes back with its Markdown characters escaped."""

    def __init__(  # noqa: PLR0913
        self,
        api_key: str,
        base_id: str,
        table: str,
        *,
        fields: Sequence[str],
        types: Mapping[str, str] | None = None,
        requests_per_second: float | None = 5,
        penalty_s: float = 30.0,
        monthly_cap: int | None = None,
        clock: Callable[[], datetime] = utc_now,
        port: int = 0,
    ) -> None:
        super().__init__(api_key, port=port)
        self.base_id = base_id
        self.table = FakeTable(table, fields, types or {}, clock)
        self.rows, self.refuse = self.table.rows, self.table.refuse
        self.ignore_writes = self.table.ignore_writes
        columns = self.table.columns
        self.types, self.locked_fields = columns.types, columns.locked
        self.linked, self.linked_names = columns.linked, columns.linked_names
        self.requests_per_second, self.penalty_s = requests_per_second, penalty_s
        self.monthly_cap = monthly_cap
        self.read_only = False
        self.object_404 = False
        self.may_read_schema = True
        self.longest_body: int | None = None

    def reset_fields(self) -> None:
        """Make the fields as they were at first: types, locks, links."""
        with self.lock:
            self.table.columns.reset()
            self.may_read_schema, self.longest_body = True, None

    def expire_iterators(self) -> None:
        """Forget every listing under way."""
        with self.lock:
            self.table.expire_iterators()

    def add_row(self, **cells: object) -> FakeRow:
        """Make a row, unchecked."""
        with self.lock:
            return self.table.add(cells)

    def handle(self, request: Request) -> Response:
        """Answer as api.airtable.com."""
        try:
            with self.lock:
                return Response.json(200, self._route(request))
        except AirtableError as error:
            return failure(error, object_404=self.object_404)

    def _route(self, request: Request) -> object:
        if request.authorization != self._accepted:
            raise AirtableError(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        self._check_size(request)
        match request.method, request.segments:
            case "GET", ["v0", "meta", "whoami"]:
                return {"id": made_id("usr", self.base_id)}
            case "GET", ["v0", "meta", "bases", base, "tables"]:
                self._check(base, self.table.id)
                if not self.may_read_schema:
                    raise not_allowed()
                return {"tables": [self._schema()]}
            case "GET", ["v0", base, table]:
                self._check(base, table)
                return self.table.page(list_params(from_query(request.query)))
            case "POST", ["v0", base, table, "listRecords"]:
                self._check(base, table)
                return self.table.page(list_params(body_of(request)))
            case ("PATCH" | "PUT" | "POST") as method, ["v0", base, table]:
                self._check(base, table)
                return self._write(method, body_of(request))
            case ("GET" | "PATCH" | "PUT") as method, ["v0", base, table, row_id]:
                self._check(base, table)
                return self._one(method, row_id, request)
        raise AirtableError(404, "NOT_FOUND")

    def _check_size(self, request: Request) -> None:
        if len(self.url + request.target) >= LONGEST_URL:
            raise AirtableError(414, "INVALID_REQUEST_UNKNOWN", "The URL is too long")
        if self.longest_body is not None and len(request.body) > self.longest_body:
            raise AirtableError(413, "REQUEST_TOO_LARGE", "The request is too large")

    def _check(self, base: str, table: str) -> None:
        if base != self.base_id or table not in {self.table.name, self.table.id}:
            raise not_allowed()

    def _one(self, method: str, row_id: str, request: Request) -> object:
        row = self.rows.get(row_id)
        if row is None:
            raise AirtableError(404, "NOT_FOUND")
        if method == "GET":
            by_id = request.query.get("returnFieldsByFieldId", ["0"])[0] in {"1", "true"}
            return self.table.document(row, by_field_id=by_id)
        body = body_of(request)
        cells = body.get("fields")
        if not isinstance(cells, dict) or "records" in body:
            raise AirtableError(422, "INVALID_REQUEST_MISSING_FIELDS", 'Could not find "fields"')
        self._allow_write(cells)
        self.table.change({row_id: cells}, replace=method == "PUT")
        return self.table.document(row, by_field_id=body.get("returnFieldsByFieldId") is True)

    def _write(self, method: str, body: Mapping[str, object]) -> object:
        unknown = body.keys() - WRITE_PARAMS
        if unknown:
            raise AirtableError(422, "INVALID_REQUEST_UNKNOWN", f"Not served here: {unknown}")
        single = method == "POST" and "records" not in body
        records = [body] if single else body.get("records")
        creates = method == "POST"
        if not isinstance(records, list) or not 0 < len(records) <= MOST_ROWS:
            raise AirtableError(422, "INVALID_RECORDS", CHOOSE_RECORDS)
        wanted: list[tuple[str, dict[str, object]]] = []
        for record in records:
            cells = record.get("fields") if isinstance(record, dict) else None
            row_id = "" if creates else isinstance(record, dict) and record.get("id")
            if not isinstance(cells, dict) or not isinstance(row_id, str):
                raise AirtableError(422, "INVALID_RECORDS", CHOOSE_RECORDS)
            self._allow_write(cells)
            wanted.append((row_id, cells))
        show = partial(self.table.document, by_field_id=body.get("returnFieldsByFieldId") is True)
        if creates:
            checked = [self.table.checked(cells) for _, cells in wanted]
            made = [show(self.table.add(cells)) for cells in checked]
            return made[0] if single else {"records": made}
        by_id = dict(wanted)
        if len(by_id) < len(wanted):
            twice = next(key for key, _ in wanted if [k for k, _ in wanted].count(key) > 1)
            message = f"Record {twice} was specified twice"
            raise AirtableError(422, "INVALID_RECORDS", message)
        changed = self.table.change(by_id, replace=method == "PUT")
        return {"records": [show(row) for row in changed]}

    def _allow_write(self, cells: Mapping[str, object]) -> None:
        if self.read_only:
            message = "You are not permitted to perform this operation"
            raise AirtableError(403, "INVALID_PERMISSIONS", message)
        named = [self.table.field(name) for name in cells]
        if barred := [name for name in named if name in self.locked_fields]:
            field = f"{barred[0]} ({self.table.field_ids[barred[0]]})"
            message = f"You are not permitted to write cell values in field {field}"
            raise AirtableError(403, "INVALID_PERMISSIONS", message)

    def _schema(self) -> dict[str, object]:
        table = self.table
        views = [{"id": made_id("viw", table.name), "name": "Grid view", "type": "grid"}]
        primary = table.field_ids[table.fields[0]]
        return {
            "id": table.id,
            "name": table.name,
            "primaryFieldId": primary,
            "fields": table.columns.schema(),
            "views": views,
        }
