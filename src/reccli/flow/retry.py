"""The one policy for failures that pass: back off, honour Retry-After, and stop hammering.

Adapters say what kind a failure is; only this module decides to try again. Each service has a
circuit breaker, shared by all threads of a run: after some calls in a row that failed in spite
of that patience it is not asked for a while, so that the rest of the run goes on with what is
possible. A hiccup that patience outlives opens nothing, and neither does one object that fails
while the service answers its probe: that is the object's failure.
"""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from circuitbreaker import CircuitBreaker
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.outages import AloneError, NotAskedError, Outage, alone, not_asked
from reccli.flow.probes import FAILS, Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self._breakers: dict[str, CircuitBreaker] = {}
        self._probes = Probes(probes or {})
        self._suspected: dict[str, Outage] = {}
        self._failing: dict[str, Outage] = {}
        self._opened: dict[str, Outage] = {}
        self._heard: dict[Service, datetime] = {}

    def __call__(
        self, service: Service, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call until it succeeds or patience ends; raises the last `ServiceError`."""
        return self._judged(service, self._patiently(service, partial(call, *args, **kwargs)))

    def within(self, region: str) -> Self:
        """Give the same patience for another region of Twilio, which may fail by itself."""
        within = copy(self)  # what it has seen of the services is everybody's
        within._region = region  # noqa: SLF001
        return within

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

    @property
    def outages(self) -> tuple[Outage, ...]:
        """Which services this run gave up asking at some time, or that fail still."""
        return tuple({**self._failing, **self._opened}.values())

    @property
    def failing(self) -> tuple[Outage, ...]:
        """Which services fail at the moment."""
        return tuple(self._failing.values())

    def fails(self, service: Service) -> bool:
        """Whether a service fails at the moment."""
        return service in self._failing

    @property
    def heard(self) -> Mapping[Service, datetime]:
        """When (UTC) each service answered last, if it ever did."""
        return dict(self._heard)

    def _closed(self, service: Service) -> CircuitBreaker:
        """Give the breaker, or raise while it keeps the service from being asked."""
        where = self._where(service)
        breaker = self._breakers.setdefault(where, self._breaker(where))
        if breaker.opened and (outage := self._failing.get(where)):
            self._opened[where] = outage
            raise NotAskedError(not_asked(outage))
        return breaker

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
        """Call under the breaker, and say of a failure whose it is."""

        def judged() -> R:
            try:
                return call()
            except ServiceError as error:
                self._judge(service, error, believed)
                raise

        result: R = self._closed(service).call(judged)
        return result

    def _judge(
        self, service: Service, error: ServiceError, believed: frozenset[FailureKind]
    ) -> None:
        """Raise `AloneError` if the service answers others; else hold it for failing."""
        failure, where = error.failure, self._where(service)
        if failure.kind not in FAILS:
            return
        asked = failure.kind in _OPENS_CIRCUIT - believed and where in self._probes
        if asked and self._probes.ask(where) is None:
            self._answered(service)
            raise AloneError(alone(failure)) from error
        self._failing[where] = self._suspected.get(where) or self._suspect(service, failure)

    def _try(self, service: Service, call: Callable[[], R]) -> R:
        """Try once, and remember since when a service may be failing."""
        try:
            result = call()
        except ServiceError as error:
            if error.failure.kind in FAILS:
                suspected = self._suspect(service, error.failure)
                if (where := self._where(service)) not in self._probes:
                    self._failing[where] = suspected
            else:  # it is there, whatever it said
                self._answered(service)
            raise
        self._answered(service)
        return result

    def _suspect(self, service: Service, failure: Failure) -> Outage:
        where = self._where(service)
        before = self._suspected.get(where)
        outage = Outage(service, before.since if before else self._now(), self._named(failure))
        self._suspected[where] = outage
        return outage

    def _answered(self, service: Service) -> None:
        where = self._where(service)
        self._suspected.pop(where, None)
        self._failing.pop(where, None)
        self._heard[service] = self._now()

    def _named(self, failure: Failure) -> Failure:
        if not self._region:
            return failure
        return replace(failure, message=f"region {self._region}: {failure.message}")

    def _where(self, service: Service) -> str:
        """Name what fails as one: a service, or a region of Twilio's."""
        return f"{service} {self._region}".rstrip() if service is Service.TWILIO else service

    def _breaker(self, name: str) -> CircuitBreaker:
        return CircuitBreaker(
            failure_threshold=self._backoff.failures_to_open,
            recovery_timeout=self._backoff.open_for,
            expected_exception=_opens_circuit,
            name=name,
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ServiceError) and error.failure.retry_after is not None:
            return min(error.failure.retry_after, self._backoff.longest_retry_after)
        return wait_random_exponential(self._backoff.first, self._backoff.longest)(state)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and error.failure.repeatable


def _opens_circuit(_type: type[BaseException], error: BaseException) -> bool:
    if isinstance(error, AloneError):
        return False
    return isinstance(error, ServiceError) and error.failure.kind in _OPENS_CIRCUIT
