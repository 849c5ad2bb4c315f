"""How a run that never began is told: one document with `--json`, and lines for a person.

Heavy modules are imported inside, so that `--help` never loads them.
"""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reccli.cli.streams import say

if TYPE_CHECKING:
    from reccli.watch.document import Run


class RefusedError(Exception):
    """A run does not begin; a problem is its code, message and hint."""

    def __init__(self, code: int, *problems: tuple[str, str, str]) -> None:
        """Keep the exit code and every problem."""
        super().__init__(*problems)
        self.code, self.problems = code, problems


@dataclass(frozen=True, slots=True)
class Begun:
    """A command that is under way."""

    command: str
    dry_run: bool = False
    as_json: bool = False
    run_id: str = field(default_factory=lambda: "r" + uuid.uuid4().hex[:11])
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def run(self) -> Run:
        """Say what identifies the run, now that it ends."""
        from reccli.watch.document import Run

        return Run(self.command, self.run_id, self.dry_run, self.at, datetime.now(UTC))


def tell_refusal(begun: Begun, refused: RefusedError, *, in_words: bool = True) -> None:
    """Print the document, if one is wanted, and what a person has to know."""
    from reccli.flow.result import Exit
    from reccli.watch.document import bare_document, error

    errors = [error(*problem) for problem in refused.problems]
    if begun.as_json:
        say(json.dumps(bare_document(begun.run(), Exit(refused.code), errors), indent=2))
    if not in_words:
        return
    for problem in errors:
        print(f"error: {problem['message']}", file=sys.stderr)
    for hint in dict.fromkeys(problem["hint"] for problem in errors if problem["hint"]):
        print(f"fix: {hint}", file=sys.stderr)


def tell(begun: Begun, **more: object) -> None:
    """Print the document of a command that has looked at no recording, with what it found."""
    from reccli.flow.result import Exit
    from reccli.watch.document import bare_document

    say(json.dumps({**bare_document(begun.run(), Exit.OK, []), **more}, indent=2))


def tell_usage(arguments: list[str], message: str) -> None:
    """Print the document of a usage error; Typer has told the person already."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    dry_run = not {"-n", "--dry-run"}.isdisjoint(arguments)
    refused = RefusedError(2, ("usage", message, f"see reccli {command} --help".replace("  ", " ")))
    tell_refusal(Begun(command, dry_run, as_json=True), refused, in_words=False)
