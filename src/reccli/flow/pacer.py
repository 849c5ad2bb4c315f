"""Spaces out requests to a service that counts them; handed to the Airtable adapter.

Evenly spaced rather than a bucket: Airtable punishes a burst of 6 in a second with 30 s of
refusals, which costs more than a burst ever gains. A pause holds everyone back, which rate
limiting libraries do not offer.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pacer:
    """Lets one request start every `1 / per_second` seconds, over all threads."""

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`clock` and `sleep` are seconds."""
        self.per_second = per_second
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0
        self._paused_until = 0.0

    def wait(self) -> None:
        """Return when this request may start; a pause that comes meanwhile is waited for too."""
        while True:
            with self._lock:
                now = self._clock()
                start = max(self._next, self._paused_until)
                if start <= now:
                    self._next = now + self._interval
                    return
            self._sleep(start - now)

    def pause(self, seconds: float) -> None:
        """Hold every request back for this long from now."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)
