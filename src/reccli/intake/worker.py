"""Takes pending callbacks to their end, in the background of the server.

The very same sources, cases and runner as `process`, with a source that never ends. Whatever
happens to this process, the ledger still has what was not finished: another server, this one
after its restart, or `process` takes it up. For `webhook` alone.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from reccli.core.errors import Service, ServiceError
from reccli.core.guard import Limits
from reccli.flow.run import GRACE, Brake, Pace, Runner
from reccli.flow.source import Sources
from reccli.flow.waiting import Again, Finished, later, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reccli.adapters.ledger import Claim, Inbox
    from reccli.flow.outages import Outage
    from reccli.flow.outcome import Candidate, Outcome, Rules
    from reccli.flow.ports import EventSink
    from reccli.flow.result import Result
    from reccli.flow.services import Services

LEASE = timedelta(seconds=15)
"""How long another server leaves our work alone after our last sign of life."""
RENEW = 5.0
POLL = 1.0
"""Seconds between looks for what is due again; a new callback wakes the worker at once."""
AT_ONCE, FEW = 50, 8
BURST = 100
"""Callbacks a second from which on they go first, and work in hand grows by `FEW` at a time: what
is kept can wait, what is not kept is lost."""
BURST_REST, COUNTED_OVER = 0.5, 0.25
LOOKUPS = 4
"""How many calls are looked up side by side."""
MOST_HELD = 500
"""Claims at once, those that wait to be looked up among them."""
STUCK_AFTER = 900.0
"""Seconds without the end of any recording in hand; the largest take a good part of it."""
REST = 10.0
"""Seconds until a run that ended by itself is begun again."""
LINKS_LINGER = 0.3
"""Shorter than in a run from cron: somebody waits for this link, and few come together."""

_log = structlog.get_logger("reccli")


@dataclass(slots=True, eq=False)
class _Work:
    """One claim, and the recordings whose outcomes it still waits for."""

    claim: Claim
    waiting: set[str]
    outcomes: list[Outcome] = field(default_factory=list)


class Worker:
    """One thread that drives the runner, and one that renews the leases of what is in hand."""

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        services: Services,
        rules: Rules,
        inbox: Inbox,
        sink: EventSink,
        *,
        stop: threading.Event,
        concurrency: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`stop` also ends the waiting inside of `services`; it is set by `stop()`."""
        self._world, self._rules, self._inbox, self._sink = services, rules, inbox, sink
        self._stop, self._clock = stop, clock
        self._pace = Pace(concurrency, links_linger=LINKS_LINGER)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._wake = threading.Event()
        self._arrived, self._counted_at, self._per_second = 0, time.monotonic(), 0.0
        self._lock = threading.Lock()
        self._held: set[Claim] = set()
        self._works: dict[str, list[_Work]] = {}
        self._found: deque[tuple[Claim, list[Candidate]]] = deque()
        self._moved_at = time.monotonic()
        self._over = threading.Event()
        self._failing: dict[Service, Outage] = {}
        self._lookups = ThreadPoolExecutor(LOOKUPS, "reccli-lookup")
        self._threads = [
            threading.Thread(target=self._drive, name="reccli-cases", daemon=True),
            threading.Thread(target=self._renew, name="reccli-leases", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for work now: a callback has come in."""
        self._arrived += 1
        self._wake.set()

    def end(self) -> None:
        """Take up nothing more, and finish the steps in hand; returns at once."""
        self._stop.set()
        self._wake.set()

    def stop(self) -> None:
        """Do the same, and return when it is done; the rest is left pending."""
        self.end()
        for thread in self._threads:
            thread.join(GRACE + RENEW)
        self._lookups.shutdown(wait=False, cancel_futures=True)

    @property
    def started(self) -> bool:
        """Whether it was ever asked to begin: an app may be mounted to take callbacks only."""
        return self._threads[0].ident is not None

    @property
    def dead(self) -> bool:
        """Whether it has ended without being told to, as far as a thread can tell."""
        alive = all(thread.is_alive() for thread in self._threads)
        return self.started and not alive and not self._stop.is_set()

    @property
    def stuck(self) -> bool:
        """Whether it has work in hand and gets nothing done, for whatever reason."""
        return bool(self.in_hand) and time.monotonic() - self._moved_at > STUCK_AFTER

    @property
    def in_hand(self) -> int:
        """How many recordings are being looked at."""
        with self._lock:
            return len(self._works)

    def _drive(self) -> None:
        while not self._stop.is_set():
            self._over = threading.Event()
            sources = Sources(self._world)
            runner = Runner(
                self._world,
                self._rules,
                Brake(Limits(0, 0.0)),  # `process` deletes nothing
                self._sink,
                pace=self._pace,
                stop=self._stop,
                progress=self._progress,
            )
            try:
                runner.run(self._items(self._over), sources)
            except Exception:  # noqa: BLE001 - whatever it is, callbacks must be worked on
                _log.exception("worker_failed")
            self._over.set()  # the runner's reader may still be at it, for nobody
            self._release_all()
            self._stop.wait(REST)  # it has ended by itself: a bug, or Airtable's monthly cap

    # Work in

    def _items(self, over: threading.Event) -> Iterator[Candidate]:
        while not (self._stop.is_set() or over.is_set()):
            self._tell_outages()
            burst = self._is_burst()
            claims = self._claim(FEW if burst else AT_ONCE, over)
            if burst:
                self._stop.wait(BURST_REST)
            elif not (claims or self._found):
                self._wake.wait(POLL)
                self._wake.clear()
            for claim in claims:
                if claim.sid == claim.call_sid:  # its recordings are asked for beside the others
                    self._lookups.submit(self._look_up, claim)
                else:
                    yield from self._take(claim, self._told(claim))
            while self._found:
                yield from self._take(*self._found.popleft())

    def _tell_outages(self) -> None:
        """Log when a service begins to fail and when it answers again, once each."""
        failing = {outage.service: outage for outage in self._world.retry.failing}
        for service, outage in failing.items():
            if service not in self._failing:
                why = {"error": outage.failure.message, "hint": outage.failure.hint}
                _log.warning("service_failing", service=service.value, **why)
        for service, outage in self._failing.items():
            if service not in failing:
                since = outage.since.isoformat()
                _log.warning("service_answers_again", service=service.value, failed_since=since)
        self._failing = failing

    def _is_burst(self) -> bool:
        now = time.monotonic()
        if now - self._counted_at >= COUNTED_OVER:
            self._per_second = self._arrived / (now - self._counted_at)
            self._arrived, self._counted_at = 0, now
        return self._per_second > BURST

    def _claim(self, limit: int, over: threading.Event) -> Sequence[Claim]:
        with self._lock:
            limit = min(limit, MOST_HELD - len(self._held))
        if limit <= 0:
            return ()
        try:
            claims = self._inbox.ledger.claim(self._owner, limit, LEASE)
        except ServiceError as error:
            _log.warning("ledger_error", error=str(error))
            self._stop.wait(RENEW)
            return ()
        with self._lock:
            if not over.is_set():
                self._held.update(claims)
                return claims
        self._unclaim(claims)
        return ()

    def _told(self, claim: Claim) -> list[Candidate]:
        return list(Sources(self._world).told(claim.sid, claim.call_sid))

    def _look_up(self, claim: Claim) -> None:
        try:
            candidates = self._told(claim)
        except ServiceError as error:
            self._settle(claim, Again(later(claim.attempts), str(error)))
        except Exception:  # noqa: BLE001 - nobody else would see it
            _log.exception("worker_failed")
            self._settle(claim, Again(later(claim.attempts), "unexpected"))
        else:
            if candidates:
                self._found.append((claim, candidates))
                self._wake.set()
            else:
                self._settle(claim, verdict((), self._age(claim), claim.attempts))

    def _take(self, claim: Claim, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Note who waits for what, and give the recordings that nobody has in hand yet."""
        work = _Work(claim, {candidate.ref.sid for candidate in candidates})
        with self._lock:
            if claim not in self._held:
                return []  # it was given back meanwhile
            fresh = [candidate for candidate in candidates if candidate.ref.sid not in self._works]
            if not self._works:
                self._moved_at = time.monotonic()
            for sid in work.waiting:
                self._works.setdefault(sid, []).append(work)
        if claim.attempts == 1 and claim.status == "completed":
            _log.info("recording_transfer_scheduled", **_sids(claim))
        return fresh

    # Work out

    def _progress(self, result: Result) -> None:
        while result.outcomes:  # taken away, so that a server does not grow with its calls
            self._ended(result.outcomes.pop())

    def _ended(self, outcome: Outcome) -> None:
        ending = [failure for failure in outcome.failures if failure.ends_run]
        if ending:
            if not self._over.is_set():
                _log.error(ending[0].code, error=ending[0].message, hint=ending[0].hint)
            self._over.set()  # the runner stops, so nothing more is to be taken up for it
        with self._lock:
            self._moved_at = time.monotonic()
            works = self._works.pop(outcome.sid or "", [])
        for work in works:
            work.outcomes.append(outcome)
            work.waiting.discard(outcome.sid or "")
            if not work.waiting:
                age = self._age(work.claim)
                self._settle(work.claim, verdict(work.outcomes, age, work.claim.attempts))

    def _settle(self, claim: Claim, ruling: Finished | Again) -> None:
        with self._lock:
            if claim not in self._held:
                return
            self._held.remove(claim)
        if isinstance(ruling, Finished):
            if ruling.given_up:
                _log.warning("callback_given_up", **_sids(claim), reason=ruling.reason)
            future = self._inbox.settle([(claim, ruling.reason)], ())
        elif not ruling.after:
            self._unclaim([claim])
            return
        else:
            after = ruling.after.total_seconds()
            told = {"attempt": claim.attempts, "again_in_s": after, "reason": ruling.reason}
            _log.info("callback_waits", **_sids(claim), **told)
            future = self._inbox.settle((), [(claim, ruling.after)])
        future.add_done_callback(_tell)

    def _release_all(self) -> None:
        with self._lock:
            left = list(self._held)
            self._held.clear()
            self._works.clear()
        self._unclaim(left)

    def _unclaim(self, claims: Sequence[Claim]) -> None:
        """Give claims back as if they had never been taken."""
        if claims:
            self._inbox.settle((), (), claims).add_done_callback(_tell)

    def _age(self, claim: Claim) -> timedelta:
        return self._clock() - claim.received

    def _renew(self) -> None:
        """Keep other servers from what is in hand; a lease that is lost costs work, no safety."""
        while not self._stop.wait(RENEW):
            with self._lock:
                claims = list(self._held)
            try:
                if claims:
                    self._inbox.ledger.renew(claims, LEASE)
            except Exception as error:  # noqa: BLE001 - whatever it is, leases must be renewed
                _log.warning("ledger_error", error=str(error))


def _sids(claim: Claim) -> dict[str, str | None]:
    """Name a callback in the log; a stream's is about a call and no recording of it."""
    recording_sid = claim.sid if claim.sid != claim.call_sid else None
    return {"recording_sid": recording_sid, "call_sid": claim.call_sid}


def _tell(done: Future[list[Claim]]) -> None:
    """Tell that a callback could not be settled: its lease ends, and it is taken up again."""
    if isinstance(error := done.exception(), ServiceError):
        _log.warning("ledger_error", error=str(error))
