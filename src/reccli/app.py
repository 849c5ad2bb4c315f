"""The composition root: settings in, a run's result out. The only module that knows everybody.

SDKs are imported here, through the adapters, so this module is imported late: `--help` and
completion never pay for it.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from reccli import history, preflight, wiring
from reccli.core.guard import Limits
from reccli.flow import machine
from reccli.flow.commands import MAY, Command
from reccli.flow.run import Brake, Pace, Runner
from reccli.flow.source import Sources
from reccli.lock import only_run
from reccli.watch.event_log import EventLog
from reccli.watch.report import Report, report_on
from reccli.watch.text import OLDER_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from reccli.adapters.ledger import Ledger, PendingCallback
    from reccli.config import Settings
    from reccli.core.errors import Failure
    from reccli.core.guard import Due
    from reccli.core.naming import Naming
    from reccli.flow.outcome import Candidate, Outcome
    from reccli.flow.result import Result
    from reccli.flow.services import Services

_MAKES_LINKS = frozenset({Command.PROCESS, Command.MIGRATE_FALLBACKS})

_log = structlog.get_logger("reccli")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line; times are UTC."""

    command: Command
    run_id: str
    sids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    dry_run: bool = False
    retention: timedelta | None = None
    concurrency: int | None = None
    max_duration: timedelta | None = None
    full: bool = False
    accept_length: bool = False
    wait: timedelta = timedelta()
    """How long to wait for another run of the same configuration to end."""
    max_deletes: int | None = None

    @property
    def writes(self) -> bool:
        """Whether anything at all may change."""
        return not self.dry_run and bool(MAY[self.command])


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run reaches the person who started it."""

    stop: threading.Event = field(default_factory=threading.Event)
    confirm: Callable[[Due], bool] = lambda _due: True
    progress: Callable[[Result], None] = lambda _result: None


def run(settings: Settings, options: Options, hooks: Hooks) -> tuple[Result, Report | None]:
    """Carry out one command; raises `LockedError`, `ConfigError`. Only `report` has a report."""
    with ExitStack() as stack:
        if options.writes:
            stack.enter_context(only_run(settings, options.command, options.wait, hooks.stop))
        ledger = history.open_ledger(settings, stack)
        journal = stack.enter_context(EventLog(ledger, options.run_id))
        concurrency = options.concurrency or settings.engine.concurrency
        concurrency = machine.room_for(concurrency)
        services = wiring.services(settings, concurrency, hooks.stop, stack)
        preflight.check_fields(settings, services.airtable)
        sources = Sources(services)
        dying = _dying_links(settings, options, services)
        rules = wiring.rules(
            settings,
            options.command,
            services.book,
            retention=options.retention,
            lasting_links=not dying,
        )
        runner = Runner(
            services,
            replace(rules, dry_run=options.dry_run, accept_length=options.accept_length),
            _brake(settings, options, hooks),
            journal,
            pace=_pace(options, concurrency),
            stop=hooks.stop,
            progress=hooks.progress,
        )
        started = datetime.now(UTC)
        if options.writes:
            journal.started(options.command, started)
        pending = history.pending(ledger) if options.command is Command.PROCESS else []
        # Before the run, so that the run's result tells of what went wrong in the scan.
        fallbacks = _fallback_rows(sources) if options.command is Command.REPORT else None
        compare = rules.naming if _compares(options, ledger, started) else None
        since = options.since or _since(options, ledger, started)
        items = _items(replace(options, since=since), sources, pending, compare)
        failed = history.failed(ledger, options.command)
        if not options.sids:
            items = history.failed_last(items, failed)
        result = runner.run(sources.to_the_end(items), sources)
        if sources.older:
            result.older = sources.older
            _log.warning("older_recordings_at_risk", count=sources.older, hint=OLDER_HINT)
        if dying:
            result.failures.append(dying)
        report = None
        if options.command is Command.REPORT:
            until = options.until or started
            since = options.since or until - timedelta(hours=settings.alerts.window_hours)
            report = report_on(
                result, fallbacks, ledger, (since, until), complete=sources.listed_whole
            )
            result.breach = report.breach(settings.alerts.fallback_rate_above)
        if options.writes:
            history.finish_callbacks(ledger, pending, result.outcomes, sources.calls, started)
            if sources.listed and _is_whole(options):
                history.remember_listing(ledger, options.run_id, started, result.outcomes)
            if sources.compared:
                history.remember_comparison(ledger, options.run_id, started, result.outcomes)
            complete = sources.listed and not sources.failures and not _is_part(options)
            failed = history.failed_now(failed, result.outcomes, complete=complete)
            journal.finished(result, failed)
        return result, report


def _dying_links(settings: Settings, options: Options, services: Services) -> Failure | None:
    """Tell what keeps every link from lasting, to a command that would make some."""
    failure = preflight.dying_links(settings, services.s3)
    if failure and options.command not in _MAKES_LINKS:
        _log.warning(failure.code, error=failure.message, hint=failure.hint)
        return None
    return failure


def _compares(options: Options, ledger: Ledger | None, now: datetime) -> bool:
    """Whether `process` looks at everything on Twilio, however old: asked for, or due."""
    if options.command is not Command.PROCESS or options.sids:
        return False
    return options.full or (_is_whole(options) and history.comparison_is_due(ledger, now))


def _is_whole(options: Options) -> bool:
    """Whether it is a `process` that takes all that there is to do."""
    return options.command is Command.PROCESS and not _is_part(options)


def _is_part(options: Options) -> bool:
    """Whether a command was told to take some of what there is to do."""
    return bool(options.sids or options.since or options.until)


def _since(options: Options, ledger: Ledger | None, now: datetime) -> datetime | None:
    """Tell since when to list where nobody has said so; None for everything."""
    whole = options.full or options.command is not Command.PROCESS
    return None if whole else history.look_back(ledger, now)


def _items(
    options: Options, sources: Sources, pending: list[PendingCallback], compare: Naming | None
) -> Iterator[Candidate | Outcome]:
    match options.command:
        case Command.PROCESS if options.sids:
            return sources.named(options.sids)
        case Command.PROCESS:
            told = {one.sid: one.call_sid for one in pending}
            return sources.unlinked(options.since, options.until, told, compare=compare)
        case Command.MIGRATE_FALLBACKS:
            return sources.fallbacks()
        case Command.PURGE_TWILIO:
            return sources.on_twilio(options.since, options.until)
        case Command.REPORT:
            return sources.first(options.limit)


def _fallback_rows(sources: Sources) -> Mapping[str, Collection[str]] | None:
    """Tell the rows with a fallback link, and to which recordings; None if the scan broke off."""
    before = len(sources.failures)
    found = sources.fallback_rows()
    return found if len(sources.failures) == before else None


def _brake(settings: Settings, options: Options, hooks: Hooks) -> Brake:
    most = settings.safety.max_deletes if options.max_deletes is None else options.max_deletes
    return Brake(Limits(most, settings.safety.max_delete_fraction), hooks.confirm)


def _pace(options: Options, concurrency: int) -> Pace:
    stop_at = None
    if options.max_duration is not None:
        stop_at = time.monotonic() + options.max_duration.total_seconds()
    limit = None if options.command is Command.REPORT else options.limit
    return Pace(concurrency, stop_at=stop_at, limit=limit)
