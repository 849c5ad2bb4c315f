"""What the ledger is told, and how it is opened; what it is asked is in `questions`.

For `__init__`, which exports it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from reccli.adapters.ledger import connect, schema
from reccli.adapters.ledger.claims import ends
from reccli.adapters.ledger.ledger_errors import busy, translating, unusable
from reccli.adapters.ledger.questions import Questions
from reccli.adapters.ledger.schema import ANY, Archive
from reccli.adapters.ledger.transaction import Transaction
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from reccli.adapters.ledger.claims import Claim
    from reccli.adapters.ledger.transaction import Callback
    from reccli.flow.ports import Event


class Ledger(Questions):
    """One open ledger; made by `Ledger.open`, safe to use from many threads."""

    def __init__(self, url: sa.URL, archive: Archive, *, read_only: bool) -> None:
        self._file = connect.file_of(url)
        self._inode = 0
        # Not the query: a password may stand there too.
        location = str(self._file or url.set(query={}).render_as_string(hide_password=True))
        self._read_only = read_only
        # In line here, our own threads need not find the file locked and wait in steps.
        self._line = threading.Lock()
        reader, self._writer = connect.reader_and_writer(url, read_only=read_only)
        super().__init__(reader, archive, location)

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

    # --- callbacks

    def add_callbacks(self, told: Sequence[Callback]) -> list[bool]:
        """Keep callbacks for ever once this returns; tells of each whether it is new."""
        with self.transaction() as transaction:
            return transaction.add_callbacks(told)

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
