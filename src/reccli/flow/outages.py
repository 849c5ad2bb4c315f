"""Whether it is a service that fails or one call alone, and the words for either.

One object's failure is not a service's. So each service has a probe, a cheap question that is known
to have an answer, asked when a call has failed. `retry` judges by it; whatever reports on a run
reads the outages.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

CIRCUIT_OPEN = "circuit_open"
FAILS = frozenset({FailureKind.OUTAGE, FailureKind.DENIED, FailureKind.FATAL})
"""What a service says that fails; whatever else it says, it is there."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that has stopped being asked, and since when (UTC) it has failed."""

    service: Service
    since: datetime
    failure: Failure


class NotAskedError(ServiceError):
    """The service was not asked, because it has failed: nothing is known of this call."""


class AloneError(ServiceError):
    """It failed, and the service is well."""


def alone(failure: Failure) -> Failure:
    """Return the failure as this call's; one that others do not meet is none of our credentials."""
    if failure.kind is not FailureKind.DENIED:
        return failure
    return replace(
        failure,
        kind=FailureKind.PERMANENT,
        message=f"{failure.message}: refused for this alone, others are answered",
        hint="look for a policy, an access list or an encryption key that concerns it alone",
    )


def not_asked(outage: Outage) -> Failure:
    """Return the failure of a call that was not made."""
    message = f"not asked again, it has failed since {outage.since:%H:%M:%S} UTC"
    return replace(outage.failure, code=CIRCUIT_OPEN, message=message, retry_after=None)


class Probes:
    """Safe to use from many threads: those whose calls fail at the same time ask once."""

    def __init__(self, probes: Mapping[str, Callable[[], object]]) -> None:
        """By service, or "twilio" and a region.

        Each sends one request, waits as long as its adapter does, and never retries.
        """
        self._probes = probes
        self._locks = {where: threading.Lock() for where in probes}
        self._moments = count()
        self._answers: dict[str, tuple[int, Failure | None]] = {}

    def __contains__(self, where: str) -> bool:
        """Whether there is anything to ask."""
        return where in self._probes

    def ask(self, where: str) -> Failure | None:
        """Return what the service fails with; None if it answers, whatever it says."""
        failed = next(self._moments)
        with self._locks[where]:
            at, failure = self._answers.get(where, (-1, None))
            if at < failed:  # nobody has been answered since this call failed
                failure = self._ask(where)
                self._answers[where] = next(self._moments), failure
            return failure

    def _ask(self, where: str) -> Failure | None:
        try:
            self._probes[where]()
        except ServiceError as error:
            return error.failure if error.failure.kind in FAILS else None
        return None
