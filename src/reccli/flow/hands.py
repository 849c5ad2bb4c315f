"""Threads that make do with fewer where the machine gives no more. For `run`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from reccli.core.errors import ServiceError
from reccli.flow import machine


class Hands(ThreadPoolExecutor):
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
