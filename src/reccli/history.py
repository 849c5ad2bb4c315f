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
from reccli.core.model import Reason, S3State
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.ports import Event
from reccli.flow.reporting import VANISHED
from reccli.flow.waiting import Finished, verdict
from reccli.watch.event_log import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from datetime import datetime

    from reccli.config import Settings

LISTED = "recordings_listed"
"""The event of a run that has seen all that was recorded since the one before, and settled it."""
LOOK_BACK, OVERLAP = timedelta(days=3), timedelta(days=1)
"""How far `process` looks back at least, and further than the last run that saw everything."""
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


def failed(ledger: Ledger | None, command: str) -> list[str]:
    """Tell which recordings failed in runs of a command, and have not had a turn since.

    In the order of their next turns; none if that cannot be read.
    """
    try:
        found = ledger.last_run(command).get(FAILED) if ledger else None
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))
        found = None
    return [sid for sid in found if isinstance(sid, str)] if isinstance(found, list) else []


def failed_last(
    items: Iterator[Candidate | Outcome], failed: Sequence[str]
) -> Iterator[Candidate | Outcome]:
    """Bring what has failed to the end of the line, in this order.

    Else the same few would use up the limit of every run, and those behind never have a turn.
    """
    places = {sid: place for place, sid in enumerate(failed)}
    later: list[Candidate] = []
    for item in items:
        if isinstance(item, Candidate) and item.ref.sid in places:
            later.append(item)
        else:
            yield item
    yield from sorted(later, key=lambda candidate: places[candidate.ref.sid])


def failed_now(before: Sequence[str], outcomes: Iterable[Outcome], *, complete: bool) -> list[str]:
    """Tell what goes last in the next run: what has waited for its turn, then what failed now.

    After a `complete` run nothing waits: what did not come up is not to be done any more.
    """
    turns = [one for one in outcomes if one.step.reason is not Reason.STOPPED or one.failures]
    had_one = {one.sid for one in turns}
    waiting = [] if complete else [sid for sid in before if sid not in had_one]
    return [*waiting, *(one.sid for one in turns if one.sid and one.failures)]


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

    Not of a run that was stopped before it had copied what it found to be missing, or that left
    something which the next run may do.
    """
    try:
        if ledger is not None and not any(map(_left, outcomes)):
            ledger.record(run_id, [Event(COMPARED, at)])
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))


def look_back(ledger: Ledger | None, now: datetime) -> datetime:
    """Tell since when `process` has to list: a day more than since it last saw everything.

    And three days at least: that is all where nothing is known, and the rest comes in portions.
    """
    try:
        listed = ledger.last_event(LISTED) if ledger else None
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))
        listed = None
    return min(now - LOOK_BACK, listed - OVERLAP) if listed else now - LOOK_BACK


def remember_listing(
    ledger: Ledger | None, run_id: str, at: datetime, outcomes: Iterable[Outcome]
) -> None:
    """Keep that a run that began then has seen everything, unless some of it may yet pass."""
    left = any(_left(one) or _waits_for_a_field(one) for one in outcomes)
    try:
        if ledger is not None and not left:
            ledger.record(run_id, [Event(LISTED, at)])
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))


def _left(outcome: Outcome) -> bool:
    """Whether the next run may do what this one could not.

    Media that Twilio never gives is no such thing: it has no object, and each comparison tells.
    """
    passing = any(not failure.lasting for failure in outcome.failures)
    stopped = outcome.step.reason is Reason.STOPPED
    return stopped or (passing and outcome.s3 is not S3State.UNCOPIED)


def _waits_for_a_field(outcome: Outcome) -> bool:
    """Whether a field takes no link, until a person has mended it: the same for every row."""
    return any(failure.field is not None for failure in outcome.failures)


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
