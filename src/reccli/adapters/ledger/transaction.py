"""What can be written to the ledger in one transaction: all of it becomes durable, or none.

An operation takes many values and returns an answer for each, so that what comes in from many at
the same time is few statements. For `ledger`, which writes one thing at a time, and for `inbox`,
which writes what has come in together.

A claim makes a callback due again later; it has no owner and is not renewed. Until then nobody
else takes the callback up; after that anybody may, and the earlier claim ends nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from reccli.adapters.ledger import schema
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
    from reccli.adapters.ledger.schema import Archive
    from reccli.flow.ports import Event

V = TypeVar("V")
A = TypeVar("A")

LONGEST_WAIT = timedelta(days=1)
"""Nobody claims for longer, or puts off for longer."""

KEY = (callbacks.c.sid, callbacks.c.status)
"""What a callback is known by."""
_THIS = [column == sa.bindparam(f"its_{column.name}") for column in KEY]


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


@dataclass(frozen=True, slots=True)
class Claim:
    """A callback to work on; `attempts` includes this one.

    The fence tells it from every claim of the same callback before and after.
    """

    sid: str
    status: str
    account_sid: str
    call_sid: str | None
    received: datetime
    attempts: int
    fence: int

    @property
    def key(self) -> tuple[str, str]:
        """What the callback is known by."""
        return self.sid, self.status


End = str | timedelta | None
"""What becomes of a claim: finished for a reason, due again after a time, or as if never taken."""


_PROBE = Callback("probe", "probe", "", None, b"", datetime.fromtimestamp(0, UTC))
"""Is never there for others: it goes in the transaction that it came in."""


class Transaction:
    """One open transaction."""

    def __init__(self, db: sa.Connection, archive: Archive) -> None:
        """`db` has begun, and is committed or rolled back by whoever made it."""
        self._db, self._archive = db, archive

    def touch(self, times: Sequence[None]) -> Sequence[None]:
        """Write a callback and delete it, to see that one would reach the disk."""
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
            .where(schema.callbacks_of(self._archive, now_us(self._db)))
            .where(callbacks.c.received_us <= from_time(at))
            .values(finished_us=from_time(at), reason=from_text(reason))
        )
        return self._db.execute(update).rowcount > 0

    # --- claims

    def claim(self, limit: int, timeout: timedelta) -> list[Claim]:
        """Return callbacks that are due, those due longest first, and make them due again later."""
        now = now_us(self._db)
        due, attempts, fence = callbacks.c.due_us, callbacks.c.attempts, callbacks.c.fence
        about = (callbacks.c.account_sid, callbacks.c.call_sid, callbacks.c.received_us)
        ours = schema.callbacks_of(self._archive, now)
        claims: list[Claim] = []
        # What lies too far ahead was written by a clock that has been put right since. Each of the
        # two is a range of the index.
        for is_due in (due <= now, due > now + _us(LONGEST_WAIT)):
            query = sa.select(*KEY, *about, attempts, fence).where(unfinished, ours, is_due)
            query = query.order_by(due).limit(limit - len(claims))
            query = query.with_for_update(skip_locked=True)  # SQLite has locked everything already
            claims += [
                Claim(*row[:4], schema.to_time(row[4]), row[5] + 1, row[6] + 1)
                for row in self._db.execute(query)
            ]
        if claims:
            taken = {"due_us": now + _us(timeout), "attempts": attempts + 1, "fence": fence + 1}
            ours_now = {"archive": self._archive.name}  # also what another one had left
            update = sa.update(callbacks).values(taken | ours_now).where(*_THIS)
            self._db.execute(update, [_its(claim) for claim in claims])
        return claims

    def settle(self, ends: Sequence[tuple[Claim, End]]) -> list[bool]:
        """End claims; False for each that was not the callback's last one, which changes nothing.

        Nor does it after the callback was finished.
        """
        now = now_us(self._db)
        settled = {}
        # In the order of the keys, so that two who settle the same never wait for each other.
        for at in sorted(range(len(ends)), key=lambda at: ends[at][0].key):
            claim, end = ends[at]
            update = sa.update(callbacks).values(_ended(end, now)).where(*_THIS, unfinished)
            update = update.where(callbacks.c.fence == claim.fence)
            settled[at] = self._db.execute(update, _its(claim)).rowcount == 1
        return [settled[at] for at in range(len(ends))]

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


def _ended(end: End, now: int) -> Mapping[str, object]:
    match end:
        case str():
            return {"finished_us": now, "reason": from_text(end)}
        case timedelta():
            return {"due_us": now + _us(end)}
        case None:
            return {"due_us": now, "attempts": callbacks.c.attempts - 1}


def _its(claim: Claim) -> dict[str, object]:
    return {"its_sid": claim.sid, "its_status": claim.status}


def _us(time: timedelta) -> int:
    return time // timedelta(microseconds=1)
