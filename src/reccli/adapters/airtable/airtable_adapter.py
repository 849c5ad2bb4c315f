"""The calls to Airtable: one request at a time, each of them paced, none of them repeated."""

from __future__ import annotations

from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from itertools import chain
from typing import TYPE_CHECKING, Any

from pyairtable import Api
from requests import RequestException
from requests.exceptions import JSONDecodeError

from reccli import network
from reccli.adapters.airtable import formulas
from reccli.adapters.airtable.airtable_failures import RATE_LIMITED, failure_of, odd_answer
from reccli.adapters.airtable.airtable_timeouts import PatientAdapter
from reccli.adapters.airtable.cell_text import link, sid, takes_files, text_of, value_of
from reccli.adapters.airtable.table_schema import SCOPE_HINT, attachments_of, fields_of
from reccli.core.errors import Failure, FailureKind, ServiceError
from reccli.core.model import Row
from reccli.flow.linking import FRESH
from reccli.flow.ports import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date

    from requests import Response

    from reccli.adapters.airtable.options import AirtableOptions
    from reccli.core.model import Ref
    from reccli.flow.pacer import Pacer

PAGE = 100
"""The most rows in one answer."""
BATCH = 10
"""The most rows in one update."""
PENALTY = 30.0
"""How long Airtable refuses everything after its rate limit was passed, in seconds."""
LONGEST_PAUSE = 120.0
"""A run does not stand still for longer than this, whatever an answer asks for."""

LONGEST_MESSAGE = 200
"""Airtable's messages may repeat cell values: enough to act on, not enough to leak a row."""

_CONNECT, _READ = 5, 30  # a formula over a large table is slow
_CONNECTIONS = 8


