"""Where the recordings of a run come from: this, and the steps it may take, is a command.

A source is read in the background while the cases before it run. What it could not read is
kept in `failures`: the rest of the run goes on with what was seen.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.links import recordings_in
from reccli.core.model import LinkState, Recording, TwilioState
from reccli.core.rows import Target, linked_keys, row_state
from reccli.flow.effects import ObserveRows, Rows
from reccli.flow.listed_calls import ListedCalls, found_between
from reccli.flow.listing import age_order, by_creation, listed
from reccli.flow.named import NamedSources
from reccli.flow.outcome import Candidate
from reccli.flow.perform import find_rows
from reccli.flow.ports import Listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from reccli.core.naming import Naming
    from reccli.flow.outcome import Outcome

_log = logging.getLogger(__name__)

MOST_OLDER = 5000
"""How many recordings from before the usual look-back one run takes up."""


@dataclass(slots=True)
class Sources(NamedSources):
    """The ways to find recordings, and what went wrong on the way."""

    listed_whole: bool = False
    """Whether `first` has given all that Twilio lists."""
    _cut: set[str] = field(default_factory=set)
    """The regions whose listing broke off: who has a say in their calls' cells is not known."""
    listed: bool = False
    """Whether `to_the_end` has given all that there is, and Twilio's listing was whole."""
    older: int = 0
    """How many recordings from before have no object, and were left for another run."""
    compared: bool = False
    """Whether all of Twilio was compared with S3's listing, to the end."""

    def to_the_end(self, items: Iterator[Candidate | Outcome]) -> Iterator[Candidate | Outcome]:
        """Take all of these, and note when nothing is left."""
        yield from items
        self.listed = not self._cut

    def on_twilio(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Candidate]:
        """Take every recording that Twilio lists, as the pages come."""
        for recording in self._list(since, until):
            yield Candidate(recording.ref, (), recording)

    def first(self, count: int | None) -> Iterator[Candidate]:
        """Take some of those that Twilio lists, or all; `listed_whole` says if there were more."""
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
        """Take the recordings on Twilio that no row links yet, and those that callbacks told of.

        Oldest first: they are the nearest to being lost. A link that has to be renewed counts as
        none. The rows are found in bulk, so that a run with nothing to do asks S3 nothing.
        `pending` are SIDs of recordings and calls, each with its call's if that was told: linked
        or not, somebody waits for the answer. With `compare`, everything on Twilio is held against
        what S3 lists: linked recordings without an object there are taken as well, however old.
        """
        wanted = pending or {}
        recent = self._found(since, until)
        taken: set[str] = set()
        yield from self._unlinked(recent, wanted, taken)
        seen = set(recent.recordings)
        for sid, call_sid in wanted.items():
            if sid not in seen:
                yield from self._told(sid, call_sid, seen)
        yield from self.dying_links(seen)
        if compare is not None:  # last: what has no link at all is more urgent
            taken |= seen - recent.recordings.keys()
            older = self._found(None, since) if since else ListedCalls({}, None, None, {})
            everyone = {**older.recordings, **recent.recordings}
            rest = {sid: one for sid, one in everyone.items() if sid not in taken}
            compared = self._without_object(rest, compare)
            if compared is None:
                return
            missing, stored = compared
            if since is not None:
                lately = {s: at for s, at in stored.items() if at is None or at >= since}
                yield from self._never_linked(older, lately, taken)
            self.older = max(0, len(missing.keys() & older.everyone.keys()) - MOST_OLDER)
            for found in (recent, older):
                left = missing.keys() & found.everyone.keys() - taken
                gone = {sid: missing[sid] for sid in left}
                yield from self._unlinked(replace(found, recordings=gone), {}, taken, gone)
            whole = until is None and len(missing) <= MOST_OLDER
            self.compared = whole and not self._cut

    def _found(self, since: datetime | None, until: datetime | None) -> ListedCalls:
        return found_between(self._list(since, until), since, until)

    def _unlinked(
        self,
        found: ListedCalls,
        wanted: Mapping[str, str | None],
        taken: set[str],
        missing: Collection[str] = (),
    ) -> Iterator[Candidate]:
        """Take those that no row links, that are wanted, or whose linked object is missing."""
        family: dict[str | None, list[Recording]] = defaultdict(list)
        for recording in found.everyone.values():
            family[recording.call_sid].append(recording)
        urgent = sorted(found.recordings.values(), key=age_order, reverse=bool(missing))
        for recording, rows in self._with_rows(urgent[: MOST_OLDER if missing else None]):
            told = recording.sid in wanted or recording.call_sid in wanted
            known = rows if isinstance(rows, Rows) else None
            if known and not told and self._settled(recording, known, missing):
                continue
            whole = recording.call_sid and found.has_whole_call_of(recording)
            unseen = recording.region in self._cut or not whole
            siblings = () if unseen else by_creation(family[recording.call_sid])
            taken.add(recording.sid)
            yield Candidate(recording.ref, siblings, recording, known)

    def _with_rows(
        self, recordings: Iterable[Recording]
    ) -> Iterator[tuple[Recording, Rows | Failure]]:
        everyone, size = iter(recordings), self.services.airtable.rows_a_find
        while chunk := list(islice(everyone, size)):
            effects = [ObserveRows(recording.ref) for recording in chunk]
            yield from zip(chunk, find_rows(effects, self.services), strict=True)

    def _without_object(
        self, found: Mapping[str, Recording], naming: Naming
    ) -> tuple[dict[str, Recording], dict[str, datetime | None]] | None:
        """Tell of which recordings S3 lists no audio, and when that of others was stored.

        None if that cannot be told now: then the comparison is made in another run.
        """
        missing = {s: one for s, one in found.items() if one.state is TwilioState.COMPLETED}
        stored: dict[str, datetime | None] = {}
        cursor: str | None = None
        try:
            while missing:
                if self.services.retry.fails(Service.S3):
                    return None
                page = self.services.s3.keys(naming.prefix, cursor)
                for key in page.items:
                    named = recordings_in(key.name) if naming.is_audio(key.name) else ()
                    for sid in missing.keys() & set(named):
                        del missing[sid]
                        stored[sid] = key.stored
                if (cursor := page.cursor) is None:
                    break
        except ServiceError as error:
            _log.warning("nothing was compared with S3's listing: %s", error)
            return None
        return missing, stored

    def _never_linked(
        self, older: ListedCalls, stored: Mapping[str, datetime | None], taken: set[str]
    ) -> Iterator[Candidate]:
        """Take those that a run copied lately, and then did not come to link.

        It was killed, say. S3 lists their objects, so that nothing else would tell of them.
        """
        began = datetime.min.replace(tzinfo=UTC)
        newest = sorted(stored, key=lambda sid: stored[sid] or began, reverse=True)[:MOST_OLDER]
        copied = {sid: older.recordings[sid] for sid in newest if sid in older.recordings}
        for candidate in self._unlinked(replace(older, recordings=copied), {}, taken):
            rows = candidate.rows
            target = Target(candidate.ref, candidate.siblings)
            if (
                rows is None
                or row_state(rows.rows, target, self.services.book, rows.at).state
                is LinkState.EMPTY
            ):
                yield candidate

    def _told(self, sid: str, call_sid: str | None, seen: set[str]) -> Iterator[Candidate]:
        try:
            for candidate in self.told(sid, call_sid):
                if candidate.ref.sid not in seen:
                    seen.add(candidate.ref.sid)
                    yield candidate
        except ServiceError as error:
            self.failures.append(error.failure)

    def _settled(self, recording: Recording, rows: Rows, missing: Collection[str]) -> bool:
        """Whether the rows link it, and the object is there; fallbacks are for another command."""
        book = self.services.book
        key = next(iter(linked_keys(rows.rows, recording.sid, book)), None)
        target = Target(recording.ref, (), key)
        state = row_state(rows.rows, target, book, rows.at).state
        there = state is LinkState.S3_LINK and recording.sid not in missing
        return there or state is LinkState.TWILIO_LINK

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
