"""What the worker takes up: callbacks that are due are claimed, and calls are looked up at Twilio.

How much at a time depends on how much comes in: what is kept can wait, what is not kept is lost.
For `worker`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reccli.core.errors import ServiceError
from reccli.flow.named import reported
from reccli.intake.in_hand import sids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reccli.adapters.ledger import Claim, Inbox
    from reccli.flow.outcome import Candidate
    from reccli.flow.services import Services
    from reccli.intake.in_hand import InHand

CLAIMED_FOR = timedelta(seconds=15)
"""After that a callback is due again, unless it was settled, for whoever comes first."""
POLL = 1.0
"""Seconds between looks for what is due again; a new callback wakes the worker at once."""
PATIENCE = 5.0
"""Seconds until a ledger that failed is asked again."""
AT_ONCE, FEW = 50, 8
BURST = 100
"""Callbacks a second from which on they go first, and work in hand grows by `FEW` at a time."""
BURST_REST, COUNTED_OVER = 0.5, 0.25
LOOKUPS = 4
"""How many calls are looked up side by side."""

_log = structlog.get_logger("reccli")


class Bell:
    """Rung when a callback has come in: it wakes the worker, and knows how many come in."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._count, self._counted_at, self._per_second = 0, time.monotonic(), 0.0

    def ring(self) -> None:
        """Wake whoever waits."""
        self._count += 1
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Return once it has been rung since the last time, or after so many seconds."""
        self._rung.wait(seconds)
        self._rung.clear()

    def is_burst(self) -> bool:
        """Whether so many come in that what has come in must wait."""
        now = time.monotonic()
        if now - self._counted_at >= COUNTED_OVER:
            self._per_second = self._count / (now - self._counted_at)
            self._count, self._counted_at = 0, now
        return self._per_second > BURST


class Arrivals:
    """The source of one run of the worker."""

    def __init__(
        self, services: Services, inbox: Inbox, in_hand: InHand, bell: Bell, stop: threading.Event
    ) -> None:
        self._services, self._inbox, self._in_hand = services, inbox, in_hand
        self._bell, self._stop = bell, stop
        self._found: deque[tuple[Claim, Sequence[Candidate]]] = deque()
        self._lookups = ThreadPoolExecutor(LOOKUPS, "reccli-lookup")

    def close(self) -> None:
        """Look up nothing more."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    def next(self) -> Iterator[Candidate]:
        """Yield what is due now; nothing, after a while, where nothing is."""
        burst = self._bell.is_burst()
        claims = self._claim(FEW if burst else AT_ONCE)
        if burst:
            self._stop.wait(BURST_REST)
        elif not (claims or self._found):
            self._bell.wait(POLL)
        for claim in claims:
            if claim.sid == claim.call_sid:  # its recordings are asked for beside the others
                self._lookups.submit(self._look_up, claim)
            else:
                yield from self._begin(claim, self._candidates(claim))
        while self._found:
            yield from self._begin(*self._found.popleft())

    def _claim(self, limit: int) -> Sequence[Claim]:
        limit = min(limit, self._in_hand.room)
        if limit <= 0:
            return ()
        try:
            return self._in_hand.take(self._inbox.ledger.claim(limit, CLAIMED_FOR))
        except ServiceError as error:
            _log.warning("ledger_error", error=str(error))
            self._stop.wait(PATIENCE)
            return ()

    def _candidates(self, claim: Claim) -> Sequence[Candidate]:
        return reported(claim.sid, claim.call_sid, self._services)

    def _look_up(self, claim: Claim) -> None:
        try:
            self._found.append((claim, self._candidates(claim)))
            self._bell.ring()
        except ServiceError as error:
            self._in_hand.failed(claim, str(error))
        except Exception:  # noqa: BLE001 - nobody else would see it
            _log.exception("worker_failed")
            self._in_hand.failed(claim, "unexpected")

    def _begin(self, claim: Claim, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """Yield the recordings of a callback that nobody has in hand yet."""
        fresh = self._in_hand.begin(claim, (candidate.ref.sid for candidate in candidates))
        if claim.attempts == 1 and claim.status == "completed":
            _log.info("recording_transfer_scheduled", **sids(claim))
        yield from (candidate for candidate in candidates if candidate.ref.sid in fresh)
