"""A sandbox that serves, and a second terminal that plays with it: an outage, by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from stat import S_IMODE
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)  # a dozen commands, each in a Python of its own

RECCLI = (sys.executable, "-m", "reccli")
LINK = "Recording URL (Twilio/S3)"


@dataclass
class Terminal:
    """A shell in HOME that reads ENV before each command, if there is one."""

    home: Path
    env: Path | None

    def type(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        source = ("sh", "-c", '. "$0" && exec "$@"', str(self.env)) if self.env else ()
        return subprocess.run(
            [*source, *RECCLI, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.type(*arguments, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["exit_code"] == done.returncode
        return found

    def rows(self) -> dict[str, dict[str, str]]:
        document = self.json("sandbox", "rows")
        assert document["ok"], document
        return {row["call"]: row["cells"] for row in document["sandbox"]["rows"]}


def start(home: Path, env: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RECCLI, "sandbox", "--serve", "--env", str(env), *options],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(env: Path, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not env.exists():
        assert server.poll() is None, server.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    home = tmp_path_factory.mktemp("home")
    env = home / "it's sandbox.env"
    server = start(home, env, "-v")
    wait_for(env, server)
    try:
        yield Terminal(home, env)
    finally:
        server.send_signal(signal.SIGINT)
        said, talked = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "export TWILIO_ACCOUNT_SID=" in said
    assert talked.endswith("ended\n")
    assert "airtable GET /v0/" in talked  # -v
    assert not env.exists()


def test_an_outage_by_hand(serving: Terminal) -> None:
    type_, env = serving.type, serving.env
    assert env is not None
    assert S_IMODE(env.stat().st_mode) == 0o600

    fine = serving.json("sandbox", "call", "--seconds", "2")["sandbox"]
    assert serving.rows()[fine["call"]] == {}
    assert type_("process").returncode == 0
    assert f"/{fine['recording']}" in serving.rows()[fine["call"]][LINK]

    assert type_("sandbox", "break", "s3").stdout == "s3 is down, twilio is up, airtable is up\n"
    lost = serving.json("sandbox", "call")["sandbox"]
    assert type_("process").returncode == 5
    assert f"/Recordings/{lost['recording']}" in serving.rows()[lost["call"]][LINK]

    assert serving.json("sandbox", "mend", "s3")["sandbox"]["up"]["s3"] is True
    assert type_("migrate-fallbacks").returncode == 0
    read = type_("sandbox", "rows")
    assert read.returncode == 0
    assert "/2010-04-01/" not in read.stdout
    assert f"{lost['call']}\n  {LINK}: http://127.0.0.1:" in read.stdout
    assert lost["recording"] in read.stdout
    assert "X-Amz" not in read.stdout + json.dumps(serving.rows())


@pytest.mark.parametrize("service", ["twilio", "airtable"])
def test_each_service_comes_and_goes(serving: Terminal, service: str) -> None:
    bare = serving.json("sandbox", "call", "--no-row")["sandbox"]
    assert bare["row"] is None
    assert bare["call"] not in serving.rows()
    assert (done := serving.type("sandbox", "break", service, "-q")).returncode == 0
    assert done.stdout == ""
    assert serving.type("process").returncode == 5
    assert f"{service} is up" in serving.type("sandbox", "mend", service).stdout
    assert serving.type("process").returncode == 0


def test_without_a_sandbox_it_says_so(tmp_path: Path) -> None:
    for words in (("break", "s3"), ("mend", "airtable"), ("call",), ("rows",)):
        done = Terminal(tmp_path, None).type("sandbox", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "knows of no sandbox" in done.stderr
        assert "fix: in a terminal: reccli sandbox --serve" in done.stderr


@pytest.mark.parametrize("address", ["http://sandbox:x@127.0.0.1:9", "http://[", "nonsense"])
def test_of_one_that_has_ended_too(tmp_path: Path, address: str) -> None:
    env = tmp_path / "env"
    env.write_text(f"export RECCLI_SANDBOX='{address}'\n")
    document = Terminal(tmp_path, env).json("sandbox", "rows")
    assert document["exit_code"] == 2
    assert "has ended" in document["errors"][0]["message"]


def test_a_stranger_is_refused(serving: Terminal) -> None:
    env = serving.env
    assert env is not None
    other = env.with_name("other.env")
    text = env.read_text()
    secret = text.partition("sandbox:")[2].partition("@")[0]
    other.write_text(text.replace(secret, "0" * 32))
    done = Terminal(serving.home, other).type("sandbox", "break", "s3")
    assert (done.returncode, "another sandbox" in done.stderr) == (2, True)
    assert serving.type("process").returncode == 0


def test_it_writes_over_no_other_file(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("TWILIO_AUTH_TOKEN=production\n")
    server = start(tmp_path, env, "--json")
    said, talked = server.communicate(timeout=60)
    assert server.returncode == 2
    assert [error["code"] for error in json.loads(said)["errors"]] == ["usage"]
    assert "is there already" in talked
    assert env.read_text() == "TWILIO_AUTH_TOKEN=production\n"


def test_its_environment_is_one_document(tmp_path: Path) -> None:
    env = tmp_path / "env"
    server = start(tmp_path, env, "--json")
    wait_for(env, server)
    server.send_signal(signal.SIGTERM)  # however early, it ends in order
    said, talked = server.communicate(timeout=30)
    found = json.loads(said)["sandbox"]
    assert {"AWS_S3_BUCKET", "RECCLI_SANDBOX"} < found["environment"].keys()
    assert found["new"].startswith("RE")
    assert talked == "ended\n"


def test_a_story_can_be_quiet_or_a_document(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, None)
    quiet = terminal.type("sandbox", "s3-fine", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert terminal.json("sandbox", "s3-fine")["sandbox"] == {"stories": ["s3-fine"]}
    assert terminal.type("sandbox", "--env", "x").returncode == 2  # goes with --serve
