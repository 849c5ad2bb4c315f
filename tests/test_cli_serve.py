"""`reccli serve` from the command line: what keeps it from starting is said, with a fix."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from reccli.intake.server import _listen
from tests import prefork
from tests.intake.app import PUBLIC_URL, environment_for

if TYPE_CHECKING:
    from pathlib import Path

    from reccli.sandbox.running import Ended

TOKEN = "f00dfeedf00dfeedf00dfeedf00dfeed"
SETTINGS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
    "RECCLI_WEBHOOK__PUBLIC_URL": "https://calls.example.com",
}
API_KEY = {
    "RECCLI_TWILIO__API_KEY_SID": "SK" + "0a" * 16,
    "RECCLI_TWILIO__API_KEY_SECRET": "a-secret-of-a-key",
}


def serve(home: Path, *arguments: str, **changes: str) -> Ended:
    return prefork.run(("serve", *arguments), environment(home, **changes), home)


def environment(home: Path, **changes: str) -> dict[str, str]:
    settings = {**SETTINGS, **changes, "HOME": str(home), "STATE_DIRECTORY": str(home)}
    return {"PATH": os.environ["PATH"], **{k: v for k, v in settings.items() if v}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"RECCLI_WEBHOOK__PUBLIC_URL": ""}, "webhook.public_url"),
        ({"TWILIO_AUTH_TOKEN": "", **API_KEY}, "twilio.auth_token"),
        ({"RECCLI_WEBHOOK__PUBLIC_URL": "http://calls.example.com"}, "webhook.public_url"),
        ({"RECCLI_WEBHOOK__PORT": "http"}, "webhook.port"),
    ],
)
def test_what_is_not_configured_is_named(
    tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    done = serve(tmp_path, **changes)
    assert done.exit_code == 2
    assert f"error: {named}" in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(tmp_path, "--port", str(port))
    assert done.exit_code == 1
    assert f"error: cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "fix: " in done.stderr


def test_what_keeps_it_from_starting_is_one_document(tmp_path: Path) -> None:
    done = serve(tmp_path, "--json", RECCLI_WEBHOOK__PUBLIC_URL="")
    doc = json.loads(done.stdout)
    assert (done.exit_code, doc["command"], doc["exit_code"]) == (2, "serve", 2)
    assert [error["code"] for error in doc["errors"]] == ["config"]


@pytest.mark.parametrize("flag", ["--json", "-q", "-v"])
def test_the_flags_of_every_command_are_taken(tmp_path: Path, flag: str) -> None:
    """From its start to SIGTERM: with --json what it served is one document, at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "reccli", "serve", "--port", port, flag],
        env={"PATH": os.environ["PATH"], **environment_for(tmp_path), "HOME": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=5):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    if flag != "--json":
        assert said == ""
        return
    doc = json.loads(said)
    assert (doc["command"], doc["ok"], doc["exit_code"], doc["errors"]) == ("serve", True, 0, [])
    assert doc["serve"]["url"] == f"http://127.0.0.1:{port}"
    assert doc["serve"]["callback_url"] == f"{PUBLIC_URL}/api/twilio/recording-status"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_a_missing_extra_is_named(tmp_path: Path, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from reccli.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"error: {missing}" in done.stderr
    assert "fix: install the extra: reccli[webhook]" in done.stderr


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7"])
def test_an_address_of_another_machine_is_told(tmp_path: Path, host: str) -> None:
    done = serve(tmp_path, "--host", host)
    assert done.exit_code == 1
    assert f"error: cannot listen on {host} port 8080: Cannot assign requested" in done.stderr
    assert "fix: set webhook.host to an address of this machine" in done.stderr


@pytest.mark.parametrize(
    "url", ["sqlite:////dev/null/ledger.sqlite3", "sqlite:///{home}", "sqlite:////proc/l.sqlite3"]
)
def test_a_ledger_that_can_never_be_used_is_told_at_once(tmp_path: Path, url: str) -> None:
    done = serve(tmp_path, "--port", "0", RECCLI_LEDGER__URL=url.format(home=tmp_path))
    assert done.exit_code == 2
    assert "error: ledger: " in done.stderr
    assert "fix: set ledger.url" in done.stderr
    assert "serving" not in done.stderr


@pytest.mark.parametrize("host", ["::", "[::]"])
def test_any_address_of_ipv6_takes_ipv4_as_well(host: str) -> None:
    with _listen(host, 0) as taken:
        port = taken.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=5).close()


def test_where_ipv4_is_left_out_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with capture_logs() as logs, _listen("::", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    assert [log["event"] for log in logs] == ["ipv6_only"]
    with capture_logs() as logs, _listen("::1", 0):
        assert logs == []
