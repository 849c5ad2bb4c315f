"""What the ledger is asked and told, one method a question. For `__init__`, which exports it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from reccli.adapters.ledger import connect, schema
from reccli.adapters.ledger.errors import busy, translating, unusable
from reccli.adapters.ledger.schema import callbacks, from_time, unfinished
from reccli.adapters.ledger.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from reccli.adapters.ledger.transaction import Callback, Claim
    from reccli.flow.ports import Event


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A recording or a call that was told of and is not finished; `received` is the oldest."""

    sid: str
    account_sid: str
    call_sid: str | None
    received: datetime


class Ledger:
    """One open ledger; made by `Ledger.open`, safe to use from many threads."""

    def __init__(self, url: sa.URL, *, read_only: bool) -> None:
        self._file = connect.file_of(url)
        self._inode = 0
        self._location = str(self._file or url.render_as_string(hide_password=True))
        self._read_only = read_only
        # In line here, our own threads need not find the file locked and wait in steps.
        self._line = threading.Lock()
        self._reader, self._writer = connect.reader_and_writer(url, read_only=read_only)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open a ledger, making it if there is none; with `read_only` there must be one."""
        try:
            ledger = cls(sa.make_url(url), read_only=read_only)
        except SQLAlchemyError:
            raise unusable("ledger.url", "is not the URL of a database that is known") from None
        except ModuleNotFoundError as error:
            hint = "install reccli[postgres]"
            raise unusable("ledger.url", f"{error.name} is missing", hint) from None
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
            raise unusable(self._location, f"has schema {version}, not {schema.VERSION}")

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

    def _read(self, query: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Read all rows at once: an open cursor would keep the webhook from writing."""
        with translating(self._location), self._reader.connect() as db:
            return db.execute(query).all()

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
                        yield Transaction(db)
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

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, int]:
        """Count events by name, from `since` on and before `until`; 0 for those not seen."""
        events = schema.events
        query = (
            sa.select(events.c.name, sa.func.count())
            .where(events.c.name.in_(names))
            .where(events.c.at_us >= from_time(since), events.c.at_us < from_time(until))
            .group_by(events.c.name)
        )
        return dict.fromkeys(names, 0) | {row[0]: row[1] for row in self._read(query)}

    # --- callbacks

    def add_callbacks(self, told: Sequence[Callback]) -> list[bool]:
        """Keep callbacks for ever once this returns; tells of each whether it is new."""
        with self.transaction() as transaction:
            return transaction.add_callbacks(told)

    def pending_callbacks(self, limit: int) -> list[PendingCallback]:
        """List what has unfinished callbacks, claimed or not, those that wait longest first."""
        oldest = sa.func.min(callbacks.c.received_us)
        query = (
            sa.select(
                callbacks.c.sid,
                sa.func.max(callbacks.c.account_sid),
                sa.func.max(callbacks.c.call_sid),
                oldest,
            )
            .where(unfinished)
            .group_by(callbacks.c.sid)
            .order_by(oldest, callbacks.c.sid)
            .limit(limit)
        )
        return [
            PendingCallback(row[0], row[1], row[2], schema.to_time(row[3]))
            for row in self._read(query)
        ]

    def callbacks_pending(self) -> int:
        """Count the recordings and calls with unfinished callbacks."""
        distinct = sa.func.count(sa.distinct(callbacks.c.sid))
        return int(self._read(sa.select(distinct).where(unfinished))[0][0])

    def count_callbacks(self, since: datetime, until: datetime) -> dict[str, int]:
        """Count what came in by status, from `since` on and before `until`."""
        received = callbacks.c.received_us
        query = (
            sa.select(callbacks.c.status, sa.func.count())
            .where(received >= from_time(since), received < from_time(until))
            .group_by(callbacks.c.status)
        )
        return {row[0]: row[1] for row in self._read(query)}

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
        """Extend the leases of claims; returns the stale ones, as `settle` does."""
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
            return transaction.settle(finished, released, unused)
