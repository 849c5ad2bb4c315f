"""What no adapter foresaw becomes a failure of the cases that asked, and ends nothing else.

For `run` and `linking`.
"""

from __future__ import annotations

import logging

from reccli.core.errors import Failure, FailureKind, Service
from reccli.flow import machine

_log = logging.getLogger(__name__)


HANGS = Failure(
    Service.RECCLI,
    FailureKind.BUSY,
    "gave_up",
    "it hung when the time of the run was up (--max-duration), and was given up",
    "the next run takes it up again; if it stays, look at the network and at the service's state",
)
"""Of what is given up at the end of a run."""


def unexpected(error: Exception) -> Failure:
    """Log a bug with its traceback, and say that there is one; a lack of memory is none."""
    if lack := machine.failure_of(error):
        return lack
    _log.error("unexpected error", exc_info=error)
    return Failure(
        Service.RECCLI,
        FailureKind.PERMANENT,
        "unexpected",
        f"unexpected {type(error).__name__}",
        "this is a bug: please report it with the traceback in the log",
    )
