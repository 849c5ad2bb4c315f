"""What every command does around its run: settings, logs, signals, and how it is told.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from reccli.cli.options import check_window
from reccli.cli.signals import INTERRUPTED, Signals
from reccli.cli.streams import finish, say
from reccli.cli.telling import Begun, RefusedError, tell_refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from reccli.cli.progress import Progress
    from reccli.config import Settings
    from reccli.core.guard import Due
    from reccli.flow.result import Result
    from reccli.watch.report import Report

_FAILED, _USAGE, _LOCKED = 1, 2, 11
_BUG_HINT = "this is a bug: please report it with the traceback in the log"
_LOCKED_HINT = "wait for it to end; --wait 10m does so by itself"
CONFIG_HINT = "see config.example.toml for every key; `reccli config init` writes it"


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of one run, as it was typed."""

    command: str
    config: Path | None = None
    sids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    dry_run: bool = False
    retention: float | None = None
    max_deletes: int | None = None
    concurrency: int | None = None
    max_duration: timedelta | None = None
    wait: timedelta | None = None
    full: bool = False
    accept_length: bool = False
    yes: bool = False
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def invoke(request: Request) -> None:
    """Carry out one command and leave with its exit code; raises `typer.BadParameter`."""
    check_window(request.since, request.until)
    signals = Signals()
    begun = Begun(request.command, request.dry_run, request.as_json)
    try:
        text, code, hangs = _run(request, begun, signals)
    except RefusedError as refused:
        tell_refusal(begun, refused)
        raise typer.Exit(refused.code) from refused
    except Exception as error:
        logging.getLogger("reccli").exception("unexpected_error")
        message = f"unexpected {type(error).__name__} in run {begun.run_id}"
        tell_refusal(begun, RefusedError(_FAILED, ("unexpected", message, _BUG_HINT)))
        raise typer.Exit(_FAILED) from error
    if text:
        say(text)
    if code == INTERRUPTED or hangs:  # do not wait for what the run has given up
        os._exit(finish(code))
    raise typer.Exit(code)


def _run(request: Request, begun: Begun, signals: Signals) -> tuple[str, int, bool]:
    """Load what is needed, run, and put the result into words; raises `RefusedError`.

    And tell whether threads may be left behind that nobody is to wait for.
    """
    settings = read_settings(request, begun)
    gc.disable()  # importing the SDKs makes much and drops nothing: collecting costs 0.4 s here
    from reccli.app import Hooks, run
    from reccli.cli.progress import Progress
    from reccli.config import ConfigError
    from reccli.core.errors import ServiceError
    from reccli.flow import commands
    from reccli.flow.result import Result
    from reccli.lock import LockedError

    gc.enable()
    gc.freeze()
    if signals.stop.is_set():
        raise RefusedError(INTERRUPTED, ("interrupted", "stopped before the run began", ""))
    known = (commands.PROCESS, commands.MIGRATE_FALLBACKS, commands.PURGE_TWILIO, commands.REPORT)
    asked = commands.Asked(
        {one.name: one for one in known}[request.command],
        begun.run_id,
        begun.at,
        sids=request.sids,
        since=request.since,
        until=request.until,
        limit=request.limit,
        full=request.full,
        accept_length=request.accept_length,
        dry_run=request.dry_run,
        retention=None if request.retention is None else timedelta(hours=request.retention),
        max_deletes=request.max_deletes,
        concurrency=request.concurrency,
        max_duration=request.max_duration,
        wait=request.wait,
    )
    try:
        with Progress(shown=not (request.quiet or request.verbose or request.as_json)) as progress:
            confirm = _confirm(request, settings, progress, signals)
            hooks = Hooks(signals.stop, confirm, progress.update)
            result, report = run(settings, asked, hooks)
    except ConfigError as error:
        problems = [("config", problem, CONFIG_HINT) for problem in error.problems]
        raise RefusedError(_USAGE, *problems) from error
    except LockedError as error:
        raise RefusedError(_LOCKED, ("locked", str(error), _LOCKED_HINT)) from error
    except ServiceError as error:  # before the run began
        failure = error.failure
        code = int(Result(failures=[failure]).exit_code)
        raise RefusedError(code, (failure.code, str(error), failure.hint)) from error
    return _text(request, begun, result, report), int(result.exit_code), result.gave_up


def read_settings(request: Request, begun: Begun) -> Settings:
    """Read the configuration; from here on the log is ready, and hides its secrets."""
    import structlog

    from reccli.config import ConfigError, load
    from reccli.watch import logs

    logs.configure(
        verbose=request.verbose,
        quiet=request.quiet,
        every=request.command == "serve",
        run_id=begun.run_id,
    )
    try:
        settings = load(request.config)
    except ConfigError as error:
        problems = [("config", problem, CONFIG_HINT) for problem in error.problems]
        raise RefusedError(_USAGE, *problems) from error
    logs.redact_values(settings.secret_values())
    for warning in settings.warnings:
        structlog.get_logger("reccli").warning("config_warning", problem=warning)
    if settings.engine.kind != "threads":
        message = f"engine.kind: {settings.engine.kind} is not available in this version"
        raise RefusedError(_USAGE, ("config", message, 'use engine.kind = "threads"'))
    return settings


def _text(request: Request, begun: Begun, result: Result, report: Report | None) -> str:
    """Put the result into words, or into the document."""
    from reccli.watch.document import document
    from reccli.watch.text import report_lines, result_lines

    if request.as_json:
        return json.dumps(document(begun.run(), result, report), indent=2)
    if report and not request.quiet:
        return "\n".join(report_lines(report, result))
    quiet = request.quiet
    return "\n".join(result_lines(begun.run(), result, every=request.verbose, quiet=quiet))


def _confirm(
    request: Request, settings: Settings, progress: Progress, signals: Signals
) -> Callable[[Due], bool]:
    """Ask before deleting, but only a person: without a terminal the flags and guards decide."""
    person = sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()
    if request.yes or not person:
        return lambda _due: True

    def ask(due: Due) -> bool:
        from reccli.watch.text import question

        progress.pause()
        return signals.ask(question(due, settings.twilio.account_sid, settings.s3.bucket))

    return ask
