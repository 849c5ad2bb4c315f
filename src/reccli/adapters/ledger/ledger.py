"""How the ledger is opened and written to; what is read from it is in `questions`.

For `__init__`, which exports it.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from reccli.adapters.ledger import connect, schema
from reccli.adapters.ledger.ledger_errors import absent, busy, translating, unusable
from reccli.adapters.ledger.questions import Questions
from reccli.adapters.ledger.schema import ANY, Archive
from reccli.adapters.ledger.transaction import Transaction
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from reccli.adapters.ledger.transaction import Claim, Operation
    from reccli.flow.ports import Event

V = TypeVar("V")


class Recorder(ABC):
    """Whoever keeps the history of runs: at once, or with what comes in."""

    @abstractmethod
    def write(self, operation: Operation[V, None], values: Sequence[V]) -> None:
        """Carry out an operation that nobody expects an answer of."""

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events."""
        self.write(Transaction.record, [(run_id, event) for event in events])

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Add a run that begins."""
        self.write(Transaction.start_runs, [(run_id, command, at)])

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Write how a run ended."""
        self.write(Transaction.finish_runs, [(run_id, at, exit_code, summary)])


class Ledger(Questions, Recorder):
    """One open ledger; made by `Ledger.open`, safe to use from many threads.

    What a method has written is durable when it returns; all of them raise `LedgerError`.
    """

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
        """Open a ledger, making it if there is none; with `read_only` nothing changes at all.

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
            elif not sa.inspect(self._reader).has_table(schema.callbacks.name):
                raise absent(self._location)
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
        """Return the open ledger."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield one transaction, which is durable when the block has ended."""
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

    def write(self, operation: Operation[V, None], values: Sequence[V]) -> None:
        """Write all of the values, or none."""
        if values:
            with self.transaction() as transaction:
                operation(transaction, values)

    def finish_callback(self, sid: str, at: datetime, reason: str) -> bool:
        """Finish what had come in by `at`; a later callback stays. False if there was none."""
        with self.transaction() as transaction:
            return transaction.finish_callback(sid, at, reason)

    def claim(self, limit: int, timeout: timedelta) -> list[Claim]:
        """Return callbacks that are due, those due longest first, and make them due again later."""
        with self.transaction() as transaction:
            return transaction.claim(limit, timeout)
