"""One group of links after the other: each is looked at as late as can be. For `linking`."""

from __future__ import annotations

import threading


class Turn:
    """Lets one group of links after the other look and send, but not wait for answers.

    So a look is as young as it can be when its rows are written, and the pace is used up.
    """

    def __init__(self) -> None:
        self._held, self._guard = threading.Lock(), threading.Lock()
        self._left = 0

    def begin(self) -> None:
        """Wait until the group before has sent everything."""
        self._held.acquire()
        self._left = 1

    def expect(self, requests: int) -> None:
        """Add so many requests that are to be sent."""
        with self._guard:
            self._left += requests

    def sent(self) -> None:
        """Count one as sent, or as never to be; with the last one the turn is over."""
        with self._guard:
            self._left -= 1
            if self._left == 0:
                self._held.release()
