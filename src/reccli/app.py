"""The composition root: settings in, a run's result out. The only module that knows everybody.

SDKs are imported here, through the adapters, so this module is imported late: `--help` and
completion never pay for it.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reccli import history, preflight, wiring
from reccli.core.guard import Limits
from reccli.flow import machine
from reccli.flow.executors import Pace
from reccli.flow.gate import Guard
from reccli.flow.result import Result
from reccli.flow.run import Runner
from reccli.flow.source import Sources
from reccli.flow.tables import fallback_rows
from reccli.lock import only_run
from reccli.watch.event_log import EventLog
from reccli.watch.report import Report, report_on
from reccli.watch.text import OLDER_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from reccli.config import Settings
    from reccli.core.errors import Failure
    from reccli.core.guard import Due
    from reccli.flow.commands import Asked
    from reccli.flow.outcome import Outcome
    from reccli.flow.services import Services

_log = structlog.get_logger("reccli")


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run reaches the person who started it."""

    stop: threading.Event = field(default_factory=threading.Event)
    confirm: Callable[[Due], bool] = lambda _due: True
    progress: Callable[[Result], None] = lambda _result: None


def run(settings: Settings, asked: Asked, hooks: Hooks) -> tuple[Result, Report | None]:
    """Carry out one command; raises `LockedError`, `ConfigError`. Only some have a report."""
    command = asked.command
    with ExitStack() as stack:
        if asked.writes:
            stack.enter_context(only_run(settings, command.name, asked.wait, hooks.stop))
        ledger = history.open_ledger(settings, stack, read_only=not asked.writes)
        event_log = stack.enter_context(EventLog(ledger if asked.writes else None, asked.run_id))
        concurrency = machine.room_for(asked.concurrency or settings.engine.concurrency)
        services = wiring.services(settings, concurrency, hooks.stop, stack)
        preflight.check_fields(settings, services.airtable)
        dying = _dying_links(settings, asked, services)
        rules = wiring.rules(settings, asked, services.book, lasting_links=not dying)
        event_log.started(command.name, asked.started_at)
        sources = Sources(services)
        # Before the run, so that its result has what went wrong in the scan.
        fallbacks = _fallback_rows(sources) if command.reports else None
        past = history.Checkpoints(ledger, asked)
        items = past.in_turn(asked.items(sources, past.backlog(rules.naming)))
        result = Result(asked=asked)
        runner = Runner(
            services,
            rules,
            _guard(settings, asked, hooks),
            event_log,
            pace=_pace(asked, concurrency),
            stop=hooks.stop,
            on_outcome=_collect(result, hooks),
        )
        result.ended(runner.run(sources.to_the_end(items), sources))
        if sources.older:
            result.older = sources.older
            _log.warning("older_recordings_at_risk", count=sources.older, hint=OLDER_HINT)
        if dying:
            result.failures.append(dying)
        report = None
        if command.reports:
            window = _window(settings, asked)
            report = report_on(result, fallbacks, ledger, window, complete=sources.listed_whole)
            result.breach = report.breach(settings.alerts.fallback_rate_above)
        event_log.finished(result, past.keep(result.outcomes, sources))
        return result, report


def _window(settings: Settings, asked: Asked) -> tuple[datetime, datetime]:
    until = asked.until or asked.started_at
    return asked.since or until - timedelta(hours=settings.alerts.window_hours), until


def _collect(result: Result, hooks: Hooks) -> Callable[[Outcome], None]:
    def on_outcome(outcome: Outcome) -> None:
        result.add(outcome)
        hooks.progress(result)

    return on_outcome


def _dying_links(settings: Settings, asked: Asked, services: Services) -> Failure | None:
    """Return what keeps every link from lasting, for a command that would make some."""
    failure = preflight.dying_links(settings, services.s3)
    if failure and not asked.command.makes_links:
        _log.warning(failure.code, error=failure.message, hint=failure.hint)
        return None
    return failure


def _fallback_rows(sources: Sources) -> Mapping[str, Collection[str]] | None:
    """Return the recordings of each row with a fallback link; None if the scan broke off."""
    before = len(sources.failures)
    found = fallback_rows(sources)
    return found if len(sources.failures) == before else None


def _guard(settings: Settings, asked: Asked, hooks: Hooks) -> Guard:
    most = settings.safety.max_deletes if asked.max_deletes is None else asked.max_deletes
    return Guard(Limits(most, settings.safety.max_delete_fraction), hooks.confirm)


def _pace(asked: Asked, concurrency: int) -> Pace:
    stop_at = None
    if asked.max_duration is not None:
        stop_at = time.monotonic() + asked.max_duration.total_seconds()
    return Pace(concurrency, stop_at=stop_at)
