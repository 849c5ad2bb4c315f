"""Standard streams that cannot take a result: one line, an exit code, and no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HELP = "process --help"
REFUSED = "report --json --config missing.toml"


def shell(home: Path, line: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell does; RECCLI in it is the program."""
    program = shlex.join([sys.executable, "-m", "reccli"])
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("RECCLI", program)],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        cwd=home,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def check_told(done: subprocess.CompletedProcess[str], why: str, *, alone: bool) -> None:
    line = f"error: the result could not be written to standard output: {why}"
    lines = done.stderr.splitlines()
    assert [one for one in lines if "standard output" in one] == [line]
    assert lines == [line] or not alone
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("command", "where", "code", "why"),
    [
        (HELP, ">&-", 1, "it is closed"),
        (HELP, "> /dev/full", 1, "No space left on device"),
        (REFUSED, ">&- <&-", 2, "it is closed"),
        (REFUSED, "> /dev/full", 2, "No space left on device"),
    ],
)
def test_what_cannot_be_written_is_one_line_and_a_code(
    tmp_path: Path, command: str, where: str, code: int, why: str
) -> None:
    done = shell(tmp_path, f"RECCLI {command} {where}")
    assert done.returncode == code
    check_told(done, why, alone=command == HELP)


def test_a_pipe_that_nobody_reads_is_told_in_the_same_way(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = shell(tmp_path, f"RECCLI {HELP}", stdout=writer)
    finally:
        os.close(writer)
    assert done.returncode == 1
    check_told(done, "Broken pipe", alone=True)


@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full", "<&- 2>&-"])
def test_what_cannot_be_said_changes_no_code(tmp_path: Path, where: str) -> None:
    done = shell(tmp_path, f"RECCLI {REFUSED} {where}")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["exit_code"] == 2


def test_nothing_to_write_is_no_failure(tmp_path: Path) -> None:
    done = shell(tmp_path, "RECCLI process --since never >&-")
    assert (done.returncode, "standard output" in done.stderr) == (2, False)


def test_a_stream_that_does_not_wait_is_waited_for(tmp_path: Path) -> None:
    code = (
        "import os, sys; from reccli.cli import streams; os.set_blocking(1, False);"
        "streams.prepare(); streams.say('x' * 1_000_000); sys.exit(streams.finish(0))"
    )
    program = shlex.join([sys.executable, "-c", code])
    done = shell(tmp_path, f"{program} | (sleep 0.2; wc -c)")
    assert (done.stdout.strip(), done.stderr) == ("1000001", "")
