"""What README.md and docs/ say can be typed, can be typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reccli.config import load
from reccli.flow.result import Exit
from tests.prefork import ForkedSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/reccli"
README = ROOT / "README.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
CODES = {int(code) for code in Exit}
PUBLIC_URL = "https://calls.example.com"
ENDLESS = ("serve", "sandbox")
"""They stay up, or start services of their own: help has to do."""


def blocks(text: str) -> Iterator[str]:
    """Give the lines of code blocks, continued lines joined, without comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.sub(r"(^|\s)#.*", "", line)


def commands(text: str) -> Iterator[tuple[str, ...]]:
    """Give each `reccli …` of code blocks, tables and prose, with its VARIABLE=value first."""
    inline = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )
    for line in (*blocks(text), *inline):
        for part in re.split(r"&&|\|\||;|\|", line):
            found = re.search(r"((?:\b[A-Z][A-Z0-9_]+=\S+ +)*)(?:^|(?<=\s))reccli( .*|$)", part)
            if found and not re.search(r"\breccli( |/|\.)?(install|\.toml)", part):
                words = shlex.split(f"{found[1]}reccli{found[2]}")
                if len(words) > 1 and "<" not in part and "…" not in part:
                    yield tuple(words)


COMMANDS = sorted({words for file in DOCUMENTS for words in commands(file.read_text())})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ForkedSandbox]:
    with ForkedSandbox() as running:
        running.airtable.requests_per_second = None
        running.call(duration=1, linked=True)
        yield running


def test_the_documents_name_every_command() -> None:
    named = {words[1] for words in COMMANDS if words[0] == "reccli" and len(words) > 1}
    assert {"process", "migrate-fallbacks", "purge-twilio", "report", "serve", "webhook"} <= named


@pytest.mark.parametrize("file", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda file: file.name)
def test_a_file_that_is_named_is_there(file: Path) -> None:
    named = set(re.findall(r"`([a-z_]+(?:/[a-z0-9_]+)*/[a-z0-9_]+\.py)`", file.read_text()))
    assert [one for one in named if not any((at / one).exists() for at in (ROOT, PACKAGE))] == []
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text())
    assert [one for one in linked if not (file.parent / one).exists()] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_line_can_be_typed(sandbox: ForkedSandbox, words: tuple[str, ...]) -> None:
    at = words.index("reccli")
    settings = dict(word.split("=", 1) for word in words[:at])
    arguments = list(words[at + 1 :])
    if arguments[0] in ENDLESS or arguments == ["webhook", "explain"]:
        arguments = [*arguments[:2], "--help"]
    done = sandbox.reccli(*arguments, **{"RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL, **settings})
    assert done.exit_code in {Exit.OK, Exit.THRESHOLD}, done.stderr
    assert "Traceback" not in done.stderr


def test_a_line_of_the_crontab_goes_on_whatever_fails(tmp_path: Path) -> None:
    """Every command of it runs, though each one fails."""
    fake, told = tmp_path / "reccli", tmp_path / "told"
    fake.write_text('#!/bin/sh\necho "$@" >> "$TOLD"\nexit 5\n')
    fake.chmod(0o700)
    lines = re.findall(r"^(?:[\d*/,-]+ +){5}(.*reccli.*)$", README.read_text(), re.MULTILINE)
    for line in lines:
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TOLD": str(told)}
        subprocess.run(["/bin/sh", "-c", line], env=env, check=False, timeout=10)
    ran = [words.split()[0] for words in told.read_text().splitlines()]
    assert ran == ["process", "migrate-fallbacks", "purge-twilio", "report"]


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set()
    for file in DOCUMENTS:
        named |= set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(blocks(file.read_text()))))
        named |= set(re.findall(r"`make ([a-z]+)", file.read_text()))
    assert {"demo", "test"} <= named <= targets


def test_the_exit_codes_are_those_of_the_code() -> None:
    table = README.read_text().partition("| exit | meaning |")[2].partition("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == CODES


def test_the_links_lead_somewhere() -> None:
    for file in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text()):
            if "://" not in target:
                assert (file.parent / target).exists(), (file.name, target)


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    settings = load(
        ROOT / "config.example.toml",
        env={
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "token-of-a-test",
            "AWS_S3_BUCKET": "calls",
            "AIRTABLE_API_KEY": "patOfATest",
            "AIRTABLE_BASE_ID": "appOfATest",
            "STATE_DIRECTORY": str(tmp_path),
        },
    )
    assert settings.s3.bucket == "calls"
