"""What keeps a command from being carried out: in words, in its document, and as an exit code.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from reccli.flow.commands import Asked, Command
from reccli.flow.result import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.cli.invocation import Invocation

CONFIG_HINT = "see config.example.toml for every key; `reccli config init` writes it"
_BUG_HINT = "this is a bug: please report it with the traceback in the log"
_LOCKED_HINT = "wait for it to end; --wait 10m does so by itself"


class RefusedError(Exception):
    """A command is not carried out; a problem is its code, message and hint."""

    def __init__(self, exit_code: Exit, *problems: tuple[str, str, str]) -> None:
        """Keep the exit code and every problem."""
        super().__init__(*problems)
        self.exit_code, self.problems = exit_code, problems


def unconfigured(*problems: str, hint: str = CONFIG_HINT) -> RefusedError:
    """Return the error for what is wrong with the configuration."""
    return RefusedError(Exit.USAGE, *(("config", problem, hint) for problem in problems))


@contextmanager
def refusals(invocation: Invocation) -> Iterator[None]:
    """Print whatever keeps the command from being carried out, and leave with its exit code."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as error:
        refused = _refused(error, invocation.asked)
        if invocation.as_json:
            invocation.print_document(refused.exit_code, refused.problems)
        _print_words(refused)
        raise typer.Exit(refused.exit_code) from error


def _refused(error: Exception, asked: Asked) -> RefusedError:
    from reccli.config import ConfigError
    from reccli.core.errors import ServiceError
    from reccli.flow.result import Result
    from reccli.lock import LockedError

    match error:
        case RefusedError():
            return error
        case ConfigError(problems=problems):
            return unconfigured(*problems)
        case LockedError():
            return RefusedError(Exit.LOCKED, ("locked", str(error), _LOCKED_HINT))
        case ServiceError(failure=failure):  # before the run began
            code = Result(asked=asked, failures=[failure]).exit_code
            return RefusedError(code, (failure.code, str(error), failure.hint))
    logging.getLogger("reccli").error("unexpected_error", exc_info=error)
    message = f"unexpected {type(error).__name__} in run {asked.run_id}"
    return RefusedError(Exit.FAILED, ("unexpected", message, _BUG_HINT))


def _print_words(refused: RefusedError) -> None:
    from reccli.watch.logs import redact

    for _, message, _ in refused.problems:
        print(f"error: {redact(message)}", file=sys.stderr)
    for hint in dict.fromkeys(hint for *_, hint in refused.problems if hint):
        print(f"fix: {redact(hint)}", file=sys.stderr)


def print_usage_document(arguments: list[str], message: str) -> None:
    """Print the document of a usage error; Typer has printed the words already."""
    from reccli.cli.invocation import Invocation

    name = next((word for word in arguments if not word.startswith("-")), "")
    dry_run = not {"-n", "--dry-run"}.isdisjoint(arguments)
    hint = f"see reccli {name} --help".replace("  ", " ")
    asked = Asked(Command(name), dry_run=dry_run)
    Invocation(asked).print_document(Exit.USAGE, [("usage", message, hint)])
