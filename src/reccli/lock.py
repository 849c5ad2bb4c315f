"""One run at a time on this machine: not for safety, only against doing work twice. For `app`.

A kernel lock, freed when the process dies however it dies; one for each account and
configuration. Where there can be none, the run goes on without: a full disk must not stop the
archive.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from filelock import FileLock, Timeout

from reccli.config import identity, state_dir

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from reccli.config import Settings

_PRIVATE = 0o600
_POLL = 0.2
"""Seconds between tries while somebody waits for the lock."""

_log = structlog.get_logger("reccli")


class LockedError(Exception):
    """Another run of the same configuration is under way on this machine; the text says whose."""


@contextmanager
def only_run(
    settings: Settings, command: str, wait: timedelta, stop: threading.Event
) -> Iterator[None]:
    """Hold the lock; raises `LockedError` if another run holds it for longer than `wait`.

    `stop` ends the waiting, without the lock: whoever sets it has the run end before it begins.
    """
    file = state_dir() / f"run-{identity(settings)}.lock"
    lock = FileLock(file, mode=_PRIVATE, fallback_to_soft=False)
    holder = file.with_suffix(".json")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _taken(lock) or (wait and _taken_in_time(lock, holder, wait, stop)):
            with suppress(OSError):
                _sign(holder, command)
        elif not stop.is_set():
            raise LockedError(f"another run holds the lock: {_holder(holder)}")
    except (OSError, NotImplementedError) as error:  # no directory, or locks do not work in it
        _log.warning("lock_unavailable", file=lock.lock_file, error=str(error))
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                holder.unlink(missing_ok=True)
        lock.release()


def _taken_in_time(lock: FileLock, holder: Path, wait: timedelta, stop: threading.Event) -> bool:
    _log.info("waiting_for_lock", holder=_holder(holder), seconds=wait.total_seconds())
    until = time.monotonic() + wait.total_seconds()
    while not _taken(lock):
        left = until - time.monotonic()
        if left <= 0 or stop.wait(min(left, _POLL)):
            return False
    return True


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _sign(holder: Path, command: str) -> None:
    """Write who we are beside the lock, whose own file is cut short by whoever tries it."""
    about = {
        "command": command,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    }
    holder.touch(_PRIVATE)
    holder.write_text(json.dumps(about))


def _holder(holder: Path) -> str:
    """Return who holds the lock, as far as that one has written it down."""
    try:
        about = json.loads(holder.read_text())
        return "{command}, pid {pid} on {host}, since {since} UTC".format_map(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"it does not say who it is ({holder.with_suffix('.lock')})"
