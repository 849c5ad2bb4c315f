"""What every command does around its run: settings, logs, signals, and how it is told.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from reccli.cli.progress import Progress
    from reccli.config import Settings

_FAILED, _USAGE, _LOCKED, _INTERRUPTED = 1, 2, 11, 130
_BUG_HINT = "this is a bug: please report it with the traceback in the log"
_CONFIG_HINT = "see config.example.toml for every key"


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
    concurrency: int | None = None
    max_duration: timedelta | None = None
    yes: bool = False
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def invoke(request: Request) -> None:
    """Carry out one command and leave with its exit code."""
    import structlog

    from reccli.config import ConfigError, load
    from reccli.watch import logs

    started, run_id = datetime.now(UTC), "r" + uuid.uuid4().hex[:11]
    logs.configure(verbose=request.verbose, quiet=request.quiet, run_id=run_id)
    try:
        settings = load(request.config)
    except ConfigError as error:
        problems = [("config", problem, _CONFIG_HINT) for problem in error.problems]
        _refuse(request, run_id, started, _USAGE, problems)
    logs.redact_values(settings.secret_values())
    try:
        _run(request, settings, run_id, started)
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a line for a person, not a dump
        structlog.get_logger("reccli").exception("unexpected_error")
        problem = ("unexpected", f"unexpected {type(error).__name__} in run {run_id}", _BUG_HINT)
        _refuse(request, run_id, started, _FAILED, [problem])


def _run(request: Request, settings: Settings, run_id: str, started: datetime) -> None:
    gc.disable()  # importing the SDKs makes much and drops nothing: collecting costs 0.4 s here
    from reccli.app import Hooks, LockedError, Options, run
    from reccli.cli.progress import Progress
    from reccli.flow.commands import Command
    from reccli.watch.document import Run, document
    from reccli.watch.text import report_lines, result_lines

    gc.enable()
    gc.freeze()
    options = Options(
        Command(request.command),
        run_id,
        request.sids,
        request.since,
        request.until,
        request.limit,
        request.dry_run,
        None if request.retention is None else timedelta(hours=request.retention),
        request.concurrency,
        request.max_duration,
    )
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        with Progress(shown=not (request.quiet or request.verbose or request.as_json)) as progress:
            hooks = Hooks(stop, _confirm(request, progress), progress.update)
            result, report = run(settings, options, hooks)
    except LockedError as error:
        problem = ("locked", f"another run holds the lock {error}", "wait for it to end")
        _refuse(request, run_id, started, _LOCKED, [problem])
    told = Run(request.command, run_id, request.dry_run, started, datetime.now(UTC))
    if request.as_json:
        print(json.dumps(document(told, result, report), indent=2))
    elif not request.quiet or result.exit_code:
        lines = (
            report_lines(report, result)
            if report
            else result_lines(told, result, every=request.verbose)
        )
        print("\n".join(lines))
    _leave(int(result.exit_code), abandoned=result.interrupted)


def _confirm(request: Request, progress: Progress) -> Callable[[int], bool]:
    """Ask before deleting, but only a person: without a terminal the flags and guards decide."""
    if request.yes or request.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return lambda _deletes: True

    def ask(deletes: int) -> bool:
        progress.pause()
        return typer.confirm(f"Delete {deletes} recordings from Twilio for ever?", err=True)

    return ask


def _stop_on_signals(stop: threading.Event) -> None:
    """First signal: finish what is in hand. Second: leave at once; nothing is left half done."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()
        print("stopping: finishing what is in hand", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _refuse(
    request: Request,
    run_id: str,
    started: datetime,
    code: int,
    problems: list[tuple[str, str, str]],
) -> NoReturn:
    """Tell why a run never began."""
    from reccli.flow.result import Exit
    from reccli.watch.document import Run, error, failed_document

    told = Run(request.command, run_id, request.dry_run, started, datetime.now(UTC))
    errors = [error(*problem) for problem in problems]
    if request.as_json:
        print(json.dumps(failed_document(told, Exit(code), errors), indent=2))
    for problem in errors:
        print(f"error: {problem['message']}", file=sys.stderr)
    for hint in dict.fromkeys(problem["hint"] for problem in errors if problem["hint"]):
        print(f"fix: {hint}", file=sys.stderr)
    _leave(code)


def _leave(code: int, *, abandoned: bool = False) -> NoReturn:
    """Leave with a code; not waiting for transfers that a stopped run has given up."""
    if abandoned:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
