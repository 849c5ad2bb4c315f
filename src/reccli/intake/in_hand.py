"""The callbacks that one run of the worker has claimed, each until it is settled.

A claim is settled once: when all its recordings have come to their end, when Twilio could not be
asked for them, or, as if it had never been taken, when the run is over. For `worker`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from reccli.core.errors import ServiceError
from reccli.flow.waiting import Again, Finished, Waiting, later, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from reccli.adapters.ledger import Claim, Inbox
    from reccli.flow.outcome import Outcome

MOST_HELD = 500
"""Claims at once, those that wait to be looked up among them."""

_log = structlog.get_logger("reccli")


class InHand:
    """Claims, and the recordings that they wait for; every method may be called from any thread."""

    def __init__(self, inbox: Inbox, clock: Callable[[], datetime]) -> None:
        self._inbox, self._clock = inbox, clock
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], Claim] = {}
        self._waiting: Waiting[Claim] = Waiting()
        self._moved_at = time.monotonic()
        self.over = threading.Event()
        """Nothing more is to be taken up."""

    def __len__(self) -> int:
        """Count the recordings that are being looked at."""
        with self._lock:
            return len(self._waiting)

    @property
    def room(self) -> int:
        """How many claims more may be held."""
        with self._lock:
            return MOST_HELD - len(self._held)

    @property
    def quiet_for(self) -> float:
        """Seconds since a recording came to its end, or since there is any; 0 without."""
        return time.monotonic() - self._moved_at if len(self) else 0.0

    # --- in

    def take(self, claims: Sequence[Claim]) -> list[Claim]:
        """Hold claims; returns those of callbacks that were not in hand yet.

        The others had run out while they were worked on: they are settled by their newer claim.
        """
        with self._lock:
            if not self.over.is_set():
                fresh = [claim for claim in claims if claim.key not in self._held]
                self._held.update((claim.key, claim) for claim in claims)
                return fresh
        self._end_unused(claims)
        return []

    def begin(self, claim: Claim, sids: Iterable[str]) -> set[str]:
        """Let a claim wait for recordings; returns those that nobody is looking at yet."""
        with self._lock:
            if claim.key not in self._held:
                return set()  # it was given back meanwhile
            if not len(self._waiting):
                self._moved_at = time.monotonic()
            fresh = self._waiting.add(claim, sids)
        self._settle_what_is_over()
        return fresh

    # --- out

    def ended(self, outcome: Outcome) -> None:
        """Settle the claims that wait for no more than this recording."""
        with self._lock:
            self._moved_at = time.monotonic()
            self._waiting.ended(outcome)
        self._settle_what_is_over()

    def failed(self, claim: Claim, why: str) -> None:
        """Settle a claim whose recordings could not be asked for."""
        self._settle(claim, Again(later(claim.attempts), why))

    def give_back(self) -> None:
        """Take up nothing more, and give all claims back as if they had never been taken."""
        with self._lock:
            self.over.set()
            left = list(self._held.values())
            self._held.clear()
            self._waiting = Waiting()
        self._end_unused(left)

    def _settle_what_is_over(self) -> None:
        with self._lock:
            over = self._waiting.over()
        for claim, outcomes in over:
            age = self._clock() - claim.received
            self._settle(claim, verdict(outcomes, age, claim.attempts))

    def _settle(self, claim: Claim, ruling: Finished | Again) -> None:
        with self._lock:
            newest = self._held.pop(claim.key, None)
        if newest is None:
            return
        if isinstance(ruling, Finished):
            if ruling.given_up:
                _log.warning("callback_given_up", **sids(claim), reason=ruling.reason)
            self._inbox.settle(newest, ruling.reason).add_done_callback(_settled)
        elif not ruling.after:
            self._end_unused([newest])
        else:
            after = ruling.after.total_seconds()
            about = {"attempt": claim.attempts, "again_in_s": after, "reason": ruling.reason}
            _log.info("callback_waits", **sids(claim), **about)
            self._inbox.settle(newest, ruling.after).add_done_callback(_settled)

    def _end_unused(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._inbox.settle(claim, None).add_done_callback(_settled)


def sids(claim: Claim) -> dict[str, str | None]:
    """Return what a callback is about, for the log; a stream's is about a call as a whole."""
    recording_sid = claim.sid if claim.sid != claim.call_sid else None
    return {"recording_sid": recording_sid, "call_sid": claim.call_sid}


def _settled(done: Future[bool]) -> None:
    """Log that a claim could not be settled: it runs out, and the callback is taken up again."""
    if isinstance(error := done.exception(), ServiceError):
        _log.warning("ledger_error", error=str(error))
