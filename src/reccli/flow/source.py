"""Where the recordings of a run come from: this, and the steps it may take, is a command.

A source is read in the background while the cases before it run. What it could not read is
kept in `failures`: the rest of the run goes on with what was seen.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.links import recordings_in
from reccli.core.model import LinkState, Recording, TwilioState
from reccli.core.rows import Target, linked_keys, row_state
from reccli.core.sids import CALL, is_sid
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.listing import ListedCalls, age_order, listed
from reccli.flow.named import reported, unseen
from reccli.flow.outcome import Candidate
from reccli.flow.perform import find_rows
from reccli.flow.ports import Listing
from reccli.flow.tables import dying_links

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from reccli.core.naming import Naming
    from reccli.flow.outcome import Outcome
    from reccli.flow.services import Services

_log = logging.getLogger(__name__)

MOST_OLDER = 5000
"""How many recordings from before the usual look-back one run takes up."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Sources:
    """What a run lists at Twilio, and what any of its sources has found out on the way."""

    services: Services
    failures: list[Failure] = field(default_factory=list)
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls that were reported and listed whole, each with its recordings."""
    listed_whole: bool = False
    """Whether `first` has given all that Twilio lists."""
    listed: bool = False
    """Whether `to_the_end` has given all that there is, and Twilio's listing was whole."""
    older: int = 0
    """How many recordings from before have no object, and were left for another run."""
    compared: bool = False
    """Whether all of Twilio was compared with S3's listing, to the end."""
    _cut: set[str] = field(default_factory=set)
    """The regions whose listing broke off: who has a say in their calls' cells is not known."""

    def to_the_end(self, items: Iterator[Candidate | Outcome]) -> Iterator[Candidate | Outcome]:
        """Yield all of these, and note when nothing is left."""
        yield from items
        self.listed = not self._cut

    def on_twilio(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Candidate]:
        """Yield every recording that Twilio lists, as the pages come."""
        for recording in self._list(since, until):
            yield Candidate(recording.ref, (), recording)

    def first(self, count: int | None) -> Iterator[Candidate]:
        """Yield some of those that Twilio lists, or all; `listed_whole` says if it was all."""
        everyone = self.on_twilio()
        yield from islice(everyone, count)
        self.listed_whole = next(everyone, None) is None and not self._cut

    def unlinked(
        self,
        since: datetime | None,
        until: datetime | None,
        pending: Mapping[str, str | None] | None = None,
        *,
        compare: Naming | None = None,
    ) -> Iterator[Candidate]:
        """Yield the recordings on Twilio that no row links yet, and those that callbacks reported.

        Oldest first: they are the nearest to being lost. A link that has to be renewed counts as
        none. The rows are found in bulk, so that a run with nothing to do asks S3 nothing.
        `pending` are SIDs of recordings and calls, each with its call's if that was reported:
        linked or not, somebody waits for the answer. With `compare`, everything on Twilio is held
        against what S3 lists: linked recordings without an object there are taken as well, however
        old.
        """
        wanted = pending or {}
        recent = ListedCalls.of(self._list(since, until), since, until)
        taken: set[str] = set()
        urgent = sorted(recent.recordings.values(), key=age_order)
        yield from self._unlinked(recent, urgent, taken, wanted)
        seen = set(recent.recordings)
        for sid, call_sid in wanted.items():
            if sid not in seen:
                yield from unseen(self._reported(sid, call_sid), seen)
        yield from dying_links(self, seen)
        if compare is not None:  # last: what has no link at all is more urgent
            taken |= seen - recent.recordings.keys()
            older = ListedCalls.of(self._list(None, since), None, since) if since else ListedCalls()
            yield from self._without_object(recent, older, taken, compare)

    def _without_object(
        self, recent: ListedCalls, older: ListedCalls, taken: set[str], naming: Naming
    ) -> Iterator[Candidate]:
        """Yield what has no object in S3, newest first, and what was copied lately and no more."""
        everyone = {**older.recordings, **recent.recordings}
        completed = {s for s, one in everyone.items() if one.state is TwilioState.COMPLETED} - taken
        stored = self._stored(completed, naming)
        if stored is None:
            return
        missing = completed - stored.keys()
        if recent.since is not None:
            yield from self._never_linked(older, stored, recent.since, taken)
        self.older = max(0, len(missing & older.recordings.keys()) - MOST_OLDER)
        for found in (recent, older):
            gone = (everyone[sid] for sid in missing & (found.recordings.keys() - taken))
            newest = sorted(gone, key=age_order, reverse=True)[:MOST_OLDER]
            yield from self._unlinked(found, newest, taken, missing=missing)
        whole = recent.until is None and len(missing) <= MOST_OLDER
        self.compared = whole and not self._cut

    def _unlinked(
        self,
        found: ListedCalls,
        recordings: Iterable[Recording],
        taken: set[str],
        wanted: Collection[str] = (),
        missing: Collection[str] = (),
    ) -> Iterator[Candidate]:
        """Yield those that no row links, that are wanted, or whose linked object is missing."""
        for recording, rows in self._with_rows(recordings):
            known = rows if isinstance(rows, Rows) else None
            waited_for = recording.sid in wanted or recording.call_sid in wanted
            if known and not waited_for and self._settled(recording, known, missing):
                continue
            taken.add(recording.sid)
            siblings = () if recording.region in self._cut else found.siblings(recording)
            yield Candidate(recording.ref, siblings, recording, known)

    def _with_rows(
        self, recordings: Iterable[Recording]
    ) -> Iterator[tuple[Recording, Rows | Failure]]:
        everyone, size = iter(recordings), self.services.airtable.rows_a_find
        while chunk := list(islice(everyone, size)):
            effects = [ObserveRows(recording.ref) for recording in chunk]
            yield from zip(chunk, find_rows(effects, self.services), strict=True)

    def _stored(self, sids: set[str], naming: Naming) -> dict[str, datetime | None] | None:
        """Return when the audio was stored of those for which S3 lists any.

        None if S3 cannot be asked now: then the comparison is made in another run.
        """
        stored: dict[str, datetime | None] = {}
        cursor: str | None = None
        try:
            while len(stored) < len(sids):
                if self.services.retry.fails(Service.S3):
                    return None
                page = self.services.s3.keys(naming.prefix, cursor)
                for key in page.items:
                    if naming.is_audio(key.name):
                        for sid in sids & recordings_in(key.name):
                            stored.setdefault(sid, key.stored)
                if (cursor := page.cursor) is None:
                    break
        except ServiceError as error:
            _log.warning("nothing was compared with S3's listing: %s", error)
            return None
        return stored

    def _never_linked(
        self,
        older: ListedCalls,
        stored: Mapping[str, datetime | None],
        since: datetime,
        taken: set[str],
    ) -> Iterator[Candidate]:
        """Yield those that a run copied lately, and then did not come to link.

        It was killed, say. S3 lists their objects, so that nothing else would show them.
        """
        lately = (sid for sid, at in stored.items() if at is None or at >= since)
        newest = sorted(lately, key=lambda sid: stored[sid] or _BEGINNING, reverse=True)
        copied = [older.recordings[sid] for sid in newest[:MOST_OLDER] if sid in older.recordings]
        for candidate in self._unlinked(older, sorted(copied, key=age_order), taken):
            target = Target(candidate.ref, candidate.siblings)
            if candidate.rows is None or self._state(target, candidate.rows) is LinkState.EMPTY:
                yield candidate

    def _reported(self, sid: str, call_sid: str | None) -> list[Candidate]:
        try:
            found = reported(sid, call_sid, self.services)
        except ServiceError as error:
            self.failures.append(error.failure)
            return []
        if is_sid(sid, CALL):
            self.calls[sid] = tuple(candidate.ref.sid for candidate in found)
        return found

    def _settled(self, recording: Recording, rows: Rows, missing: Collection[str]) -> bool:
        """Whether the rows link it, and the object is there; fallbacks are for another command."""
        key = next(iter(linked_keys(rows.rows, recording.sid, self.services.book)), None)
        state = self._state(Target(recording.ref, (), key), rows)
        there = state is LinkState.S3_LINK and recording.sid not in missing
        return there or state is LinkState.TWILIO_LINK

    def _state(self, target: Target, rows: Rows) -> LinkState:
        return row_state(rows.rows, target, self.services.book, rows.at).state

    def _list(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Recording]:
        """Read all pages of all regions; one that fails ends that region's listing only."""
        for region in self.services.twilio.regions:
            if region in self._cut:
                continue
            try:
                yield from listed(Listing(region, since, until), self.services)
            except ServiceError as error:
                self._cut.add(region)
                failure = error.failure
                if len(self.services.twilio.regions) > 1:
                    failure = replace(failure, message=f"region {region}: {failure.message}")
                self.failures.append(failure)
