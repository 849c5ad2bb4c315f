"""What is read from the ledger, one method a question, so that nobody waits for it for long.

None of it writes, so it needs no place in the line of those who do. For `ledger` alone, whose
`Ledger` is asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reccli.adapters.ledger import schema
from reccli.adapters.ledger.ledger_errors import translating
from reccli.adapters.ledger.schema import callbacks, from_time, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reccli.adapters.ledger.schema import Archive

_SLICE = 10_000
"""Rows that are counted at once, from the index alone: who reads keeps the writers of SQLite from
committing."""


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A recording or a call with unfinished callbacks; the oldest one's time is `received`."""

    sid: str
    account_sid: str
    call_sid: str | None
    received: datetime


class Questions:
    """The half of a ledger that is read; safe to use from many threads."""

    def __init__(self, reader: sa.Engine, archive: Archive, location: str) -> None:
        """`location` is how errors name the ledger: it carries no password."""
        self._reader, self._archive, self._location = reader, archive, location

    def _read(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        """Read all rows at once: an open cursor would keep the webhook from writing."""
        with translating(self._location), self._reader.connect() as db:
            return db.execute(query).all()

    def _count(
        self,
        label: sa.Column[str],
        at: sa.Column[int],
        *where: sa.ColumnElement[bool],
        since: datetime,
        until: datetime,
    ) -> dict[str, int]:
        """Count a window by label."""
        counts: Counter[str] = Counter()
        for inside in self._slices(at, *where, since=since, until=until):
            slice_ = sa.select(label, sa.func.count()).where(*where, inside)
            counts.update({row[0]: row[1] for row in self._read(slice_.group_by(label))})
        return dict(counts)

    def _slices(
        self, at: sa.Column[int], *where: sa.ColumnElement[bool], since: datetime, until: datetime
    ) -> Iterator[sa.ColumnElement[bool]]:
        """Cut a window into slices, none of which keeps a writer waiting for long."""
        start, end = from_time(since), from_time(until)
        while start < end:
            inside = (*where, at >= start, at < end)
            later = self._read(sa.select(at).where(*inside).order_by(at).offset(_SLICE).limit(1))
            stop = max(later[0][0], start + 1) if later else end
            yield sa.and_(at >= start, at < stop)
            start = stop

    def _of(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return schema.of(self._archive, table)

    @property
    def _received(self) -> sa.ColumnElement[bool]:
        return schema.callbacks_of(self._archive, from_time(datetime.now(UTC)))

    # --- history

    def last_run(self, command: str) -> Mapping[str, object]:
        """Return the summary of the last run of a command that ended; empty if none has."""
        runs = schema.runs
        ended = (runs.c.command == command, runs.c.finished_us.is_not(None), self._of(runs))
        query = sa.select(runs.c.summary).where(*ended).order_by(runs.c.started_us.desc())
        found = self._read(query.limit(1))
        return schema.to_detail(found[0][0]) if found else {}

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, int]:
        """Count events by name, from `since` on and before `until`; 0 for those not seen."""
        events, counts = schema.events, dict.fromkeys(names, 0)
        for name in names:
            this = (events.c.name, events.c.at_us, events.c.name == name, self._of(events))
            counts |= self._count(*this, since=since, until=until)
        return counts

    def recordings_with(self, name: str, since: datetime, until: datetime) -> set[str]:
        """Return the recordings with an event of a name, from `since` on and before `until`."""
        events = schema.events
        sid, this = events.c.recording_sid, sa.and_(events.c.name == name, self._of(events))
        found: set[str] = set()
        for inside in self._slices(events.c.at_us, this, since=since, until=until):
            rows = self._read(sa.select(sid).distinct().where(this, inside, sid.is_not(None)))
            found.update(row[0] for row in rows)
        return found

    def last_event(self, name: str) -> datetime | None:
        """Return the time of the last event of a name."""
        events = schema.events
        query = sa.select(events.c.at_us).where(events.c.name == name, self._of(events))
        latest = self._read(query.order_by(events.c.at_us.desc()).limit(1))
        return schema.to_time(latest[0][0]) if latest else None

    # --- callbacks

    def pending_callbacks(self, limit: int) -> list[PendingCallback]:
        """Return what has unfinished callbacks, claimed or not, those that wait longest first."""
        sid, at = callbacks.c.sid, sa.func.min(callbacks.c.received_us).label("at")
        oldest = sa.select(sid, at).where(unfinished, self._received).group_by(sid)
        found = oldest.order_by(at, sid).limit(limit).subquery()  # from an index alone
        account, call = sa.func.max(callbacks.c.account_sid), sa.func.max(callbacks.c.call_sid)
        query = sa.select(found.c.sid, account, call, found.c.at)
        query = query.join(callbacks, sid == found.c.sid).group_by(found.c.sid, found.c.at)
        rows = self._read(query.order_by(found.c.at, found.c.sid))
        return [
            PendingCallback(sid, account, call, schema.to_time(at_us))
            for sid, account, call, at_us in rows
        ]

    def callbacks_pending(self) -> int:
        """Count the recordings and calls with unfinished callbacks."""
        each = sa.select(callbacks.c.sid).where(unfinished, self._received).distinct().subquery()
        return int(self._read(sa.select(sa.func.count()).select_from(each))[0][0])

    def count_callbacks(self, since: datetime, until: datetime) -> dict[str, int]:
        """Count what came in by status, from `since` on and before `until`."""
        this = (callbacks.c.status, callbacks.c.received_us, self._of(callbacks))
        return self._count(*this, since=since, until=until)
