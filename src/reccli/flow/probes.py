"""Whether a service answers at all: asked when a call of it has failed.

One object's failure is not a service's. So each service has a probe, a cheap question that is
known to have an answer. Used by `retry` alone.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

from reccli.core.errors import FailureKind, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reccli.core.errors import Failure

FAILS = frozenset({FailureKind.OUTAGE, FailureKind.DENIED, FailureKind.FATAL})
"""What a service says that fails; whatever else it says, it is there."""


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
        """Tell what the service fails with; None if it answers, whatever it says."""
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
