"""A stream that never makes anybody wait: a thread writes, and what it cannot write is counted.

Whoever reads our stderr may hang, and a pipe takes 64 KiB: after that every line would stop the
thread that logs it, which in a server is the one that answers. For `logs`.
"""

from __future__ import annotations

import io
import queue
import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from typing import TextIO

LONGEST = 10_000
"""Lines that may wait to be written; some megabytes."""

_log = structlog.get_logger("reccli")


class Unblocked(io.TextIOBase):
    """Takes lines for another stream; safe to use from many threads."""

    def __init__(self, stream: TextIO) -> None:
        """Begin to write to `stream`."""
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(LONGEST)
        self._lost = 0
        self._counting = threading.Lock()
        self._writer = threading.Thread(target=self._write, name="reccli-log", daemon=True)
        self._writer.start()

    def write(self, text: str) -> int:
        """Queue a line, or count it as lost; returns at once."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            with self._counting:
                self._lost += 1
        return len(text)

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._stream.isatty()

    def finish(self, within: float) -> None:
        """Write what waits, for as many seconds at most; what comes later is not written."""
        try:
            self._waiting.put(None, timeout=within)
        except queue.Full:
            return
        self._writer.join(within)

    def _write(self) -> None:
        while (text := self._waiting.get()) is not None:
            self._pass_on(text)
            if self._lost and self._waiting.qsize() < LONGEST // 2:  # room for it
                self._report_lost()
        self._report_lost()
        while not self._waiting.empty():  # what came behind the end, that line among it
            self._pass_on(self._waiting.get() or "")

    def _pass_on(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody is there to read

    def _report_lost(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            _log.warning("log_lines_lost", lines=lost)
