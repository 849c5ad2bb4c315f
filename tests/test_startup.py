"""What is asked most often, help and completion, loads nothing that is slow to load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    *("boto3", "botocore", "twilio", "pyairtable", "httpx", "sqlalchemy", "pydantic", "requests"),
    *("starlette", "rich", "structlog", "tenacity", "distributed", "reccli.app", "reccli.config"),
    *("reccli.core.links", "reccli.flow.copy", "reccli.flow.perform"),
)
TYPERS_OWN = {"pydantic"}
"""Typer reads the options of a command with it: the price of Typer, paid in any case."""
PROBE = """
import atexit, os, sys
heavy = os.environ["HEAVY"].split()
tell = lambda: print("LOADED", *[name for name in heavy if name in sys.modules], file=sys.stderr)
atexit.register(tell)
sys.argv[0] = "reccli"
from reccli.cli import main
main()
"""


KEPT = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


def loaded(*arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Run the command line; give its exit code, its output, and what was loaded for it."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env={**KEPT, "HEAVY": " ".join(HEAVY), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    return done.returncode, done.stdout, line.split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("-h",),
        ("--version",),
        ("process", "--help"),
        ("migrate-fallbacks", "--help"),
        ("purge-twilio", "-h"),
        ("report", "--help"),
        ("sandbox", "--help"),
    ],
    ids=" ".join,
)
def test_help_loads_no_sdk(arguments: tuple[str, ...]) -> None:
    code, said, heavy = loaded(*arguments)
    allowed = set() if arguments[0].startswith("-") else TYPERS_OWN
    assert (code, set(heavy) - allowed) == (0, set())
    assert "reccli" in said


def test_completion_loads_no_sdk() -> None:
    typed = {"COMP_WORDS": "reccli pur", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "reccli pur"}
    code, said, heavy = loaded(**typed, _RECCLI_COMPLETE="complete_bash")
    assert (code, said.split(), set(heavy) - TYPERS_OWN) == (0, ["purge-twilio"], set())


def test_a_usage_error_loads_no_sdk() -> None:
    code, _, heavy = loaded("process", "--since", "yesterday-ish")
    assert (code, set(heavy) - TYPERS_OWN) == (2, set())


def test_the_commands_load_no_sdk_by_being_there() -> None:
    """Nothing under `reccli.cli` may import one at its top."""
    folder = Path(__file__).parent.parent / "src/reccli/cli"
    names = ",".join(f"reccli.cli.{file.stem}" for file in folder.glob("[a-z]*.py"))
    code = f"import sys, {names}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