class AirtableAdapter:
    """Implements `flow.ports.AirtablePort`; threads may share it, as pyairtable's own session."""

    rows_a_find = 50  # with 14 KB of formula in the URL; more take several requests
    rows_a_write = BATCH

    def __init__(self, options: AirtableOptions, pacer: Pacer, *, penalty: float = PENALTY) -> None:
        """`pacer` must be the only one of this base in this process; `penalty` is in seconds."""
        self._options, self._pacer, self._penalty = options, pacer, penalty
        self._api = Api(
            options.api_key,
            retry_strategy=None,  # its retries hide the body, and 30 s is never respected
            timeout=(_CONNECT, _READ),
            endpoint_url=options.endpoint_url.rstrip("/"),
        )
        session = self._api.session
        session.trust_env = False  # a .netrc would replace the Bearer header
        session.proxies.update(network.proxies_for(options.endpoint_url))
        session.max_redirects = 0  # no redirect is documented, and it turns a PATCH into a GET
        session.hooks["response"].append(_raise_for_status)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            session.mount(scheme, PatientAdapter(pool_maxsize=_CONNECTIONS, pool_block=True))
        base = self._api.base(options.base_id)
        self._urls, self._tables_url = base.table(options.table).urls, base.urls.tables

    @property
    def rows_a_look(self) -> int:
        """How many rows can be written within 3 s of a look at them, at the set pace.

        Of the turns in that time, one is the look's own and one passes while it is answered.
        """
        writes = int(FRESH.total_seconds() * self._pacer.per_second) - 2
        return min(max(writes * BATCH, BATCH), PAGE)

    def field_names(self) -> Mapping[str, str]:
        """Return the names of the table's fields by their IDs; needs schema.bases:read."""
        try:
            body = self._request("GET", self._tables_url)
        except ServiceError as error:
            if error.failure.kind is not FailureKind.DENIED:
                raise
            raise ServiceError(replace(error.failure, hint=SCOPE_HINT)) from error
        return fields_of(body, self._options.table)

    def require_fields(self) -> None:
        """Raise a CONFIG failure if a link field is one of attachments, as far as that may be seen.

        That takes schema.bases:read, which nothing else needs: without it nothing is said.
        """
        try:
            body = self._request("GET", self._tables_url)
            files = attachments_of(body, self._options.table)
        except ServiceError as error:
            if error.failure.kind in {FailureKind.DENIED, FailureKind.CONFIG}:
                return
            raise
        for name in self._options.link_fields:
            if name in files:
                raise takes_files(name)

    def close(self) -> None:
        """Close the connections."""
        self._api.session.close()

    def probe(self) -> None:
        """Return if the table can be read; raises `ServiceError`."""
        query = {"fields": [self._options.call_sid_field], "max_records": 1}
        self._request("GET", self._urls.records, options=query)

    def fallbacks(self, cursor: str | None) -> Page[Row]:
        """List one page of the rows in which some link field holds a Twilio address."""
        return self._page(
            formulas.addressing(self._options.needles, self._options.link_fields), cursor
        )

    def signed_until(
        self, day: date, cursor: str | None, *, holding: Sequence[str] = ()
    ) -> Page[Row]:
        """List one page of the rows with a presigned link that was signed by the end of `day`.

        And of those with a link that holds one of the texts. Whose the links are is not asked:
        presigned links to other buckets are found too.
        """
        options = self._options
        formula = formulas.dated_until(options.dated, day, options.link_fields, holding)
        return self._page(formula, cursor)

    def find(self, refs: Sequence[Ref]) -> Sequence[Row]:
        """Find every row about these recordings, by call, by conference or by mention."""
        wanted = formulas.about(refs, self._options)
        found = chain.from_iterable(self._all(formula) for formula in wanted)
        return list({row.id: row for row in found}.values())

    def read(self, row_ids: Sequence[str]) -> Sequence[Row]:
        """Read rows by ID; those that are gone are missing from the answer."""
        wanted = list(dict.fromkeys(row_ids))
        chunks = (wanted[start : start + PAGE] for start in range(0, len(wanted), PAGE))
        return [row for chunk in chunks for row in self._all(formulas.named(chunk))]

    def write(
        self, cells: Mapping[str, Mapping[str, str]], *, before: Callable[[], None] = lambda: None
    ) -> Sequence[Row]:
        """Write {row ID: {field: link}} for at most 10 rows in one request.

        `before` is called when the request is about to be sent, after the pacer has let it go;
        what it raises goes up as it is, and nothing is sent. Returns the rows as Airtable
        answered them, which is the read-back. After an odd answer the links may be stored: the
        caller looks again. A refusal that is about a field alone names it.
        """
        if len(cells) > BATCH:
            raise ValueError(f"{len(cells)} rows in one update: Airtable takes {BATCH}")
        if not cells:
            return []
        records = [{"id": row, "fields": dict(fields)} for row, fields in cells.items()]
        # Without typecast Airtable refuses what does not fit instead of inventing options.
        names = list(dict.fromkeys(name for fields in cells.values() for name in fields))
        body = self._request(
            "PATCH", self._urls.records, before, names, json={"records": records, "typecast": False}
        )
        return self._rows(body)

    def _all(self, formula: str) -> list[Row]:
        page = self._page(formula, None)
        rows = list(page.items)
        while page.cursor is not None:
            page = self._page(formula, page.cursor)
            rows += page.items
        return rows

    def _page(self, formula: str, cursor: str | None) -> Page[Row]:
        query: dict[str, Any] = {
            "formula": formula,
            "fields": self._options.columns,
            "page_size": PAGE,
        }
        if cursor is not None:
            query["offset"] = cursor
        longer = ("POST", self._urls.records_post)
        body = self._request("GET", self._urls.records, fallback=longer, options=query)
        rows = self._rows(body)
        offset = body.get("offset")
        if offset is not None and (not isinstance(offset, str) or offset in {"", cursor}):
            raise ServiceError(odd_answer("a page that leads nowhere"))
        return Page(rows, offset)

    def _request(
        self,
        method: str,
        url: str,
        before: Callable[[], None] = lambda: None,
        fields: Collection[str] = (),
        **parts: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        self._pacer.wait()
        before()
        try:
            body = self._api.request(method, url, **parts)
        except JSONDecodeError as error:
            raise ServiceError(odd_answer("not JSON")) from error
        except RequestException as error:
            raise self._refused(failure_of(error, fields)) from error
        if not isinstance(body, dict):
            raise ServiceError(odd_answer("no JSON object"))
        return body

    def _refused(self, failure: Failure) -> ServiceError:
        if failure.code == RATE_LIMITED:
            asked = failure.retry_after or 0.0
            self._pacer.pause(min(max(self._penalty, asked), max(self._penalty, LONGEST_PAUSE)))
        # A proxy may repeat the request in its answer.
        message = failure.message.replace(self._options.api_key, "[api_key]")
        return ServiceError(replace(failure, message=message[:LONGEST_MESSAGE]))

    def _rows(self, body: Mapping[str, Any]) -> list[Row]:
        records = body.get("records")
        if not isinstance(records, list):
            raise ServiceError(odd_answer("no list of records"))
        return [self._row(record) for record in records]

    def _row(self, record: object) -> Row:
        match record:
            case {"id": str(row_id), "fields": dict(fields)}:
                options = self._options
                cell = fields.get(options.call_sid_field)
                call_sid = sid(cell, "CA")
                return Row(
                    row_id,
                    call_sid,
                    {name: link(name, fields.get(name)) for name in options.link_fields},
                    {name: value_of(fields.get(text)) for name, text in options.key_fields.items()},
                    sid(fields.get(options.conference_sid_field), "CF"),
                    call_cell="" if call_sid else text_of(cell),
                )
        raise ServiceError(odd_answer("a record without an ID or fields"))


def _raise_for_status(response: Response, **_: object) -> None:
    """Come before pyairtable, which stumbles over an error whose body is no JSON object."""
    response.raise_for_status()
