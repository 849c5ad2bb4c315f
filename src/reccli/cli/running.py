"""What a run needs around it: settings, signals, a question before deletes, and its result.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import TYPE_CHECKING

import typer

from reccli.cli.errors import RefusedError
from reccli.cli.options import check_window
from reccli.cli.signals import Signals
from reccli.cli.streams import finish, say
from reccli.flow.result import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.cli.invocation import Invocation
    from reccli.cli.progress import Progress
    from reccli.config import Settings
    from reccli.core.guard import Due
    from reccli.flow.result import Result
    from reccli.watch.report import Report


def run(invocation: Invocation) -> None:
    """Carry out a command, print its result and leave with its exit code.

    Raises `typer.BadParameter`, and what the run itself raises.
    """
    check_window(invocation.asked.since, invocation.asked.until)
    signals = Signals()
    settings = invocation.settings()
    gc.disable()  # importing the SDKs makes much and drops nothing: collecting costs 0.4 s here
    from reccli import app
    from reccli.cli.progress import Progress

    gc.enable()
    gc.freeze()
    if signals.stop.is_set():
        problem = ("interrupted", "stopped before the run began", "")
        raise RefusedError(Exit.INTERRUPTED, problem)
    shown = not (invocation.quiet or invocation.verbose or invocation.as_json)
    with Progress(shown=shown) as progress:
        confirm = _confirm(invocation, settings, progress, signals)
        hooks = app.Hooks(signals.stop, confirm, progress.update)
        result, report = app.run(settings, invocation.asked, hooks)
    if text := _text(invocation, result, report):
        say(text)
    code = result.exit_code
    if code is Exit.INTERRUPTED or result.gave_up:  # do not wait for what the run has given up
        os._exit(finish(code))
    raise typer.Exit(code)


def _text(invocation: Invocation, result: Result, report: Report | None) -> str:
    """Return the result in words, or as the document."""
    from reccli.watch.document import document
    from reccli.watch.text import report_lines, result_lines

    quiet = invocation.quiet
    if invocation.as_json:
        return json.dumps(document(result, report), indent=2)
    if report and not quiet:
        return "\n".join(report_lines(report, result))
    return "\n".join(result_lines(result, every=invocation.verbose, quiet=quiet))


def _confirm(
    invocation: Invocation, settings: Settings, progress: Progress, signals: Signals
) -> Callable[[Due], bool]:
    """Return how to ask before deleting: only a person, else the flags and guards decide."""
    person = sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()
    if invocation.yes or not person:
        return lambda _due: True

    def ask(due: Due) -> bool:
        from reccli.watch.text import question

        progress.pause()
        return signals.ask(question(due, settings.twilio.account_sid, settings.s3.bucket))

    return ask
