"""What can be written to the ledger in one transaction: all of it becomes durable, or none.

An operation takes many values and returns an answer for each, so that what comes in from many at
the same time is few statements. For `ledger`, which writes one thing at a time, and for `inbox`,
which writes what has come in together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from reccli.adapters.ledger import schema
from reccli.adapters.ledger.claims import KEY, Claims
from reccli.adapters.ledger.schema import (
    callbacks,
    from_detail,
    from_text,
    from_time,
    now_us,
    runs,
    unfinished,
)

if TYPE_CHECKING:
    from reccli.flow.ports import Event

V = TypeVar("V")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Callback:
    """What came in about a recording (RE…), or a call (CA…) whose media stream stopped.

    It is kept once for each `status`: Twilio's RecordingStatus, or "stopped MZ…".
    """

    sid: str
    status: str
    account_sid: str
    call_sid: str | None
    body: bytes
    received: datetime


_PROBE = Callback("probe", "probe", "", None, b"", datetime.fromtimestamp(0, UTC))
"""Is never there for others: it goes in the transaction that it came in."""


class Transaction(Claims):
    """One open transaction."""

    def touch(self, times: Sequence[None]) -> Sequence[None]:
        """Write what is of no use but to see that a callback would reach the disk."""
        self._db.execute(schema.touch)
        self.add_callbacks([_PROBE])
        self._db.execute(sa.delete(callbacks).where(callbacks.c.sid == _PROBE.sid))
        return times

    # --- callbacks

    def add_callbacks(self, received: Sequence[Callback]) -> list[bool]:
        """Add callbacks, unless they are here already; True for each that is new."""
        if not received:
            return []
        due = now_us(self._db)
        keys = [(from_text(one.sid), from_text(one.status)) for one in received]
        rows = {
            key: {
                "sid": key[0],
                "status": key[1],
                "account_sid": from_text(one.account_sid),
                "call_sid": from_text(one.call_sid),
                "body": one.body,
                "received_us": from_time(one.received),
                "due_us": due,
                "archive": self._archive.name,
            }
            for key, one in reversed(list(zip(keys, received, strict=True)))  # the first one counts
        }
        insert = schema.unless_there(self._db, callbacks).returning(*KEY)
        # Sorted, because two that insert the same keys in another order would wait for each other.
        new = {tuple(row) for row in self._db.execute(insert, [rows[key] for key in sorted(rows)])}
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        return [key in new and first[key] == at for at, key in enumerate(keys)]

    def finish_callback(self, sid: str, at: datetime, reason: str) -> bool:
        """Finish what had come in by `at`; a later callback stays. False if there was none."""
        update = (
            sa.update(callbacks)
            .where(callbacks.c.sid == sid, unfinished)
            .where(schema.told_to(self._archive, now_us(self._db)))
            .where(callbacks.c.received_us <= from_time(at))
            .values(finished_us=from_time(at), reason=from_text(reason))
        )
        return self._db.execute(update).rowcount > 0

    # --- history

    def record(self, events: Sequence[tuple[str, Event]]) -> Sequence[None]:
        """Add events, each with the ID of its run."""
        rows = [
            {
                "at_us": from_time(event.at),
                "run_id": run_id,
                "name": event.name,
                "recording_sid": from_text(event.recording_sid),
                "call_sid": from_text(event.call_sid),
                "detail": from_detail(event.detail),
                "archive": self._archive.name,
            }
            for run_id, event in events
        ]
        if rows:
            self._db.execute(sa.insert(schema.events), rows)
        return [None] * len(rows)

    def start_runs(self, begun: Sequence[tuple[str, str, datetime]]) -> Sequence[None]:
        """Add runs: the ID, the command and the time of each."""
        names = ("run_id", "command", "started_us", "archive")
        for run_id, command, at in begun:
            row = (run_id, command, from_time(at), self._archive.name)
            schema.add_new(self._db, runs, dict(zip(names, row, strict=True)))
        return [None] * len(begun)

    def finish_runs(
        self, ended: Sequence[tuple[str, datetime, int, Mapping[str, object]]]
    ) -> Sequence[None]:
        """Write how runs ended: the ID, the time, the exit code and the summary of each."""
        for run_id, at, exit_code, summary in ended:
            end = {"finished_us": from_time(at), "exit_code": exit_code}
            update = sa.update(runs).where(runs.c.run_id == run_id)
            self._db.execute(update.values(end | {"summary": from_detail(summary)}))
        return [None] * len(ended)


Operation = Callable[[Transaction, Sequence[V]], Sequence[A]]
"""A method of `Transaction` that takes many values, and returns an answer for each."""


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
