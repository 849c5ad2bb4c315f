"""What the table itself says is to be done: fallback links, and links that are dead or dying."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.core.links import ObjectLink, TwilioLink
from reccli.core.model import Reason, Ref, Step, StepKind
from reccli.flow.effects import Rows
from reccli.flow.findings import not_a_link
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.perform import about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from reccli.core.links import LinkBook, Oddity
    from reccli.core.model import Row
    from reccli.flow.ports import Page
    from reccli.flow.source import Sources

_RESCANS = 100
"""A bound for a table that others fill while it is scanned."""
_RESTARTS = 3
"""How often a scan is begun anew because its cursor was forgotten."""


@dataclass(frozen=True, slots=True)
class OddCell:
    """A cell that has to do with Twilio and is no link: its field, and what is wrong with it."""

    field: str
    what: Oddity


def fallbacks(sources: Sources) -> Iterator[Candidate | Outcome]:
    """Yield the recordings of all rows that hold a Twilio address.

    A scan is complete before anything of it is handed out, because pages shift when rows are
    rewritten; it is repeated until it shows nothing new.
    """
    seen: set[tuple[str, TwilioLink | OddCell]] = set()
    for _ in range(_RESCANS):
        at = sources.services.now()
        rows = _scan(sources, sources.services.airtable.fallbacks)
        everything = fallback_links(rows, sources.services.book)
        found = [(row, link) for row, link in everything if (row.id, link) not in seen]
        if not found:
            return
        seen.update((row.id, link) for row, link in found)
        yield from _candidates(found, everything, at)


def fallback_rows(sources: Sources) -> dict[str, set[str]]:
    """Return the rows that hold links to recordings at Twilio, by ID, and to which ones."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = _scan(sources, sources.services.airtable.fallbacks)
    for row, link in fallback_links(rows, sources.services.book):
        if isinstance(link, TwilioLink):
            found[row.id].add(link.sid)
    return found


def fallback_links(rows: Iterable[Row], book: LinkBook) -> list[tuple[Row, TwilioLink | OddCell]]:
    """Return the links to Twilio, and the cells that have to do with Twilio and are none."""
    found: list[tuple[Row, TwilioLink | OddCell]] = []
    for row in rows:
        for name, text in row.links.items():
            link = book.parse(text)
            if isinstance(link, TwilioLink):
                found.append((row, link))
            elif not isinstance(link, ObjectLink) and (odd := book.twilio.oddity(text)):
                found.append((row, OddCell(name, odd)))
    return found


def dying_links(sources: Sources, seen: set[str]) -> Iterator[Candidate]:
    """Yield the recordings whose links would die or are of another style, however old they are.

    The day of signing and the style are found by the server, so that this costs one request when
    idle.
    """
    services, book, now = sources.services, sources.services.book, sources.services.now()
    look = partial(services.airtable.signed_until, book.due_day(now), holding=book.outdated)
    for row in _scan(sources, look):
        for link in map(book.parse, row.links.values()):
            if not isinstance(link, ObjectLink) or book.usable(link, now) or link.sid in seen:
                continue
            seen.add(link.sid)
            yield Candidate(_ref(row, link.sid, book.twilio.account_sid))


def _candidates(
    found: Sequence[tuple[Row, TwilioLink | OddCell]],
    everything: Sequence[tuple[Row, TwilioLink | OddCell]],
    at: datetime,
) -> Iterator[Candidate | Outcome]:
    by_sid: dict[str, tuple[Row, TwilioLink]] = {}
    for row, link in found:
        if isinstance(link, TwilioLink):
            by_sid[link.sid] = row, link
            continue
        yield Outcome(
            None,
            row.call_sid or None,
            Step(StepKind.HOLD, Reason.NOT_A_LINK),
            link=f"row {row.id}",
            objection=not_a_link(row.id, link.field, link.what),
        )
    mentions: dict[str, list[Row]] = defaultdict(list)
    for row, link in everything:
        if isinstance(link, TwilioLink):
            mentions[link.sid].append(row)
    for sid, (row, link) in by_sid.items():
        ref = _ref(row, sid, link.account_sid, link.region, link.call_sid)
        yield Candidate(ref, rows=Rows(about(mentions[sid], ref), at))


def _ref(
    row: Row, sid: str, account_sid: str, region: str | None = None, call_sid: str | None = None
) -> Ref:
    """Name a recording that a row links; by the row's call, unless the link names another."""
    call_sid = call_sid or row.call_sid or None
    return Ref(sid, account_sid, region, call_sid, row.conference_sid or None)


def _scan(sources: Sources, read: Callable[[str | None], Page[Row]]) -> list[Row]:
    """Return the rows of all pages, each once, as far as they could be read.

    A scan whose cursor was forgotten is begun anew, a few times.
    """
    rows: dict[str, Row] = {}
    cursor: str | None = None
    restarts = 0
    while True:
        try:
            page = sources.services.retry.more(Service.AIRTABLE, read, cursor)
        except ServiceError as error:
            if error.failure.kind is FailureKind.ANEW and restarts < _RESTARTS:
                restarts, cursor = restarts + 1, None
                continue
            sources.failures.append(error.failure)
            break
        rows |= {row.id: row for row in page.items}
        cursor = page.cursor
        if cursor is None:
            break
    return list(rows.values())
