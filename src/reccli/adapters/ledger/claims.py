"""Callbacks that somebody works on: a claim makes them due again later, and settling ends it.

A claim has no owner and is not renewed. Until it is due again nobody else takes the callback up;
after that anybody may, and the earlier claim ends nothing any more. For `transaction`, a half of
which this is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from reccli.adapters.ledger import schema
from reccli.adapters.ledger.schema import callbacks, from_text, now_us, unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reccli.adapters.ledger.schema import Archive

LONGEST_WAIT = timedelta(days=1)
"""Nobody claims for longer, or puts off for longer."""

KEY = (callbacks.c.sid, callbacks.c.status)
"""What a callback is known by."""
_THIS = [column == sa.bindparam(f"its_{column.name}") for column in KEY]


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


class Claims:
    """The half of a transaction that has to do with claims."""

    def __init__(self, db: sa.Connection, archive: Archive) -> None:
        """`db` has begun, and is committed or rolled back by whoever made it."""
        self._db, self._archive = db, archive

    def claim(self, limit: int, timeout: timedelta) -> list[Claim]:
        """Return callbacks that are due, those due longest first, and make them due again later."""
        now = now_us(self._db)
        due, attempts, fence = callbacks.c.due_us, callbacks.c.attempts, callbacks.c.fence
        about = (callbacks.c.account_sid, callbacks.c.call_sid, callbacks.c.received_us)
        ours = schema.told_to(self._archive, now)
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
