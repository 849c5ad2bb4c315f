"""What a run asks the ledger before it begins, and tells it at its end.

The ledger informs and never authorises: what it cannot tell costs work, nothing else. For `app`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reccli.adapters.ledger import Archive, Ledger, LedgerError, PendingCallback
from reccli.config import ConfigError, identity
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import Reason
from reccli.flow.callbacks import Finished, verdict
from reccli.flow.ports import Event
from reccli.flow.telling import VANISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import ExitStack
    from datetime import datetime

    from reccli.config import Settings
    from reccli.flow.outcome import Outcome

COMPARED = "recordings_compared"
"""The event of a run that has held everything on Twilio against S3's listing."""
COMPARE_EVERY = timedelta(days=1)
PENDING_AT_ONCE = 1000

_log = structlog.get_logger("reccli")


def open_ledger(settings: Settings, stack: ExitStack) -> Ledger | None:
    """Open the ledger if that can be done: without it history is missing, nothing else.

    Raises `ConfigError` where no ledger can ever be opened with this configuration.
    """
    try:
        url = settings.ledger.url.get_secret_value()
        return stack.enter_context(Ledger.open(url, archive(settings)))
    except LedgerError as error:
        if error.failure.kind is FailureKind.CONFIG:
            raise ConfigError([str(error)]) from error
        _log.warning("ledger_error", error=str(error))
        return None


def archive(settings: Settings) -> Archive:
    """Tell whose entries of the ledger a configuration reads and writes."""
    return Archive(settings.twilio.account_sid, identity(settings))


def pending(ledger: Ledger | None) -> list[PendingCallback]:
    """Tell which callbacks are not finished; none if they cannot be read."""
    try:
        return ledger.pending_callbacks(PENDING_AT_ONCE) if ledger else []
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))
        return []


def finish_callbacks(
    ledger: Ledger | None,
    pending: list[PendingCallback],
    outcomes: Iterable[Outcome],
    calls: Mapping[str, tuple[str, ...]],
    started: datetime,
) -> None:
    """Finish the callbacks of what is settled, so that they do not come up for ever.

    That of a call is settled when all recordings of it are, so only if it was listed whole.
    """
    about = {outcome.sid: outcome for outcome in outcomes}
    try:
        for callback in pending:
            sids = (callback.sid,) if callback.sid.startswith("RE") else calls.get(callback.sid)
            if ledger is None or sids is None or not about.keys() >= set(sids):
                continue
            ruling = verdict([about[sid] for sid in sids], started - callback.received, 1)
            if isinstance(ruling, Finished):
                ledger.finish_callback(callback.sid, started, ruling.reason)
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))


def remember_comparison(
    ledger: Ledger | None, run_id: str, at: datetime, outcomes: Iterable[Outcome]
) -> None:
    """Keep that everything on Twilio was compared with S3's listing by a run that began then.

    Not of a run that was stopped before it had copied what it found to be missing.
    """
    stopped = any(outcome.step.reason is Reason.STOPPED for outcome in outcomes)
    try:
        if ledger is not None and not stopped:
            ledger.record(run_id, [Event(COMPARED, at)])
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))


def comparison_is_due(ledger: Ledger | None, now: datetime) -> bool:
    """Whether a day has gone by since the last one, or an object was found to be gone since."""
    if ledger is None:
        return True
    try:
        last, vanished = ledger.last_event(COMPARED), ledger.last_event(VANISHED)
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))
        return True
    return last is None or now - last >= COMPARE_EVERY or (vanished is not None and vanished > last)
