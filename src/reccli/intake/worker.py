"""Takes pending callbacks to their end, in the background of the server.

The very same sources, cases and runner as `process`, with a source that never ends. Whatever
happens to this process, the ledger still has what was not finished: another server, this one
after its restart, or `process` takes it up. For `webhook` alone.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog

from reccli.core.guard import Limits
from reccli.flow.executors import Pace
from reccli.flow.gate import Guard
from reccli.flow.run import GRACE, Runner
from reccli.flow.source import Sources
from reccli.intake.arrivals import Arrivals, Bell
from reccli.intake.in_hand import InHand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reccli.adapters.ledger import Inbox
    from reccli.core.errors import Service
    from reccli.flow.outages import Outage
    from reccli.flow.outcome import Candidate, Outcome, Rules
    from reccli.flow.ports import EventSink
    from reccli.flow.services import Services

STUCK_AFTER = 900.0
"""Seconds without the end of any recording in hand; the largest take a good part of it."""
REST = 10.0
"""Seconds until a run that ended by itself is begun again."""
LAST_STEPS = 5.0
"""Seconds for what a run that has ended still gives back."""
LINKS_LINGER = 0.3
"""Shorter than in a run from cron: somebody waits for this link, and few come together."""

_log = structlog.get_logger("reccli")


class Worker:
    """One thread that drives the runner."""

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
        self._services, self._rules, self._inbox, self._sink = services, rules, inbox, sink
        self._stop, self._clock = stop, clock
        self._pace = Pace(concurrency, links_linger=LINKS_LINGER)
        self._bell = Bell()
        self._in_hand = InHand(inbox, clock)
        self._failing: dict[Service, Outage] = {}
        self._thread = threading.Thread(target=self._drive, name="reccli-cases", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work now: a callback has come in."""
        self._bell.ring()

    def end(self) -> None:
        """Take up nothing more, and finish the steps in hand; returns at once."""
        self._stop.set()
        self._bell.ring()

    def stop(self) -> None:
        """Do the same, and return when it is done; the rest is left pending."""
        self.end()
        self._thread.join(GRACE + LAST_STEPS)

    @property
    def started(self) -> bool:
        """Whether it was ever asked to begin: an app may be mounted to take callbacks only."""
        return self._thread.ident is not None

    @property
    def dead(self) -> bool:
        """Whether it has ended unasked, as far as a thread can know."""
        return self.started and not self._thread.is_alive() and not self._stop.is_set()

    @property
    def stuck(self) -> bool:
        """Whether it has work in hand and gets nothing done, for whatever reason."""
        return self._in_hand.quiet_for > STUCK_AFTER

    @property
    def in_hand(self) -> int:
        """How many recordings are being looked at."""
        return len(self._in_hand)

    def _drive(self) -> None:
        while not self._stop.is_set():
            self._in_hand = in_hand = InHand(self._inbox, self._clock)
            arrivals = Arrivals(self._services, self._inbox, in_hand, self._bell, self._stop)
            try:
                self._run(in_hand, arrivals)
            except Exception:  # noqa: BLE001 - whatever it is, callbacks must be worked on
                _log.exception("worker_failed")
            in_hand.give_back()
            arrivals.close()
            self._stop.wait(REST)  # it has ended by itself: a bug, or Airtable's monthly cap

    def _run(self, in_hand: InHand, arrivals: Arrivals) -> None:
        runner = Runner(
            self._services,
            self._rules,
            Guard(Limits(0, 0.0)),  # `process` deletes nothing
            self._sink,
            pace=self._pace,
            stop=self._stop,
            on_outcome=partial(_ended, in_hand),
        )
        runner.run(self._items(in_hand, arrivals), Sources(self._services))

    def _items(self, in_hand: InHand, arrivals: Arrivals) -> Iterator[Candidate]:
        while not (self._stop.is_set() or in_hand.over.is_set()):
            self._log_outages()
            yield from arrivals.next()

    def _log_outages(self) -> None:
        """Log when a service begins to fail and when it answers again, once each."""
        failing = {outage.service: outage for outage in self._services.retry.failing}
        for service, outage in failing.items():
            if service not in self._failing:
                why = {"error": outage.failure.message, "hint": outage.failure.hint}
                _log.warning("service_failing", service=service.value, **why)
        for service, outage in self._failing.items():
            if service not in failing:
                since = outage.since.isoformat()
                _log.warning("service_answers_again", service=service.value, failed_since=since)
        self._failing = failing


def _ended(in_hand: InHand, outcome: Outcome) -> None:
    ending = [failure for failure in outcome.failures if failure.ends_run]
    if ending and not in_hand.over.is_set():
        _log.error(ending[0].code, error=ending[0].message, hint=ending[0].hint)
        in_hand.over.set()  # the runner stops, so nothing more is to be taken up for it
    in_hand.ended(outcome)
