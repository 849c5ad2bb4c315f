"""Group commit: what comes in at the same time goes to the disk in one transaction with one sync.

A server that synced for each callback would be as slow as its disk. One thread writes here, for
everybody in the process; a future is resolved when its commit is durable, and a commit that failed
fails all that was in it. The ledger is opened when it is first needed, and again after a failure,
so that a server can start, and go on, while PostgreSQL is away. For `intake`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from reccli.adapters.ledger import connect
from reccli.adapters.ledger.claims import ends
from reccli.adapters.ledger.ledger_errors import LedgerError, busy, odd, unusable
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from reccli.adapters.ledger.claims import Claim, End
    from reccli.adapters.ledger.ledger import Ledger
    from reccli.adapters.ledger.transaction import Callback, Transaction
    from reccli.flow.ports import Event

AT_ONCE = 512
"""Entries of one transaction."""
LONGEST_QUEUE = 10_000
"""Entries that may wait; what is more is refused at once, for it would be answered too late."""
BREATH = 0.001
"""Seconds between transactions under load: whoever else wants to write would never get a turn."""

_NAME = "ledger"
_log = structlog.get_logger("reccli")


@dataclass(slots=True, eq=False)
class _Entry:
    """One thing to write. What has no future only informs, and is tried twice."""

    future: Future[Any] | None = None
    callback: Callback | None = None
    ends: Sequence[tuple[Claim, End]] = ()
    told: Sequence[tuple[str, Event]] = ()
    write: Callable[[Transaction], None] | None = None
    failed: bool = False


class Inbox:
    """The one writer of a process; every method may be called from any thread."""

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        """Open nothing yet, and start no thread: a server may fork before the first use."""
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._opening = threading.Lock()
        self._queue: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._kept: list[_Entry] = []
        self._closed = self._over = False
        self._thread: threading.Thread | None = None
        self._pid = 0

    @property
    def ledger(self) -> Ledger:
        """The open ledger, for what reads and claims; raises `LedgerError`."""
        if self._forked:
            raise _forked()
        with self._opening:
            if self._ledger is None:
                if self._over:
                    raise _closed()
                self._ledger = self._open_ledger()
            return self._ledger

    # --- what comes in

    def add(self, callback: Callback) -> Future[bool]:
        """Keep a callback; the future says whether it was new, and has it on the disk."""
        return self._put(_Entry(Future(), callback))

    def settle(
        self,
        finished: Sequence[tuple[Claim, str]],
        released: Sequence[tuple[Claim, timedelta]],
        unused: Sequence[Claim] = (),
    ) -> Future[list[Claim]]:
        """End claims, as `Ledger.settle` does; the future tells the stale ones."""
        return self._put(_Entry(Future(), ends=ends(finished, released, unused)))

    def ping(self) -> None:
        """Write something and wait until it is on the disk; raises `LedgerError`."""
        written: Future[None] = self._put(_Entry(Future(), write=lambda db: db.touch()))
        try:
            written.result(timeout=connect.BUSY_SECONDS + 2)
        except TooLateError:
            raise busy(_NAME) from None

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Keep events with whatever is written next; never raises."""
        if events:
            self._put(_Entry(told=[(run_id, event) for event in events]))

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Note that a run has begun; never raises."""
        self._put(_Entry(write=lambda db: db.start_run(run_id, command, at)))

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Note how a run ended; never raises."""
        self._put(_Entry(write=lambda db: db.finish_run(run_id, at, exit_code, summary)))

    def close(self) -> None:
        """Write what waits, then end; what comes later fails."""
        if self._forked:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(2 * connect.BUSY_SECONDS)
        with self._changed:
            left = [*self._queue]
            self._queue.clear()
        _fail(left, _closed())
        self._over = True
        self._drop()

    @property
    def _forked(self) -> bool:
        """Whether thread and connections are the parent's; locks may be held there for ever."""
        return self._pid not in {0, os.getpid()}

    def _put(self, entry: _Entry) -> Future[Any]:
        if error := self._refused(entry):
            _fail([entry], error)
        return entry.future or Future()

    def _refused(self, entry: _Entry) -> LedgerError | None:
        if self._forked:
            return _forked()
        with self._changed:
            if self._closed:
                return _closed()
            if len(self._queue) >= LONGEST_QUEUE:
                return unusable(_NAME, "too much waits for it", kind=FailureKind.BUSY, code="full")
            if self._thread is None:
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="reccli-ledger", daemon=True)
                self._thread.start()
            self._queue.append(entry)
            if len(self._queue) == 1:
                self._changed.notify()
        return None

    # --- what goes out

    def _run(self) -> None:
        while entries := self._next():
            self._write(entries)
            if self._queue:
                time.sleep(BREATH)

    def _next(self) -> list[_Entry]:
        """Wait for something to write; nothing once all is written and the inbox is closed."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            count = min(AT_ONCE, len(self._queue))
            kept, self._kept = self._kept, []
            return [*kept, *(self._queue.popleft() for _ in range(count))]

    def _write(self, entries: list[_Entry]) -> None:
        todo = [entries]
        while todo:
            group = todo.pop()
            error = self._try(group)
            if error is None:
                continue
            if not odd(error):
                self._away([entry for left in (group, *todo) for entry in left], error)
                return
            if len(group) == 1:
                _fail(group, error)
            else:  # it is one of them, and the others have nothing to do with it
                half = len(group) // 2
                todo += [group[half:], group[:half]]

    def _try(self, entries: Sequence[_Entry]) -> Exception | None:
        """Write all in one transaction, and answer; gives the error if nothing was written."""
        try:
            with self.ledger.transaction() as transaction:
                ours = iter(transaction.settle([end for entry in entries for end in entry.ends]))
                told = [entry.callback for entry in entries if entry.callback]
                new = iter(transaction.add_callbacks(told))
                transaction.record([event for entry in entries for event in entry.told])
                for entry in entries:
                    if entry.write:
                        entry.write(transaction)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread has to go on
            return error
        for entry in entries:
            stale = [claim for claim, _ in entry.ends if not next(ours)]
            answer = next(new) if entry.callback else stale
            if entry.future and entry.future.set_running_or_notify_cancel():
                entry.future.set_result(answer)
        return None

    def _away(self, entries: Sequence[_Entry], error: Exception) -> None:
        """Fail what could not be written, and what waits behind it: that would wait as long."""
        if not isinstance(error, LedgerError) or error.failure.kind is not FailureKind.BUSY:
            self._drop()
        with self._changed:
            waiting = [*entries, *self._queue]
            self._queue.clear()
        self._kept = [entry for entry in waiting if entry.future is None and not entry.failed]
        _fail([entry for entry in waiting if entry.future or entry.failed], error)
        for entry in self._kept:
            entry.failed = True

    def _drop(self) -> None:
        """Open the ledger anew for the next write."""
        with self._opening:
            ledger, self._ledger = self._ledger, None
        if ledger:
            ledger.close()


def _fail(entries: Sequence[_Entry], error: Exception) -> None:
    """Tell those who wait; for what only informs, the log has to do."""
    told = error if isinstance(error, LedgerError) else unusable(_NAME, repr(error), code="bug")
    if dropped := sum(entry.future is None for entry in entries):
        _log.warning("ledger_error", error=str(told), dropped=dropped)
    for entry in entries:
        if entry.future and entry.future.set_running_or_notify_cancel():
            entry.future.set_exception(told)


def _forked() -> LedgerError:
    return unusable(_NAME, "was opened before a fork", code="forked")


def _closed() -> LedgerError:
    return unusable(_NAME, "is closed", code="closed")
