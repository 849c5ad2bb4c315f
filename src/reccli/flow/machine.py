"""What this machine itself has run out of, reported as that and not as a service's failure.

For `copy` and `run`, and for the adapters, whose SDKs wrap such an error in one of the network.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
from functools import partial
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

KEPT = 64
"""Descriptors that a run needs whatever its concurrency: its ledger, Airtable, log, lock, files."""
EACH = 6
"""Descriptors of one worker: connections to Twilio, its media and S3, a file, a look-up."""
ENOUGH = 4096
"""More descriptors than any concurrency needs; some systems refuse to lift it to "unlimited"."""

_short = partial(Failure, Service.MACHINE, FailureKind.BUSY)
_DESCRIPTORS = _short(
    "out_of_descriptors",
    "no file descriptor is left",
    "raise the limit (ulimit -n, LimitNOFILE= of the unit), or lower engine.concurrency",
)
_MEMORY = _short("out_of_memory", "no memory is left", "free memory, or lower engine.concurrency")
_THREADS = _short(
    "out_of_threads",
    "no thread can be started",
    "raise the limit (ulimit -u, TasksMax= of the unit), or lower engine.concurrency",
)
_DISK = Failure(
    Service.MACHINE,
    FailureKind.PERMANENT,  # it stays full until a person comes
    "disk_full",
    "no space is left on the disk",
    "free space in the temporary directory, or point TMPDIR elsewhere",
)
_ERRNOS = {
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.ENOMEM: _MEMORY,
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
}


def failure_of(error: BaseException) -> Failure | None:
    """Return what this machine has run out of, if that is at the root of an error."""
    return next(filter(None, map(_lack, causes(error))), None)


def _lack(error: BaseException) -> Failure | None:
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return _THREADS
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return _ERRNOS[error.errno]
    # A look-up that finds no descriptor left says that there is no such host.
    return _DESCRIPTORS if isinstance(error, OSError) and not _can_open() else None


def _can_open() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in {errno.EMFILE, errno.ENFILE}
    return True


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps: as its cause, its context or its argument."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [each for each in inside if isinstance(each, BaseException)]


def room_for(concurrency: int) -> int:
    """Lift the limit of descriptors, and return how many workers fit under what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # then what there is has to do
            pass
    if soft == resource.RLIM_INFINITY:
        return concurrency
    fitting = max(1, min(concurrency, (soft - KEPT) // EACH))
    if fitting < concurrency:
        _log.warning(
            "%d recordings at a time instead of %d: this machine allows %d open files",
            fitting,
            concurrency,
            soft,
        )
    return fitting
