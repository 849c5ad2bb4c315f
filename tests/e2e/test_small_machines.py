"""A machine that gives little: what it lacks is told as its own, and nothing is lost by it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

LIMITED = """
import resource, sys
resource.setrlimit(resource.{what}, ({limit}, {limit}))
sys.argv = ["reccli", "process"]
from reccli.cli import main
main()
"""


def process(lab: Lab, what: str, limit: int) -> tuple[int, str]:
    """Run under a limit of the kernel's; tells the exit code and all that was said."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(what=what, limit=limit)],
        env=lab.environment(),
        cwd=lab.home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_few_open_files_mean_fewer_recordings_at_a_time(lab: Lab) -> None:
    lab.sandbox.twilio.media.latency = 0.05  # so that as many as may be are under way
    calls = [lab.call() for _ in range(15)]
    code, said = process(lab, "RLIMIT_NOFILE", 40)
    assert (code, "this machine allows 40 open files" in said) == (0, True), said
    assert all(lab.holds(row, mine) == "s3" for row, mine in calls)


def test_a_spool_that_cannot_be_written_is_this_machines_and_stops_no_other(lab: Lab) -> None:
    calls = [lab.call() for _ in range(3)]
    row, large = lab.call(duration=1600)
    code, said = process(lab, "RLIMIT_FSIZE", 5_000_000)
    assert code == 1
    assert f"{large.sid}" in said
    assert "machine: cannot write the temporary file" in said
    assert "point TMPDIR elsewhere" in said
    assert "status.twilio.com" not in said
    assert all(lab.holds(one, mine) == "s3" for one, mine in calls)
    assert lab.holds(row, large) == "twilio"
    assert lab.run("process").code == 0
