"""How long a whole answer may take. A timeout is for one read: a body that drips never meets it.

For the adapters, which read in their own ways; no I/O of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0
"""Seconds for any body, and the time over which one of unknown length is held to `SLOWEST`."""
EXPECTED = 64 * 1024
"""Bytes a second that a body of known length has to come with, beyond `PATIENCE`."""
SLOWEST = 1024
"""Bytes a second for one of unknown length, over any time of `PATIENCE`."""


class TooSlowError(OSError):
    """A body came too slowly to be waited for."""


class Deadline:
    """Of one body; begins when it is made."""

    def __init__(self, length: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`length` in bytes, where it is known; `clock` in seconds."""
        self._clock = clock
        self._began = self._since = clock()
        self._length = length
        self._size = self._lately = 0

    def came(self, size: int) -> None:
        """Count so many bytes more; raise `TooSlowError` when time is up."""
        now = self._clock()
        self._size += size
        self._lately += size
        if self._length is not None:
            if now - self._began > PATIENCE + self._length / EXPECTED:
                raise TooSlowError(f"{self._size} of {self._length} bytes in {self._took(now)} s")
        elif now - self._since > PATIENCE:
            if self._lately < SLOWEST * PATIENCE:
                raise TooSlowError(f"{self._size} bytes in {self._took(now)} s")
            self._since, self._lately = now, 0

    def _took(self, now: float) -> int:
        return round(now - self._began)
