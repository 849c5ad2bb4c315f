"""What earlier runs have left for this one in the ledger, and what this one leaves there.

The ledger informs and never authorises: an answer it does not have costs work only. For `app`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog

from reccli.adapters.ledger import Archive, Ledger, LedgerError, PendingCallback
from reccli.config import ConfigError, identity
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import Reason, S3State
from reccli.flow.commands import Backlog
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.ports import Event
from reccli.flow.reporting import VANISHED
from reccli.flow.waiting import Finished, Waiting, verdict
from reccli.watch.event_log import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from datetime import datetime

    from reccli.config import Settings
    from reccli.core.naming import Naming
    from reccli.flow.commands import Asked
    from reccli.flow.source import Sources

LISTED = "recordings_listed"
"""The event of a run that has seen all that was recorded since the one before, and settled it."""
LOOK_BACK, OVERLAP = timedelta(days=3), timedelta(days=1)
"""How far `process` looks back at least, and further than the last run that saw everything."""
COMPARED = "recordings_compared"
"""The event of a run that has held everything on Twilio against S3's listing."""
COMPARE_EVERY = timedelta(days=1)
PENDING_AT_ONCE = 1000

R = TypeVar("R")

_log = structlog.get_logger("reccli")


def open_ledger(settings: Settings, stack: ExitStack, *, read_only: bool) -> Ledger | None:
    """Return the open ledger if that can be done: without it history is missing, nothing else.

    Raises `ConfigError` where no ledger can ever be opened with this configuration.
    """
    try:
        url = settings.ledger.url.get_secret_value()
        return stack.enter_context(Ledger.open(url, archive(settings), read_only=read_only))
    except LedgerError as error:
        if error.failure.kind is FailureKind.CONFIG:
            raise ConfigError([str(error)]) from error
        if error.failure.kind is not FailureKind.GONE:
            _log.warning("ledger_error", error=str(error))
        return None


def archive(settings: Settings) -> Archive:
    """Return whose entries of the ledger a configuration reads and writes."""
    return Archive(settings.twilio.account_sid, identity(settings))


class Checkpoints:
    """The ledger, as one run reads it before its work and writes it at its end."""

    def __init__(self, ledger: Ledger | None, asked: Asked) -> None:
        """Read which callbacks are not finished, for a command that catches up."""
        self._ledger, self._asked = ledger, asked
        self.pending: list[PendingCallback] = []
        if asked.command.catches_up:
            none = self.pending
            self.pending = self._ask(lambda ledger: ledger.pending_callbacks(PENDING_AT_ONCE), none)
        found = self._ask(lambda ledger: ledger.last_run(asked.command.name).get(FAILED), None)
        found = found if isinstance(found, list) else []
        self.failed = [sid for sid in found if isinstance(sid, str)]
        """What failed in runs of the command and has had no turn since, in the order of turns."""

    def backlog(self, naming: Naming) -> Backlog:
        """Return what a command that catches up has to look at besides what is new."""
        asked = self._asked
        if not asked.command.catches_up or asked.sids:
            return Backlog()
        callbacks = {one.sid: one.call_sid for one in self.pending}
        since = None if asked.full or asked.since else self.look_back()
        compare = asked.full or (asked.everything and self.comparison_is_due())
        return Backlog(callbacks, since, naming if compare else None)

    def look_back(self) -> datetime:
        """Return since when to list: a day more than since a run last saw everything.

        And three days at least: that is all where nothing is known, and the rest comes in portions.
        """
        listed = self._ask(lambda ledger: ledger.last_event(LISTED), None)
        usual = self._asked.started_at - LOOK_BACK
        return min(usual, listed - OVERLAP) if listed else usual

    def comparison_is_due(self) -> bool:
        """Whether a day has gone by since the last one, or an object was found to be gone since."""

        def due(ledger: Ledger) -> bool:
            last, vanished = ledger.last_event(COMPARED), ledger.last_event(VANISHED)
            if last is None or self._asked.started_at - last >= COMPARE_EVERY:
                return True
            return vanished is not None and vanished > last

        return self._ask(due, otherwise=True)

    def in_turn(self, items: Iterator[Candidate | Outcome]) -> Iterator[Candidate | Outcome]:
        """Yield the items, and those that have failed before at the end, unless they were named.

        Else the same few would use up the limit of every run, and those behind never have a turn.
        """
        places = {} if self._asked.sids else {sid: at for at, sid in enumerate(self.failed)}
        later: list[Candidate] = []
        for item in items:
            if isinstance(item, Candidate) and item.ref.sid in places:
                later.append(item)
            else:
                yield item
        yield from sorted(later, key=lambda candidate: places[candidate.ref.sid])

    def keep(self, outcomes: Sequence[Outcome], sources: Sources) -> list[str]:
        """Write what the next runs build on; return which recordings come last in the next one."""
        if not self._asked.writes:
            return []
        everything = sources.listed and self._asked.everything
        self.finish_callbacks(outcomes, sources.calls)
        if everything and self._asked.command.catches_up:
            self.remember_listing(outcomes)
        if sources.compared:
            self.remember_comparison(outcomes)
        complete = everything and not sources.failures
        return failed_now(self.failed, outcomes, complete=complete)

    def finish_callbacks(
        self, outcomes: Iterable[Outcome], calls: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Finish the callbacks of what is settled, so that they do not come up for ever.

        That of a call is settled when all recordings of it are, so only if it was listed whole.
        """
        at = self._asked.started_at
        waiting: Waiting[PendingCallback] = Waiting()
        for callback in self.pending:
            sids = (callback.sid,) if callback.sid.startswith("RE") else calls.get(callback.sid)
            if sids is not None:
                waiting.add(callback, sids)
        for outcome in outcomes:
            waiting.ended(outcome)

        def finish(ledger: Ledger) -> None:
            for callback, ends in waiting.over():
                ruling = verdict(ends, at - callback.received, 1)
                if isinstance(ruling, Finished):
                    ledger.finish_callback(callback.sid, at, ruling.reason)

        self._ask(finish, None)

    def remember_comparison(self, outcomes: Iterable[Outcome]) -> None:
        """Write that everything on Twilio was compared with S3's listing by this run.

        Not of a run that was stopped before it had copied what it found to be missing, or that left
        something which the next run may do.
        """
        if not any(map(_left, outcomes)):
            self._remember(COMPARED)

    def remember_listing(self, outcomes: Iterable[Outcome]) -> None:
        """Write that this run has seen everything, unless some of it may yet pass."""
        if not any(_left(one) or _waits_for_a_field(one) for one in outcomes):
            self._remember(LISTED)

    def _remember(self, name: str) -> None:
        event = Event(name, self._asked.started_at)
        self._ask(lambda ledger: ledger.record(self._asked.run_id, [event]), None)

    def _ask(self, question: Callable[[Ledger], R], otherwise: R) -> R:
        """Return what the ledger answers, or `otherwise` if there is none or it fails."""
        try:
            return otherwise if self._ledger is None else question(self._ledger)
        except ServiceError as error:
            _log.warning("ledger_error", error=str(error))
            return otherwise


def failed_now(before: Sequence[str], outcomes: Iterable[Outcome], *, complete: bool) -> list[str]:
    """Return what goes last in the next run: what has waited for its turn, then what failed now.

    After a `complete` run nothing waits: what did not come up is not to be done any more.
    """
    turns = [one for one in outcomes if one.step.reason is not Reason.STOPPED or one.failures]
    had_one = {one.sid for one in turns}
    waiting = [] if complete else [sid for sid in before if sid not in had_one]
    return [*waiting, *(one.sid for one in turns if one.sid and one.failures)]


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
