"""One invocation of a command: what was asked for, and how its result is to be shown.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from reccli.cli.errors import RefusedError, refusals
from reccli.cli.options import COMMON, OPTIONS
from reccli.cli.streams import say
from reccli.flow.commands import Asked, Command
from reccli.flow.result import Exit

if TYPE_CHECKING:
    from reccli.config import Settings


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line, parsed; each field and each of `Asked` is the option of that name."""

    asked: Asked
    config: Path | None = None
    yes: bool = False
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def settings(self) -> Settings:
        """Read the configuration; from here on the log is ready, and hides its secrets.

        Raises `ConfigError`, or `RefusedError` for what this version cannot do.
        """
        import structlog

        from reccli.config import load
        from reccli.watch import logs

        asked = self.asked
        serves = asked.command.name == "serve"
        logs.configure(verbose=self.verbose, quiet=self.quiet, every=serves, run_id=asked.run_id)
        settings = load(self.config)
        logs.redact_values(settings.secret_values())
        for warning in settings.warnings:
            structlog.get_logger("reccli").warning("config_warning", problem=warning)
        if settings.engine.kind != "threads":
            message = f"engine.kind: {settings.engine.kind} is not available in this version"
            raise RefusedError(Exit.USAGE, ("config", message, 'use engine.kind = "threads"'))
        return settings

    def print_document(
        self,
        exit_code: Exit = Exit.OK,
        problems: Iterable[tuple[str, str, str]] = (),
        **more: object,
    ) -> None:
        """Print the document of a command that has looked at no recording, and what it found."""
        from reccli.watch.document import bare_document, error

        errors = [error(*problem) for problem in problems]
        say(json.dumps({**bare_document(self.asked, exit_code, errors), **more}, indent=2))


def takes(command: Command, *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a function these options, those of every command and its own.

    The function is called with the `Invocation` and its own options; what it raises is printed.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        wanted = {*COMMON, *names} - {option.name for option in own}
        shared = [_parameter(name) for name in OPTIONS if name in wanted]

        def run(**given: object) -> None:
            mine = {option.name: given.pop(option.name) for option in own}
            invocation = _invocation(command, given)
            with refusals(invocation):
                function(invocation, **mine)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    kind, *_ = get_args(OPTIONS[name])
    default = False if kind is bool else None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=OPTIONS[name]
    )


def _invocation(command: Command, given: dict[str, object]) -> Invocation:
    """Return what was asked for; an option that was not given keeps its default."""
    known = {field.name for field in fields(Asked)} & given.keys()
    values = {name: given.pop(name) for name in known}
    if sids := values.pop("sids", None):
        values["sids"] = tuple(sids)  # type: ignore[arg-type]
    asked = Asked(command, **{n: v for n, v in values.items() if v is not None})  # type: ignore[arg-type]
    return Invocation(asked, **given)  # type: ignore[arg-type]
