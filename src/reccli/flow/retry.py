"""The one policy for failures that pass: back off, honour Retry-After, and stop hammering.

Adapters say what kind a failure is; only this module decides to try again. Each service has a
circuit breaker, shared by all threads of a run: after some calls in a row that failed in spite
of that patience it is not asked for a while, so that the rest of the run goes on with what is
possible. A hiccup that patience outlives opens nothing, and neither does one object that fails
while the service answers its probe: that is the object's failure.
"""

from __future__ import annotations

import time
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.outages import FAILS, AloneError, NotAskedError, Outage, Probes, alone, not_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

P = ParamSpec("P")
R = TypeVar("R")

_OPENS_CIRCUIT = frozenset({FailureKind.OUTAGE, FailureKind.DENIED})
_BELIEVED = frozenset({FailureKind.DENIED})


@dataclass(frozen=True, slots=True)
class Backoff:
    """How patient a run is; all times in seconds. `failures_to_open` counts calls in a row."""

    attempts: int = 4
    first: float = 0.5
    longest: float = 8.0
    budget: float = 35.0
    longest_retry_after: float = 60.0
    failures_to_open: int = 5
    open_for: float = 30.0


@dataclass(slots=True)
class _Health:
    """What was seen of one service, or of one region of Twilio."""

    failures: int = 0
    """Calls in a row that failed in spite of all patience."""
    failed_at: float = 0.0
    """When (`time.monotonic`) the last of them did."""
    suspected: Outage | None = None
    """It may have begun; who knows is its probe."""
    failing: Outage | None = None
    given_up: Outage | None = None
    """It was failing when it was not asked any more, at some time of this run."""

    def opens(self, backoff: Backoff) -> bool:
        """Whether the circuit is open now."""
        lately = time.monotonic() - self.failed_at < backoff.open_for
        return self.failures >= backoff.failures_to_open and lately


class Retry:
    """Calls a port with patience; safe to use from many threads."""

    def __init__(
        self,
        backoff: Backoff | None = None,
        probes: Mapping[str, Callable[[], object]] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`sleep` takes seconds and may return early when the run is stopped.

        Of a service without a probe (`Probes`), every failed call counts as its own.
        """
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._now = now
        self._region = ""
        self._probes = Probes(probes or {})
        self._health: defaultdict[str, _Health] = defaultdict(_Health)
        self._heard: dict[Service, datetime] = {}

    def __call__(
        self, service: Service, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call until it succeeds or patience ends; raises the last `ServiceError`."""
        return self._judged(service, self._patiently(service, partial(call, *args, **kwargs)))

    def more(self, service: Service, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do the same where a refusal is no one object's: it is about many, or takes more rights.

        The probe, which takes few, says nothing of it then.
        """
        patiently = self._patiently(service, partial(call, *args, **kwargs))
        return self._judged(service, patiently, _BELIEVED)

    def once(self, service: Service, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a single time, as `more`: for what may not be repeated without a look before."""
        try_ = partial(self._try, service, partial(call, *args, **kwargs))
        return self._judged(service, try_, _BELIEVED)

    def within(self, region: str) -> Self:
        """Return the same patience for another region of Twilio, which may fail by itself."""
        within = copy(self)  # what it has seen of the services is everybody's
        within._region = region  # noqa: SLF001
        return within

    @property
    def outages(self) -> tuple[Outage, ...]:
        """Which services this run gave up asking at some time, or that fail still."""
        return _in_order(one.given_up or one.failing for one in list(self._health.values()))

    @property
    def failing(self) -> tuple[Outage, ...]:
        """Which services fail at the moment."""
        return _in_order(one.failing for one in list(self._health.values()))

    def fails(self, service: Service) -> bool:
        """Whether a service fails at the moment."""
        return self._health[service].failing is not None

    @property
    def heard(self) -> Mapping[Service, datetime]:
        """When (UTC) each service answered last, if it ever did."""
        return dict(self._heard)

    def _patiently(self, service: Service, call: Callable[[], R]) -> Callable[[], R]:
        retrying = Retrying(
            stop=stop_after_attempt(self._backoff.attempts)
            | stop_after_delay(self._backoff.budget),
            wait=self._wait,
            retry=retry_if_exception(_is_transient),
            sleep=self._sleep,
            reraise=True,
        )
        return partial(retrying, self._try, service, call)

    def _judged(
        self,
        service: Service,
        call: Callable[[], R],
        believed: frozenset[FailureKind] = frozenset(),
    ) -> R:
        """Call unless the circuit is open, and say of a failure whose it is.

        Raises `AloneError` if the service answers others; else it is held for failing.
        """
        where = self._where(service)
        health = self._health[where]
        if health.opens(self._backoff) and (outage := health.failing):
            health.given_up = outage
            raise NotAskedError(not_asked(outage))
        try:
            result = call()
        except ServiceError as error:
            failure = error.failure
            opens = failure.kind in _OPENS_CIRCUIT
            doubted = opens and failure.kind not in believed and where in self._probes
            if doubted and self._probes.ask(where) is None:
                self._answered(service)
                health.failures = 0
                raise AloneError(alone(failure)) from error
            if failure.kind in FAILS:
                health.failing = health.suspected or self._suspect(service, failure)
            health.failures = health.failures + 1 if opens else 0
            health.failed_at = time.monotonic()
            raise
        health.failures = 0
        return result

    def _try(self, service: Service, call: Callable[[], R]) -> R:
        """Try once, and remember since when a service may be failing."""
        try:
            result = call()
        except ServiceError as error:
            if error.failure.kind in FAILS:
                suspected = self._suspect(service, error.failure)
                if (where := self._where(service)) not in self._probes:
                    self._health[where].failing = suspected
            else:  # it is there, whatever it said
                self._answered(service)
            raise
        self._answered(service)
        return result

    def _suspect(self, service: Service, failure: Failure) -> Outage:
        health = self._health[self._where(service)]
        if self._region:
            failure = replace(failure, message=f"region {self._region}: {failure.message}")
        before = health.suspected
        outage = Outage(service, before.since if before else self._now(), failure)
        health.suspected = outage
        return outage

    def _answered(self, service: Service) -> None:
        health = self._health[self._where(service)]
        health.suspected = health.failing = None
        self._heard[service] = self._now()

    def _where(self, service: Service) -> str:
        """Name what fails as one: a service, or a region of Twilio's."""
        return f"{service} {self._region}".rstrip() if service is Service.TWILIO else service

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ServiceError) and error.failure.retry_after is not None:
            return min(error.failure.retry_after, self._backoff.longest_retry_after)
        return wait_random_exponential(self._backoff.first, self._backoff.longest)(state)


def _in_order(outages: Iterable[Outage | None]) -> tuple[Outage, ...]:
    return tuple(sorted(filter(None, outages), key=attrgetter("since")))


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and error.failure.repeatable
