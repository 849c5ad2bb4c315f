"""What the table itself says is to be done: fallback links, and links that are dead or dying.

For `source`, which adds what Twilio lists. What could not be read is kept in `failures`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.links import ObjectLink, TwilioLink
from reccli.core.model import Reason, Ref, Step, StepKind
from reccli.flow.effects import Rows
from reccli.flow.findings import not_a_link
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.perform import about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from reccli.core.links import Oddity
    from reccli.core.model import Row
    from reccli.flow.ports import Page
    from reccli.flow.services import Services

_RESCANS = 100
"""A bound for a table that others fill while it is scanned."""
_RESTARTS = 3
"""How often a scan is begun anew because Airtable dropped its iterator."""


@dataclass(frozen=True, slots=True)
class OddCell:
    """A cell that has to do with Twilio and is no link: its field, and what is wrong with it."""

    field: str
    what: Oddity


@dataclass(slots=True)
class TableSources:
    """Recordings by the links in their rows, and what went wrong on the way."""

    services: Services
    failures: list[Failure] = field(default_factory=list)

    def fallbacks(self) -> Iterator[Candidate | Outcome]:
        """Take the recordings of all rows that hold a Twilio address.

        A scan is complete before anything of it is handed out, because pages shift when rows
        are rewritten; it is repeated until it shows nothing new.
        """
        seen: set[tuple[str, TwilioLink | OddCell]] = set()
        for _ in range(_RESCANS):
            at = self.services.now()
            rows = {row.id: row for row in self._scan(self.services.airtable.fallbacks)}
            found = [
                item
                for item in self._fallback_links(rows.values())
                if (item[0].id, item[1]) not in seen
            ]
            if not found:
                return
            seen.update((row.id, link) for row, link in found)
            yield from self._fallback_seeds(found, tuple(rows.values()), at)

    def fallback_rows(self) -> dict[str, set[str]]:
        """Tell the rows that hold links to recordings at Twilio, by ID, and to which ones."""
        found: dict[str, set[str]] = defaultdict(set)
        for row, link in self._fallback_links(list(self._scan(self.services.airtable.fallbacks))):
            if isinstance(link, TwilioLink):
                found[row.id].add(link.sid)
        return found

    def _fallback_links(self, rows: Iterable[Row]) -> Iterator[tuple[Row, TwilioLink | OddCell]]:
        """Tell the links, and the cells that have to do with Twilio and are none."""
        book = self.services.book
        for row in rows:
            for name, text in row.links.items():
                link = book.parse(text)
                if isinstance(link, TwilioLink):
                    yield row, link
                elif not isinstance(link, ObjectLink) and (odd := book.twilio.oddity(text)):
                    yield row, OddCell(name, odd)

    def _fallback_seeds(
        self,
        found: Sequence[tuple[Row, TwilioLink | OddCell]],
        rows: tuple[Row, ...],
        at: datetime,
    ) -> Iterator[Candidate | Outcome]:
        by_sid = {}
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
        for row, link in self._fallback_links(rows):
            if isinstance(link, TwilioLink):
                mentions[link.sid].append(row)
        for sid, (row, link) in by_sid.items():
            ref = Ref(
                sid,
                link.account_sid,
                link.region,
                link.call_sid or row.call_sid or None,
                row.conference_sid or None,
            )
            yield Candidate(ref, rows=Rows(about(mentions[sid], ref), at))

    def _scan(self, read: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
        """Read all pages; an iterator that Airtable dropped is begun anew, a few times."""
        cursor: str | None = None
        restarts = 0
        while True:
            try:
                page = self.services.retry.more(Service.AIRTABLE, read, cursor)
            except ServiceError as error:
                if error.failure.kind is FailureKind.ANEW and restarts < _RESTARTS:
                    restarts, cursor = restarts + 1, None
                    continue
                self.failures.append(error.failure)
                return
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def dying_links(self, seen: set[str]) -> Iterator[Candidate]:
        """Take the recordings whose links would die or are of another style, however old they are.

        The day of signing and the style are found by the server, so that this costs one request
        when idle.
        """
        book, now = self.services.book, self.services.now()
        look = partial(
            self.services.airtable.signed_until, book.due_day(now), holding=book.outdated
        )
        rows = self._scan(look)
        for row in {row.id: row for row in rows}.values():
            for link in (book.parse(text) for text in row.links.values()):
                if not isinstance(link, ObjectLink) or book.usable(link, now) or link.sid in seen:
                    continue
                seen.add(link.sid)
                yield Candidate(
                    Ref(
                        link.sid,
                        book.twilio.account_sid,
                        None,
                        row.call_sid or None,
                        row.conference_sid or None,
                    )
                )
