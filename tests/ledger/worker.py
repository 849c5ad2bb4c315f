"""Processes that tests kill: `worker.py add|claim`. Run as a program, never imported by a test."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reccli.adapters.ledger import Callback, Inbox, Ledger, LedgerError

PR_SET_PTRACER = 0x59616D61
TIMEOUT = timedelta(seconds=0.4)


def say(file: Path, text: str) -> None:
    """Append a line, in one write: what is there was said before the kill."""
    with file.open("ab", buffering=0) as said:
        said.write(f"{text}\n".encode())


def add(url: str, said: Path, name: str, count: int) -> None:
    """Add from three threads, each as soon as its last one was answered, and say what was kept."""
    inbox = Inbox(lambda: Ledger.open(url))

    def one(sid: str) -> bool:
        told = Callback(sid, "completed", "AC", None, b"x" * 300, datetime.now(UTC))
        try:
            inbox.add(told).result(30)
        except LedgerError as error:
            say(said, f"! {sid} {error.failure.kind}")
            return False
        say(said, sid)
        return True

    def work(thread: int) -> None:
        for number in range(count):
            one(f"{name}-{thread}-{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # After a fault that passes it has to work again, without being started anew.
    if not one(f"{name}-last"):
        one(f"{name}-again")
    inbox.close()


def claim(url: str, said: Path, name: str) -> None:
    """Claim, work for a moment, settle, until nothing is left; say what counted as ours."""
    inbox = Inbox(lambda: Ledger.open(url))
    while inbox.ledger.callbacks_pending():
        claims = inbox.ledger.claim(12, TIMEOUT)
        time.sleep(0.1)  # so that the rest is not done while one of the others sleeps
        half = len(claims) // 2 + 1
        finished = [(one, f"{name} {one.fence}") for one in claims[:half]]
        ended = [inbox.settle(one, reason) for one, reason in finished]
        released = [inbox.settle(one, timedelta(seconds=0.01)) for one in claims[half:]]
        for (one, reason), end in zip(finished, ended, strict=True):
            if end.result(30):
                say(said, f"{one.sid} {reason}")
        wait(released, 30)
    inbox.close()


def serve() -> None:
    """Fork a child for each line of `URL FILE NAME COUNT`, stop it before its work, tell both.

    So that something can be attached to it which starts at the very same point every time, and
    nothing has to be imported again.
    """
    for line in sys.stdin:
        url, file, name, count = line.split()
        child = os.fork()
        if child == 0:
            try:
                # Where only descendants may be traced, strace is allowed to nevertheless.
                ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                add(url, Path(file), name, int(count))
            except BaseException as error:  # noqa: BLE001 - this is the end of a process
                sys.stderr.write(f"{error!r}\n")
                os._exit(1)
            os._exit(0)
        os.waitpid(child, os.WUNTRACED)
        tell(child)
        tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def tell(number: int) -> None:
    """Answer whoever started us."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["add", url, file, name, count]:
            add(url, Path(file), name, int(count))
        case ["claim", url, file, name]:
            claim(url, Path(file), name)
        case ["serve"]:
            serve()
