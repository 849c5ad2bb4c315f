"""What Ctrl-C, SIGTERM and SIGHUP do to a run, from its first moment on. For `running`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from reccli.flow.result import Exit

if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """First signal: finish what is in hand. Second: leave at once; nothing is left half done."""

    def __init__(self) -> None:
        """Take over these signals for the rest of the process."""
        self.stop = threading.Event()
        self._asking = False
        survives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup wants it
        for number in (signal.SIGINT, signal.SIGTERM, *(() if survives else (signal.SIGHUP,))):
            signal.signal(number, self._handle)

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        if self.stop.is_set():
            os._exit(Exit.INTERRUPTED)
        self.stop.set()
        if self._asking:
            raise KeyboardInterrupt  # else the question would wait on for its answer
        with suppress(OSError):  # the terminal itself may be gone
            print("stopping: finishing what is in hand", file=sys.stderr)

    def ask(self, question: str) -> bool:
        """Ask a person; Ctrl-D is a no, and so is a signal, which also stops the run."""
        answer = ""
        try:
            self._asking = True
            print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            pass
        finally:
            self._asking = False
        if not answer.endswith("\n"):
            print(file=sys.stderr)
        return answer.strip().lower() in {"y", "yes"}
