"""Machines as they are: no home, and a standard output that takes nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests import prefork
from tests.e2e.lab import Told, check, no_secrets

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_without_a_home_a_run_goes_on_and_says_where_its_memory_is(lab: Lab) -> None:
    row, recording = lab.call()
    environment = lab.environment(STATE_DIRECTORY="", TMPDIR=str(lab.home))
    del environment["HOME"]
    done = prefork.run(("process", "--json"), environment, lab.home)
    told = Told(done.exit_code, done.stdout, done.stderr)
    no_secrets(told)
    check(told, as_json=True)
    assert (told.code, lab.holds(row, recording)) == (0, "s3")
    problem = told.event("config_warning")["problem"]
    assert problem.startswith("HOME is not set, so local state is in ")
    (place,) = lab.home.glob("reccli-*")
    assert str(place) in problem
    assert (place / "ledger.sqlite3").exists()


def test_an_environment_file_keeps_its_quotes_and_a_secret_its_line_end(lab: Lab) -> None:
    row, recording = lab.call()
    given = lab.environment()
    quoted = {name: f'"{given[name]}"' for name in ("TWILIO_AUTH_TOKEN", "AWS_S3_BUCKET")}
    ended = ("AIRTABLE_API_KEY", "RECCLI_S3__ACCESS_KEY_ID", "RECCLI_S3__SECRET_ACCESS_KEY")
    told = lab.json("process", **quoted, **{name: f"{given[name]}\r\n" for name in ended})
    assert (told.code, lab.holds(row, recording)) == (0, "s3")


def test_what_no_header_can_hold_is_sent_nowhere(lab: Lab) -> None:
    lab.call()
    for name in ("AIRTABLE_API_KEY", "TWILIO_AUTH_TOKEN", "RECCLI_S3__ACCESS_KEY_ID"):
        told = lab.json("process", **{name: "first\nX-Second: line"})
        assert told.code == 2
        assert told.doc["errors"][0]["message"].endswith(f"cannot have (env {name})")
        assert "X-Second" not in told.stdout + told.stderr
    assert not lab.sandbox.twilio.requests
    assert not lab.sandbox.airtable.requests
    assert not lab.tap.requests


def test_a_run_whose_result_nobody_can_take_is_done_and_remembered(lab: Lab) -> None:
    row, recording = lab.call()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reccli", "process", "--json"],
            env=lab.environment(),
            cwd=lab.home,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    no_secrets(Told(done.returncode, "", done.stderr))
    *events, last = done.stderr.splitlines()
    assert last.startswith("error: the result could not be written to standard output: No space")
    assert [json.loads(line) for line in events]  # and nothing else
    assert (done.returncode, lab.holds(row, recording)) == (1, "s3")
    with sqlite3.connect(lab.home / "state" / "ledger.sqlite3") as ledger:
        ((code,),) = ledger.execute("SELECT exit_code FROM runs")
    ledger.close()
    assert code == 0
