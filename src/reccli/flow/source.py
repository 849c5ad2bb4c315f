"""Where the recordings of a run come from: this, and the steps it may take, is a command.

A source is read in the background while the cases before it run. What it could not read is
kept in `failures`: the rest of the run goes on with what was seen.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.links import recordings_in
from reccli.core.model import LinkState, Ref, TwilioState
from reccli.core.rows import Subject, linked_keys, survey
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.outcome import Seed
from reccli.flow.perform import age_order, by_creation, find_rows, listed, of_call
from reccli.flow.ports import Listing
from reccli.flow.tables import TableSources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reccli.core.model import Recording

_log = logging.getLogger(__name__)

ROWS_AT_ONCE = 50
"""How many recordings' rows are found by one request: the formula has to fit a URL."""

_LONGEST_CALL = timedelta(hours=24)
"""Twilio ends a call after 24 hours at the latest."""
MOST_OLDER = 5000
"""How many recordings from before the usual look-back one run takes up."""


@dataclass(slots=True)
class Sources(TableSources):
    """The ways to find recordings, and what went wrong on the way."""

    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls that were told of and listed whole, each with its recordings."""
    listed: bool = False
    """Whether S3 has listed its keys."""
    compared: bool = False
    """Whether all of Twilio was compared with S3's listing, to the end."""

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
        *,
        compare: str | None = None,
    ) -> Iterator[Seed]:
        """Take the recordings on Twilio that no row links yet, and those that callbacks told of.

        Oldest first: they are the nearest to being lost. A link that has to be renewed counts as
        none. The rows are found in bulk, so that a run with nothing to do asks S3 nothing.
        `pending` are SIDs of recordings and calls, each with its call's if that was told: linked
        or not, somebody waits for the answer. With `compare`, the prefix of all keys, everything
        on Twilio is held against S3's listing: what has no object there is taken as well, whatever
        its row says and however old it is.
        """
        wanted = pending or {}
        first = since if compare is None else None
        found = {recording.sid: recording for recording in self._list(first, until)}
        family: dict[str | None, list[Recording]] = defaultdict(list)
        for recording in found.values():
            family[recording.call_sid].append(recording)
        taken: set[str] = set()

        def take(recordings: Iterable[Recording], missing: Collection[str] = ()) -> Iterator[Seed]:
            for recording, rows in self._with_rows(recordings):
                told = recording.sid in wanted or recording.call_sid in wanted
                if isinstance(rows, Rows) and not told and self._settled(recording, rows, missing):
                    continue
                whole = _inside(recording.created, first, until)
                siblings = self._siblings(family[recording.call_sid]) if whole else ()
                taken.add(recording.sid)
                yield Seed(
                    recording.ref, siblings, recording, rows if isinstance(rows, Rows) else None
                )

        recent = [recording for recording in found.values() if _is_since(recording, since)]
        yield from take(sorted(recent, key=age_order))
        seen = {recording.sid for recording in recent}
        for sid, call_sid in wanted.items():
            if sid not in seen:
                yield from self._told(sid, call_sid, seen)
        yield from self.dying_links(seen)
        if compare is not None:  # last: what has no link at all is more urgent
            taken |= seen - {recording.sid for recording in recent}
            rest = {sid: recording for sid, recording in found.items() if sid not in taken}
            missing = self._without_object(rest, compare)
            older = sorted((found[sid] for sid in missing), key=age_order, reverse=True)
            yield from take(older[:MOST_OLDER], missing)
            whole = until is None and len(older) <= MOST_OLDER
            self.compared = self.listed and whole and not self.failures

    def _with_rows(
        self, recordings: Iterable[Recording]
    ) -> Iterator[tuple[Recording, Rows | Failure]]:
        everyone = iter(recordings)
        while chunk := list(islice(everyone, ROWS_AT_ONCE)):
            effects = [ObserveRows(recording.sid, recording.call_sid) for recording in chunk]
            yield from zip(chunk, find_rows(effects, self.world), strict=True)

    def _without_object(self, found: Mapping[str, Recording], prefix: str) -> set[str]:
        """Tell of which recordings S3 lists no key; of none if that cannot be told now.

        What fails here only means that the comparison is made in another run.
        """
        missing = {
            sid for sid, recording in found.items() if recording.state is TwilioState.COMPLETED
        }
        cursor: str | None = None
        try:
            while missing:
                if any(outage.service is Service.S3 for outage in self.world.retry.failing):
                    return set()
                page = self.world.s3.keys(prefix, cursor)
                for key in page.items:
                    missing.difference_update(recordings_in(key))
                if (cursor := page.cursor) is None:
                    break
        except ServiceError as error:
            _log.warning("nothing was compared with S3's listing: %s", error)
            return set()
        self.listed = True
        return missing

    def _told(self, sid: str, call_sid: str | None, seen: set[str]) -> Iterator[Seed]:
        try:
            for seed in self.told(sid, call_sid):
                if seed.ref.sid not in seen:
                    seen.add(seed.ref.sid)
                    yield seed
        except ServiceError as error:
            self.failures.append(error.failure)

    def _settled(self, recording: Recording, rows: Rows, missing: Collection[str]) -> bool:
        """Whether the rows link it, and the object is there; fallbacks are for another command."""
        book = self.world.book
        key = next(iter(linked_keys(rows.rows, recording.sid, book)), None)
        subject = Subject(recording.sid, recording.call_sid, (), key)
        state = survey(rows.rows, subject, book, rows.at).state
        there = state is LinkState.S3_LINK and recording.sid not in missing
        return there or state is LinkState.TWILIO_LINK

    def _siblings(self, recordings: Iterable[Recording]) -> tuple[str, ...]:
        """Name them only if all are known: which free cell is whose depends on every one."""
        cut = any(failure.service is Service.TWILIO for failure in self.failures)
        return () if cut else by_creation(recordings)

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


def _is_since(recording: Recording, since: datetime | None) -> bool:
    return since is None or recording.created is None or recording.created >= since


def _inside(created: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    """Whether the bounds of a listing cannot have cut the call that a recording belongs to."""
    if created is None:
        return False
    after = since is None or since + _LONGEST_CALL <= created
    return after and (until is None or created <= until - _LONGEST_CALL)
