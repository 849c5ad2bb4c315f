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
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from reccli.adapters.ledger import connect
from reccli.adapters.ledger.ledger import Recorder
from reccli.adapters.ledger.ledger_errors import LedgerError, busy, odd, unusable
from reccli.adapters.ledger.transaction import Transaction
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reccli.adapters.ledger.ledger import Ledger
    from reccli.adapters.ledger.transaction import Callback, Claim, End, Operation

A = TypeVar("A")
V = TypeVar("V")

AT_ONCE = 512
"""Entries of one transaction."""
LONGEST_QUEUE = 10_000
"""Entries that may wait; what is more is refused at once, for it would be answered too late."""
BREATH = 0.001
"""Seconds between transactions under load: whoever else wants to write would never get a turn."""

_IN_ORDER: tuple[Operation[Any, Any], ...] = (
    Transaction.start_runs,
    Transaction.add_callbacks,
    Transaction.settle,
    Transaction.record,
    Transaction.finish_runs,
    Transaction.touch,
)
"""How a transaction goes, in every process: else two could wait for each other."""

_NAME = "ledger"
_log = structlog.get_logger("reccli")


@dataclass(slots=True, eq=False)
class _Entry:
    """One value for an operation. What has no future only informs, and is tried twice."""

    operation: Operation[Any, Any]
    value: object
    future: Future[Any] | None = None
    failed: bool = False


class Inbox(Recorder):
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
        """Write a callback; the future says whether it was new, and has it on the disk."""
        return self._ask(Transaction.add_callbacks, callback)

    def settle(self, claim: Claim, end: End) -> Future[bool]:
        """End a claim; the future says whether it was still the callback's last one."""
        return self._ask(Transaction.settle, (claim, end))

    def ping(self) -> None:
        """Write something and wait until it is on the disk; raises `LedgerError`."""
        try:
            self._ask(Transaction.touch, None).result(timeout=connect.BUSY_SECONDS + 2)
        except TooLateError:
            raise busy(_NAME) from None

    def write(self, operation: Operation[V, None], values: Sequence[V]) -> None:
        """Write values with whatever is written next; never raises."""
        for value in values:
            self._put(_Entry(operation, value))

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

    def _ask(self, operation: Operation[V, A], value: V) -> Future[A]:
        future: Future[A] = Future()
        self._put(_Entry(operation, value, future))
        return future

    def _put(self, entry: _Entry) -> None:
        if error := self._refused(entry):
            _fail([entry], error)

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
            self._commit(entries)
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

    def _commit(self, entries: list[_Entry]) -> None:
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
        """Write all in one transaction, and answer; returns the error if nothing was written."""
        answers: dict[_Entry, object] = {}
        try:
            with self.ledger.transaction() as transaction:
                for operation in _IN_ORDER:
                    some = [entry for entry in entries if entry.operation is operation]
                    values = [entry.value for entry in some]
                    if some:
                        answers |= zip(some, operation(transaction, values), strict=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread has to go on
            return error
        for entry, answer in answers.items():
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
    """Answer those who wait; for what only informs, the log has to do."""
    known = error if isinstance(error, LedgerError) else unusable(_NAME, repr(error), code="bug")
    if dropped := sum(entry.future is None for entry in entries):
        _log.warning("ledger_error", error=str(known), dropped=dropped)
    for entry in entries:
        if entry.future and entry.future.set_running_or_notify_cancel():
            entry.future.set_exception(known)


def _forked() -> LedgerError:
    return unusable(_NAME, "was opened before a fork", code="forked")


def _closed() -> LedgerError:
    return unusable(_NAME, "is closed", code="closed")
