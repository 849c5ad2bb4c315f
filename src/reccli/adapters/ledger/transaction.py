"""What can be written to the ledger in one transaction: all of it becomes durable, or none.

Made by `Ledger.transaction`, for callers that write one thing, and for `inbox`, which writes what
came in from many at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from reccli.adapters.ledger import schema
from reccli.adapters.ledger.claims import KEY, Claims, take
from reccli.adapters.ledger.schema import (
    add_new,
    callbacks,
    from_detail,
    from_text,
    from_time,
    now_us,
    runs,
    unfinished,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reccli.flow.ports import Event


@dataclass(frozen=True, slots=True)
class Callback:
    """What was told of a recording (RE…), or of a call (CA…) whose media stream stopped.

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

    def touch(self) -> None:
        """Write what is of no use but to see that a callback would reach the disk."""
        self._db.execute(schema.touch)
        self.add_callbacks([_PROBE])
        self._db.execute(sa.delete(callbacks).where(callbacks.c.sid == _PROBE.sid))

    # --- callbacks

    def add_callbacks(self, told: Sequence[Callback]) -> list[bool]:
        """Keep callbacks, unless they are here already; tells of each whether it is new."""
        if not told:
            return []
        due = now_us(self._db)
        keys = [(from_text(one.sid), from_text(one.status)) for one in told]
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
            for key, one in reversed(list(zip(keys, told, strict=True)))  # the first one counts
        }
        insert = schema.unless_there(self._db, callbacks).returning(*KEY)
        # Sorted, because two that insert the same keys in another order would wait for each other.
        new = {tuple(row) for row in self._db.execute(insert, [rows[key] for key in sorted(rows)])}
        return [take(new, key) for key in keys]

    def finish_callback(self, sid: str, at: datetime, reason: str) -> bool:
        """Mark what had come in by `at` as done; a later callback stays. False if none was."""
        update = (
            sa.update(callbacks)
            .where(callbacks.c.sid == sid, unfinished)
            .where(schema.told_to(self._archive, now_us(self._db)))
            .where(callbacks.c.received_us <= from_time(at))
            .values(
                finished_us=from_time(at),
                reason=from_text(reason),
                owner=None,
                lease_until_us=None,
            )
            .returning(callbacks.c.status)
        )
        return bool(self._db.execute(update).all())

    # --- history

    def record(self, told: Sequence[tuple[str, Event]]) -> None:
        """Keep events, each with the id of its run."""
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
            for run_id, event in told
        ]
        if rows:
            self._db.execute(sa.insert(schema.events), rows)

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Note that a run has begun."""
        row = {"run_id": run_id, "command": command, "started_us": from_time(at)}
        row |= {"archive": self._archive.name}
        add_new(self._db, runs, row)

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Note how a run ended."""
        end = {
            "finished_us": from_time(at),
            "exit_code": exit_code,
            "summary": from_detail(summary),
        }
        self._db.execute(sa.update(runs).where(runs.c.run_id == run_id).values(end))
