"""What the ledger is asked and told, one method a question. For `__init__`, which exports it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from reccli.adapters.ledger import connect, schema
from reccli.adapters.ledger.errors import busy, translating, unusable
from reccli.adapters.ledger.schema import ANY, Archive, callbacks, from_time, unfinished
from reccli.adapters.ledger.transaction import Transaction, ends
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from reccli.adapters.ledger.transaction import Callback, Claim
    from reccli.flow.ports import Event

_PAGE = 500
"""Rows that are read at once: who reads keeps the writers of SQLite from committing."""
_SLICE = 10_000
"""Rows that are counted at once, from the index alone."""


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A recording or a call that was told of and is not finished; `received` is the oldest."""

    sid: str
    account_sid: str
    call_sid: str | None
    received: datetime


class Ledger:
    """One open ledger; made by `Ledger.open`, safe to use from many threads."""

    def __init__(self, url: sa.URL, archive: Archive, *, read_only: bool) -> None:
        self._archive = archive
        self._file = connect.file_of(url)
        self._inode = 0
        # Not the query: a password may stand there too.
        self._location = str(self._file or url.set(query={}).render_as_string(hide_password=True))
        self._read_only = read_only
        # In line here, our own threads need not find the file locked and wait in steps.
        self._line = threading.Lock()
        self._reader, self._writer = connect.reader_and_writer(url, read_only=read_only)

    @classmethod
    def open(cls, url: str, archive: Archive = ANY, *, read_only: bool = False) -> Self:
        """Open a ledger, making it if there is none; with `read_only` there must be one.

        What others keep in it is left alone: only entries of `archive` are seen and written.
        """
        try:
            ledger = cls(sa.make_url(url), archive, read_only=read_only)
        except (SQLAlchemyError, ValueError):  # of which the second quotes a part of the password
            what = "is not the URL of a database that is known"
            raise unusable("ledger.url", what, kind=FailureKind.CONFIG) from None
        except ModuleNotFoundError as error:
            what, hint = f"{error.name} is not installed", "install the extra: reccli[postgres]"
            raise unusable("ledger.url", what, hint, kind=FailureKind.CONFIG) from None
        try:
            ledger._prepare()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _prepare(self) -> None:
        with translating(self._location):
            if self._file:
                connect.prepare(self._file, read_only=self._read_only)
                self._inode = connect.inode(self._file)
            if not self._read_only:
                with self._writer.begin() as db:
                    schema.create(db)
        version = self._read(schema.version)[0][0]
        if version != schema.VERSION:
            raise unusable(
                self._location,
                f"has schema {version}, not {schema.VERSION}",
                "use the reccli that made it, or move it away: only history is lost",
            )

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()

    def __enter__(self) -> Self:
        """Hand over the open ledger."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def ping(self) -> None:
        """Raise unless the ledger answers."""
        self._read(schema.version)

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
    def _told(self) -> sa.ColumnElement[bool]:
        return schema.told_to(self._archive, from_time(datetime.now(UTC)))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write several things at once; what was written is durable when the block has ended."""
        deadline = time.monotonic() + connect.BUSY_SECONDS
        if not self._line.acquire(timeout=connect.BUSY_SECONDS):
            raise busy(self._location)
        try:
            with translating(self._location):
                if self._file and connect.inode(self._file) != self._inode:
                    self.close()  # ours was moved away, and is nobody's any more
                    self._prepare()
                with self._writer.connect() as db:
                    db.execution_options(**{connect.DEADLINE: deadline})
                    with db.begin():
                        yield Transaction(db, self._archive)
        finally:
            self._line.release()

    # --- history

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Keep events, all or none."""
        if events:
            with self.transaction() as transaction:
                transaction.record([(run_id, event) for event in events])

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Note that a run has begun."""
        with self.transaction() as transaction:
            transaction.start_run(run_id, command, at)

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Note how a run ended."""
        with self.transaction() as transaction:
            transaction.finish_run(run_id, at, exit_code, summary)

    def last_run(self, command: str) -> Mapping[str, object]:
        """Tell what the last run of a command said of itself when it ended; nothing if none has."""
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
        """Tell of which recordings an event was kept, from `since` on and before `until`."""
        events = schema.events
        sid, this = events.c.recording_sid, sa.and_(events.c.name == name, self._of(events))
        found: set[str] = set()
        for inside in self._slices(events.c.at_us, this, since=since, until=until):
            rows = self._read(sa.select(sid).distinct().where(this, inside, sid.is_not(None)))
            found.update(row[0] for row in rows)
        return found

    def last_event(self, name: str) -> datetime | None:
        """Tell when an event of this name was last kept."""
        events = schema.events
        query = sa.select(events.c.at_us).where(events.c.name == name, self._of(events))
        latest = self._read(query.order_by(events.c.at_us.desc()).limit(1))
        return schema.to_time(latest[0][0]) if latest else None

    # --- callbacks

    def add_callbacks(self, told: Sequence[Callback]) -> list[bool]:
        """Keep callbacks for ever once this returns; tells of each whether it is new."""
        with self.transaction() as transaction:
            return transaction.add_callbacks(told)

    def pending_callbacks(self, limit: int) -> list[PendingCallback]:
        """List what has unfinished callbacks, claimed or not, those that wait longest first."""
        sid = callbacks.c.sid
        oldest = sa.func.min(callbacks.c.received_us)
        query = sa.select(sid, oldest).where(unfinished, self._told).group_by(sid)
        found = self._read(query.order_by(oldest, sid).limit(limit))
        pending = []
        for start in range(0, len(found), _PAGE):
            page = found[start : start + _PAGE]
            account, call = sa.func.max(callbacks.c.account_sid), sa.func.max(callbacks.c.call_sid)
            about = sa.select(sid, account, call).where(sid.in_([row[0] for row in page]))
            known = {row[0]: row for row in self._read(about.group_by(sid))}
            for name, received in page:
                _, account_sid, call_sid = known[name]
                at = schema.to_time(received)
                pending.append(PendingCallback(name, account_sid, call_sid, at))
        return pending

    def callbacks_pending(self) -> int:
        """Count the recordings and calls with unfinished callbacks."""
        different = sa.select(callbacks.c.sid).where(unfinished, self._told).distinct().subquery()
        return int(self._read(sa.select(sa.func.count()).select_from(different))[0][0])

    def count_callbacks(self, since: datetime, until: datetime) -> dict[str, int]:
        """Count what came in by status, from `since` on and before `until`."""
        this = (callbacks.c.status, callbacks.c.received_us, self._of(callbacks))
        return self._count(*this, since=since, until=until)

    def finish_callback(self, sid: str, at: datetime, reason: str) -> bool:
        """Mark what had come in by `at` as done; a later callback stays. False if none was."""
        with self.transaction() as transaction:
            return transaction.finish_callback(sid, at, reason)

    # --- claims

    def claim(self, owner: str, limit: int, lease: timedelta) -> list[Claim]:
        """Take callbacks that are due and that nobody holds, those due longest first."""
        with self.transaction() as transaction:
            return transaction.claim(owner, limit, lease)

    def renew(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """Extend the leases of claims; returns the stale ones, which are not ours any more."""
        with self.transaction() as transaction:
            return transaction.renew(claims, lease)

    def settle(
        self,
        finished: Sequence[tuple[Claim, str]],
        released: Sequence[tuple[Claim, timedelta]],
        unused: Sequence[Claim] = (),
    ) -> list[Claim]:
        """End claims: finished for a reason, due again after a time, or as if never taken.

        Returns the stale ones, of which nothing was changed: somebody else has claimed or
        finished them since.
        """
        with self.transaction() as transaction:
            settled = ends(finished, released, unused)
            ours = transaction.settle(settled)
        return [claim for (claim, _), mine in zip(settled, ours, strict=True) if not mine]
