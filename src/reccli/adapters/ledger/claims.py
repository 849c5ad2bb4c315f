"""Callbacks that somebody has taken to work on: claimed, renewed and settled by the holder alone.

Many may claim at the same time, from one ledger. A claim ends with its lease, and its fence tells
whether it still holds. For `transaction`, a half of which this is, and, of the types, for
`ledger`, `inbox` and `__init__`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from reccli.adapters.ledger import schema
from reccli.adapters.ledger.schema import callbacks, from_text, now_us, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from reccli.adapters.ledger.schema import Archive

T = TypeVar("T")

LONGEST_LEASE, LONGEST_WAIT = timedelta(minutes=5), timedelta(days=1)
"""Nobody claims for longer, or puts off for longer."""
_AT_ONCE = 500
"""Keys in one statement: databases limit its parameters."""

KEY = (callbacks.c.sid, callbacks.c.status)
"""What a callback is known by."""


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


End = str | timedelta | None
"""What becomes of a claim: finished for a reason, due again after a time, or as if never taken."""


def ends(
    finished: Iterable[tuple[Claim, str]],
    released: Iterable[tuple[Claim, timedelta]],
    unused: Iterable[Claim],
) -> list[tuple[Claim, End]]:
    """Bring what becomes of claims into one list."""
    return [*finished, *released, *((claim, None) for claim in unused)]


class Claims:
    """The half of a transaction that has to do with claims."""

    def __init__(self, db: sa.Connection, archive: Archive) -> None:
        """`db` has begun, and is committed or rolled back by whoever made it."""
        self._db, self._archive = db, archive

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
                    *KEY,
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
        ours = [take(held, _of(claim)) for claim, _ in ends]
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
                sa.select(*KEY, callbacks.c.fence)
                .where(callbacks.c.sid.in_(some), unfinished)  # SQLite would scan for pairs
                .order_by(*KEY)  # so that two who lock the same never wait for each other
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


def _of(claim: Claim) -> tuple[str, str, int]:
    return claim.sid, claim.status, claim.fence


def _its(claim: Claim) -> dict[str, object]:
    return {"its_sid": claim.sid, "its_status": claim.status}


def take(found: set[T], one: T) -> bool:
    """Tell whether it is there, and take it away: who comes second finds nothing."""
    if one in found:
        found.remove(one)
        return True
    return False


def _us(time: timedelta) -> int:
    return time // timedelta(microseconds=1)
