"""What can be written to the ledger in one transaction: all of it becomes durable, or none.

Made by `Ledger.transaction`, for callers that write one thing, and for `inbox`, which writes what
came in from many at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from reccli.adapters.ledger import schema
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
    from collections.abc import Iterable, Mapping, Sequence

    from reccli.adapters.ledger.schema import Archive
    from reccli.flow.ports import Event

T = TypeVar("T")

LONGEST_LEASE, LONGEST_WAIT = timedelta(minutes=5), timedelta(days=1)
"""Nobody claims for longer, or puts off for longer."""
_AT_ONCE = 500
"""Keys in one statement: databases limit its parameters."""

_key = (callbacks.c.sid, callbacks.c.status)


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


@dataclass(frozen=True, slots=True)
class Claim:
    """A callback that is ours until the lease ends; `attempts` includes this one.

    The fence tells it from every claim of the same callback before and after.
    """

    sid: str
    status: str
    account_sid: str
    call_sid: str | None
    received: datetime
    attempts: int
    fence: int


_PROBE = Callback("probe", "probe", "", None, b"", datetime.fromtimestamp(0, UTC))
"""Is never there for others: it goes in the transaction that it came in."""

End = str | timedelta | None
"""What becomes of a claim: finished for a reason, due again after a time, or as if never taken."""


def ends(
    finished: Iterable[tuple[Claim, str]],
    released: Iterable[tuple[Claim, timedelta]],
    unused: Iterable[Claim],
) -> list[tuple[Claim, End]]:
    """Bring what becomes of claims into one list."""
    return [*finished, *released, *((claim, None) for claim in unused)]


class Transaction:
    """One open transaction."""

    def __init__(self, db: sa.Connection, archive: Archive) -> None:
        """`db` has begun, and is committed or rolled back by whoever made it."""
        self._db, self._archive = db, archive

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
        insert = schema.unless_there(self._db, callbacks).returning(*_key)
        # Sorted, because two that insert the same keys in another order would wait for each other.
        new = {tuple(row) for row in self._db.execute(insert, [rows[key] for key in sorted(rows)])}
        return [_take(new, key) for key in keys]

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

    # --- claims

    def claim(self, owner: str, limit: int, lease: timedelta) -> list[Claim]:
        """Take callbacks that are due and that nobody holds, those due longest first."""
        now = now_us(self._db)
        until, due = callbacks.c.lease_until_us, callbacks.c.due_us
        # What lies too far ahead was written by a clock that has been put right since.
        free = sa.or_(until.is_(None), until <= now, until > now + _us(max(lease, LONGEST_LEASE)))
        ours = schema.told_to(self._archive, now)
        claims: list[Claim] = []
        for is_due in (due <= now, due > now + _us(LONGEST_WAIT)):  # each is a range of the index
            query = (
                sa.select(
                    *_key,
                    callbacks.c.account_sid,
                    callbacks.c.call_sid,
                    callbacks.c.received_us,
                    callbacks.c.attempts,
                    callbacks.c.fence,
                )
                .where(unfinished, ours, is_due, free)
                .order_by(due)
                .limit(limit - len(claims))
                .with_for_update(skip_locked=True)  # SQLite has the lock on everything already
            )
            claims += [
                Claim(*row[:4], schema.to_time(row[4]), row[5] + 1, row[6] + 1)
                for row in self._db.execute(query).all()
            ]
        mine = {
            "owner": owner,
            "lease_until_us": now + _us(lease),
            "attempts": callbacks.c.attempts + 1,
            "fence": callbacks.c.fence + 1,
        }
        self._update(mine, [_its(claim) for claim in claims])
        return claims

    def renew(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """Extend the leases of claims; returns the stale ones, which are not ours any more."""
        held = self._held(claims)
        ours = [_its(claim) for claim in claims if _of(claim) in held]
        self._update({"lease_until_us": now_us(self._db) + _us(lease)}, ours)
        return [claim for claim in claims if _of(claim) not in held]

    def settle(self, ends: Sequence[tuple[Claim, End]]) -> list[bool]:
        """End claims; tells of each whether it was still ours, and changes nothing if not."""
        if not ends:
            return []
        held = self._held([claim for claim, _ in ends])
        ours = [_take(held, _of(claim)) for claim, _ in ends]
        live = [end for end, mine in zip(ends, ours, strict=True) if mine]
        now, free = now_us(self._db), {"owner": None, "lease_until_us": None}
        self._update(
            {**free, "finished_us": now, "reason": sa.bindparam("its_reason")},
            [
                _its(claim) | {"its_reason": from_text(end)}
                for claim, end in live
                if isinstance(end, str)
            ],
        )
        self._update(
            {**free, "due_us": sa.bindparam("its_due")},
            [
                _its(claim) | {"its_due": now + _us(end)}
                for claim, end in live
                if isinstance(end, timedelta)
            ],
        )
        self._update(
            {**free, "due_us": now, "attempts": callbacks.c.attempts - 1},
            [_its(claim) for claim, end in live if end is None],
        )
        return ours

    def _held(self, claims: Sequence[Claim]) -> set[tuple[str, str, int]]:
        """Find which claims still hold, and keep it so until the transaction ends."""
        held: set[tuple[str, str, int]] = set()
        sids = sorted({claim.sid for claim in claims})
        for start in range(0, len(sids), _AT_ONCE):
            some = sids[start : start + _AT_ONCE]
            query = (
                sa.select(*_key, callbacks.c.fence)
                .where(callbacks.c.sid.in_(some), unfinished)  # SQLite would scan for pairs
                .order_by(*_key)  # so that two who lock the same never wait for each other
                .with_for_update()
            )
            held |= {(row[0], row[1], row[2]) for row in self._db.execute(query)}
        return held

    def _update(self, values: Mapping[str, object], which: Sequence[Mapping[str, object]]) -> None:
        if which:
            update = sa.update(callbacks).values(values)
            update = update.where(
                callbacks.c.sid == sa.bindparam("its_sid"),
                callbacks.c.status == sa.bindparam("its_status"),
            )
            self._db.execute(update, list(which))

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


def _of(claim: Claim) -> tuple[str, str, int]:
    return claim.sid, claim.status, claim.fence


def _its(claim: Claim) -> dict[str, object]:
    return {"its_sid": claim.sid, "its_status": claim.status}


def _take(found: set[T], one: T) -> bool:
    """Tell whether it is there, and take it away: who comes second finds nothing."""
    if one in found:
        found.remove(one)
        return True
    return False


def _us(time: timedelta) -> int:
    return time // timedelta(microseconds=1)
