"""A local Airtable: one base with one table, over the Web API.

It keeps the limits that shape reccli: 5 requests a second with a penalty, ten rows in a write,
pages that shift while rows are rewritten, iterators that expire, a monthly cap that looks like
a throttle.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from reccli.sandbox.airtable_params import body_of, from_query, list_params
from reccli.sandbox.airtable_table import (
    CHOOSE_RECORDS,
    MOST_ROWS,
    AirtableError,
    FakeRow,
    FakeTable,
    Paging,
    made_id,
)
from reccli.sandbox.standin import Request, Response, StandIn, fingerprint, utc_now

__all__ = ["AirtableError", "AirtableStandIn", "FakeRow", "Paging"]

LONGEST_URL = 16_000
NOT_ALLOWED = (
    "Invalid permissions, or the requested model was not found. Check that both your user and "
    "your token have the required permissions, and that the model names and/or ids are correct."
)
BILLING = (
    "API billing plan limit exceeded. You've reached the maximum number of requests allowed for "
    "this month"
)
RATE_LIMITED = "Rate limit exceeded. Please try again later"
WRITE_PARAMS = {"records", "fields", "typecast", "returnFieldsByFieldId"}


class AirtableStandIn(StandIn):
    """One base. `requests_per_second=None` lifts the rate limit.

    Settable while it runs: `paging`, `iterator_ttl` (seconds), `read_only`, `plural_errors` (the
    429 body as seen in the wild), `object_404`, and by record ID `refuse` (a write with that row
    fails) and `ignore_writes` (answered 200 with the row as it was). `throttled` counts the 429s
    of the rate limit.
    """

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
        super().__init__(port=port)
        self.base_id = base_id
        self.table = FakeTable(table, fields, types or {}, clock)
        self.rows, self.refuse = self.table.rows, self.table.refuse
        self.ignore_writes = self.table.ignore_writes
        self.requests_per_second, self.penalty_s = requests_per_second, penalty_s
        self.monthly_cap = monthly_cap
        self.read_only = False
        self.plural_errors = False
        self.object_404 = False
        self.throttled = 0
        self.calls_this_month = 0
        self._arrived: deque[float] = deque()
        self._penalty_until = 0.0
        self._accepted = fingerprint(f"Bearer {api_key}")

    @property
    def paging(self) -> Paging:
        """Where a next page begins; the harsher `POSITION` by default."""
        return self.table.paging

    @paging.setter
    def paging(self, paging: Paging) -> None:
        self.table.paging = paging

    @property
    def iterator_ttl(self) -> float | None:
        """Seconds until an offset is no longer taken."""
        return self.table.iterator_ttl

    @iterator_ttl.setter
    def iterator_ttl(self, seconds: float | None) -> None:
        self.table.iterator_ttl = seconds

    def expire_iterators(self) -> None:
        """Forget every listing under way."""
        with self.lock:
            self.table.expire_iterators()

    def add_row(self, **cells: object) -> FakeRow:
        """Make a row, unchecked."""
        with self.lock:
            return self.table.add(cells)

    def admit(self, request: Request) -> Response | None:
        """Hold the rate limit over arrivals, and the monthly cap (which spares `meta`)."""
        segments = request.segments
        if request.authorization != self._accepted or segments[1:3] == ["meta", "whoami"]:
            return None
        with self.lock:
            if self._is_throttled(request.time):
                self.throttled += 1
                error = {"error": "RATE_LIMIT_REACHED", "message": RATE_LIMITED}
                if self.plural_errors:
                    return Response.json(429, {"errors": [error]})
                return failure(AirtableError(429, "RATE_LIMIT_REACHED", RATE_LIMITED))
            if segments[1:2] == ["meta"]:
                return None
            if self.monthly_cap is not None and self.calls_this_month >= self.monthly_cap:
                return failure(AirtableError(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED", BILLING))
            self.calls_this_month += 1
        return None

    def _is_throttled(self, now: float) -> bool:
        if self.requests_per_second is None:
            return False
        if now < self._penalty_until:
            return True
        while self._arrived and self._arrived[0] <= now - 1:
            self._arrived.popleft()
        if len(self._arrived) >= self.requests_per_second:
            self._penalty_until = now + self.penalty_s
            self._arrived.clear()
            return True
        self._arrived.append(now)
        return False

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
        if len(self.url + request.target) >= LONGEST_URL:
            raise AirtableError(414, "INVALID_REQUEST_UNKNOWN", "The URL is too long")
        match request.method, request.segments:
            case "GET", ["v0", "meta", "whoami"]:
                return {"id": made_id("usr", self.base_id)}
            case "GET", ["v0", "meta", "bases", base, "tables"]:
                self._check(base, self.table.id)
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

    def _check(self, base: str, table: str) -> None:
        if base != self.base_id or table not in {self.table.name, self.table.id}:
            raise AirtableError(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", NOT_ALLOWED)

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
            name = self.table.field(next(iter(cells), self.table.fields[0]))
            field = f"{name} ({self.table.field_ids[name]})"
            message = f"You are not permitted to write cell values in field {field}"
            raise AirtableError(403, "INVALID_PERMISSIONS", message)

    def _schema(self) -> dict[str, object]:
        table = self.table
        fields = [
            {"id": key, "name": name, "type": table.types[name]}
            for name, key in table.field_ids.items()
        ]
        views = [{"id": made_id("viw", table.name), "name": "Grid view", "type": "grid"}]
        primary = table.field_ids[table.fields[0]]
        return {
            "id": table.id,
            "name": table.name,
            "primaryFieldId": primary,
            "fields": fields,
            "views": views,
        }


def failure(error: AirtableError, *, object_404: bool = False) -> Response:
    """Answer an error in the documented shape: a 404 may come as a bare string."""
    document: object = {"type": error.kind}
    if error.message is not None:
        document = {"type": error.kind, "message": error.message}
    elif error.status == 404 and not object_404:  # noqa: PLR2004
        document = error.kind
    return Response.json(error.status, {"error": document})
