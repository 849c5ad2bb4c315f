"""Where the recordings of a run come from: this, and the steps it may take, is a command.

A source is read in the background while the cases before it run. What it could not read is
kept in `failures`: the rest of the run goes on with what was seen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.links import ForeignLink, ObjectLink, TwilioLink
from reccli.core.model import LinkState, Reason, Recording, Ref, Step, StepKind
from reccli.core.rows import Subject, linked_keys, survey
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.outcome import Outcome, Seed
from reccli.flow.perform import about, age_order, by_creation, find_rows, listed, of_call
from reccli.flow.ports import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reccli.core.model import Row
    from reccli.flow.perform import World
    from reccli.flow.ports import Page

ROWS_AT_ONCE = 50
"""How many recordings' rows are found by one request: the formula has to fit a URL."""

_RESCANS = 100
"""A bound for a table that others fill while it is scanned."""
_LONGEST_CALL = timedelta(hours=24)
"""Twilio ends a call after 24 hours at the latest."""
_RESTARTS = 3
"""How often a scan is begun anew because Airtable dropped its iterator."""


@dataclass(slots=True)
class Sources:
    """The ways to find recordings, and what went wrong on the way."""

    world: World
    failures: list[Failure] = field(default_factory=list)
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls that were told of and listed whole, each with its recordings."""

    def named(self, sids: Sequence[str]) -> Iterator[Seed]:
        """Take the recordings, and all recordings of the calls, that were named."""
        seen: set[str] = set()
        for sid in dict.fromkeys(sids):
            for seed in self._named(sid):
                if seed.ref.sid not in seen:
                    seen.add(seed.ref.sid)
                    yield seed

    def told(self, sid: str, call_sid: str | None) -> Iterator[Seed]:
        """Take what a callback told of: a recording, or all that Twilio lists of a call.

        Raises `ServiceError`: a call that cannot be asked for is not one without recordings.
        """
        if not sid.startswith("CA"):
            yield Seed(Ref(sid, self.world.book.account_sid, None, call_sid))
            return
        recordings = list(of_call(sid, self.world))
        self.calls[sid] = tuple(recording.sid for recording in recordings)
        for recording in recordings:
            yield Seed(recording.ref, by_creation(recordings), recording)

    def _named(self, sid: str) -> Iterator[Seed]:
        if sid.startswith("CA"):
            recordings = list(self._list(call_sid=sid))
            for recording in recordings:
                yield Seed(recording.ref, self._siblings(recordings), recording)
            return
        ref = Ref(sid, self.world.book.account_sid)
        try:
            recording = self.world.retry(Service.TWILIO, self.world.twilio.fetch, ref)
        except ServiceError:
            yield Seed(ref)  # the case observes it again and says why it is Unknown
            return
        yield Seed(recording.ref, (), recording)

    def on_twilio(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Seed]:
        """Take every recording that Twilio lists, as the pages come."""
        for recording in self._list(since, until):
            yield Seed(recording.ref, (), recording)

    def unlinked(
        self,
        since: datetime | None,
        until: datetime | None,
        pending: Mapping[str, str | None] | None = None,
    ) -> Iterator[Seed]:
        """Take the recordings on Twilio that no row links yet, and those that callbacks told of.

        Oldest first: they are the nearest to being lost. A link that has to be renewed counts as
        none. The rows are found in bulk, so that a run with nothing to do asks S3 nothing.
        `pending` are SIDs of recordings and calls, each with its call's if that was told: linked
        or not, somebody waits for the answer.
        """
        wanted = pending or {}
        family: dict[str | None, list[Recording]] = defaultdict(list)
        found: dict[str, Recording] = {}
        for recording in self._list(since, until):
            found[recording.sid] = recording
            family[recording.call_sid].append(recording)
        everyone = iter(sorted(found.values(), key=age_order))
        while chunk := list(islice(everyone, ROWS_AT_ONCE)):
            effects = [ObserveRows(recording.sid, recording.call_sid) for recording in chunk]
            for recording, rows in zip(chunk, find_rows(effects, self.world), strict=True):
                whole = _inside(recording.created, since, until)
                siblings = self._siblings(family[recording.call_sid]) if whole else ()
                if isinstance(rows, Failure):
                    yield Seed(recording.ref, siblings, recording)
                elif (
                    recording.sid in wanted
                    or recording.call_sid in wanted
                    or not self._linked(recording, rows)
                ):
                    yield Seed(recording.ref, siblings, recording, rows)
        seen = set(found)
        for sid, call_sid in wanted.items():
            if sid not in seen:
                yield from self._told(sid, call_sid, seen)
        yield from self._dying_links(seen)

    def _told(self, sid: str, call_sid: str | None, seen: set[str]) -> Iterator[Seed]:
        try:
            for seed in self.told(sid, call_sid):
                if seed.ref.sid not in seen:
                    seen.add(seed.ref.sid)
                    yield seed
        except ServiceError as error:
            self.failures.append(error.failure)

    def _dying_links(self, seen: set[str]) -> Iterator[Seed]:
        """Take the recordings whose links would die or are of another style, however old they are.

        The day of signing and the style are found by the server, so that this costs one request
        when idle.
        """
        book, now = self.world.book, self.world.now()
        due = (now - book.life_of_links).date() if book.style == "presigned" else now.date()
        look = partial(self.world.airtable.signed_until, due, holding=book.outdated)
        rows = self._scan(look)
        for row in {row.id: row for row in rows}.values():
            for link in (book.parse(text) for text in row.links.values()):
                if not isinstance(link, ObjectLink) or book.usable(link, now) or link.sid in seen:
                    continue
                seen.add(link.sid)
                yield Seed(Ref(link.sid, book.account_sid, None, row.call_sid or None))

    def _linked(self, recording: Recording, rows: Rows) -> bool:
        book = self.world.book
        key = next(iter(linked_keys(rows.rows, recording.sid, book)), None)
        subject = Subject(recording.sid, recording.call_sid, (), key)
        state = survey(rows.rows, subject, book, rows.at).state
        return state in {LinkState.S3_LINK, LinkState.TWILIO_LINK}

    def fallbacks(self) -> Iterator[Seed | Outcome]:
        """Take the recordings of all rows that hold a Twilio address.

        A scan is complete before anything of it is handed out, because pages shift when rows
        are rewritten; it is repeated until it shows nothing new.
        """
        seen: set[tuple[str, str]] = set()
        for _ in range(_RESCANS):
            at = self.world.now()
            rows = {row.id: row for row in self._scan(self.world.airtable.fallbacks)}
            found = [
                item
                for item in self._fallback_links(rows.values())
                if (item[0].id, item[1].sid if item[1] else "") not in seen
            ]
            if not found:
                return
            seen.update((row.id, link.sid if link else "") for row, link in found)
            yield from self._fallback_seeds(found, tuple(rows.values()), at)

    def fallback_rows(self) -> int:
        """Count the rows that hold a link to a recording at Twilio."""
        links = self._fallback_links(list(self._scan(self.world.airtable.fallbacks)))
        return len({row.id for row, link in links if link is not None})

    def _fallback_links(self, rows: Iterable[Row]) -> Iterator[tuple[Row, TwilioLink | None]]:
        book = self.world.book
        for row in rows:
            links = [book.parse(text) for text in row.links.values()]
            ours = [link for link in links if isinstance(link, TwilioLink)]
            yield from ((row, link) for link in ours)
            odd = (link for link in links if isinstance(link, ForeignLink))
            if not ours and any(odd) and any(map(book.mentions_twilio, row.links.values())):
                yield row, None

    def _fallback_seeds(
        self,
        found: Sequence[tuple[Row, TwilioLink | None]],
        rows: tuple[Row, ...],
        at: datetime,
    ) -> Iterator[Seed | Outcome]:
        for row, _ in ((row, link) for row, link in found if link is None):
            yield Outcome(
                None,
                row.call_sid or None,
                Step(StepKind.HOLD, Reason.NOT_A_LINK),
                link=f"row {row.id}",
            )
        by_sid = {link.sid: (row, link) for row, link in found if link is not None}
        mentions: dict[str, list[Row]] = defaultdict(list)
        for row, link in self._fallback_links(rows):
            if link is not None:
                mentions[link.sid].append(row)
        for sid, (row, link) in by_sid.items():
            ref = Ref(sid, link.account_sid, link.region, link.call_sid or row.call_sid or None)
            yield Seed(ref, rows=Rows(about(mentions[sid], sid, None), at))

    def _scan(self, read: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
        """Read all pages; an iterator that Airtable dropped is begun anew, a few times."""
        cursor: str | None = None
        restarts = 0
        while True:
            try:
                page = self.world.retry(Service.AIRTABLE, read, cursor)
            except ServiceError as error:
                if error.failure.code == "iterator_expired" and restarts < _RESTARTS:
                    restarts, cursor = restarts + 1, None
                    continue
                self.failures.append(error.failure)
                return
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def _siblings(self, recordings: Iterable[Recording]) -> tuple[str, ...]:
        """Name them only if all are known: which free cell is whose depends on every one."""
        return () if self.failures else by_creation(recordings)

    def _list(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        call_sid: str | None = None,
    ) -> Iterator[Recording]:
        """Read all pages of all regions; one that fails ends that region's listing only."""
        for region in self.world.twilio.regions:
            try:
                yield from listed(Listing(region, since, until, call_sid), self.world)
            except ServiceError as error:
                self.failures.append(error.failure)


def _inside(created: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    """Whether the bounds of a listing cannot have cut the call that a recording belongs to."""
    if created is None:
        return False
    after = since is None or since + _LONGEST_CALL <= created
    return after and (until is None or created <= until - _LONGEST_CALL)
