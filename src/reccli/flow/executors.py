"""The threads of a run, as executors that a caller may replace, and how it uses them. For `run`.

The simulator in the tests carries out everything in its own thread instead, in an order that is
the same every time.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from reccli.core.errors import ServiceError
from reccli.flow import machine

AIRTABLE_AT_ONCE = 5
"""Enough requests in flight to use up 5 a second at a second's latency each."""


class ThreadPool(ThreadPoolExecutor):
    """Goes on with the threads that there are; `submit` raises `ServiceError` if there is none."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            lack = machine.failure_of(error)
            if lack is None:
                raise
            if not self._threads:
                raise ServiceError(lack) from error


@dataclass(frozen=True, slots=True)
class Executors:
    """Who carries out what: batches of rows and links, the requests of the latter, and the rest."""

    source: Executor
    airtable: Executor
    links: Executor
    workers: Executor
    copies: Executor

    @classmethod
    def threads(cls, concurrency: int) -> Executors:
        """Return thread pools; so many recordings are looked at, copied or deleted at once."""
        workers = ThreadPool(concurrency, "reccli-worker")
        return cls(
            source=ThreadPool(1, "reccli-source"),
            airtable=ThreadPool(AIRTABLE_AT_ONCE, "reccli-airtable"),
            links=ThreadPool(AIRTABLE_AT_ONCE, "reccli-links"),
            workers=workers,
            copies=workers,
        )

    def close(self) -> None:
        """Drop what has not begun; threads that hang are left behind."""
        for pool in (self.source, self.airtable, self.links, self.workers, self.copies):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run uses its machine; times in seconds. `linger` is how long a batch waits to fill.

    `stop_at` is the time of the run's clock from which nothing new is taken up; `window` is how
    many cases are in hand at once, if it is not to follow from `concurrency`.
    """

    concurrency: int = 32
    rows_linger: float = 0.1
    links_linger: float = 1.0
    stop_at: float | None = None
    window: int | None = None
