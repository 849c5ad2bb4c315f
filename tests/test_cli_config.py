"""`reccli config` as people type it, and the ways in which they hand a configuration over."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reccli.config import ConfigError, in_force, load, write_example
from reccli.config.showing import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parent.parent
SID = "AC" + "0a" * 16
CONFIGURATION = f"""
[twilio]
account_sid = "{SID}"
auth_token = "s3cr3t-token"
[[twilio.regions]]
region = "au1"
edge = "sydney"
auth_token = "s3cr3t-of-au1"
[s3]
bucket = "calls"
[airtable]
api_key = "pat.s3cr3t"
base_id = "appBase"
[links]
former = ["s3://old"]
[ledger]
url = "postgresql://u:s3cr3t%40word@h/d"
[alerts]
notify = ["slack://s3cr3t"]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    program = f"{sys.executable} -m reccli"

    def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", "-c", line],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "R": program, **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return shell


# --- init


def test_the_package_holds_the_example() -> None:
    packed = files("reccli.config").joinpath("example.toml")
    assert packed.read_bytes() == (ROOT / "config.example.toml").read_bytes()


def test_a_file_is_begun_once_and_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "reccli.toml"
    done = run("umask 0; $R config init && $R config path && $R config init --json")
    assert done.returncode == 2
    assert file.read_bytes() == (ROOT / "config.example.toml").read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    begun, path, document = done.stdout.split("\n", 2)
    assert begun == "reccli.toml: fill in the credentials, then reccli config check"
    assert path == "reccli.toml"
    assert "error: reccli.toml: there is one already, which stays as it is\n" in done.stderr
    assert "fix: name another one: --config PATH\n" in done.stderr
    doc = json.loads(document)
    assert (doc["command"], doc["ok"], doc["exit_code"]) == ("config init", False, 2)
    assert doc["errors"][0]["code"] == "config"


def test_where_it_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_example(None, {"RECCLI_CONFIG": "~/a.toml"}) == tmp_path / "a.toml"
    assert write_example(Path("b.toml"), {"RECCLI_CONFIG": "~/a.toml"}) == Path("b.toml")
    for path, why in (("no/c.toml", "No such file or directory"), ("~nobody-here/d", "home")):
        with pytest.raises(ConfigError, match=why):
            write_example(Path(path), {})
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(ConfigError, match="there is one already"):
        write_example(Path("link"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.toml", "b.toml", "link"]


def test_half_a_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, file = os.open, tmp_path / "x.toml"

    def on_a_full_disk(path: Path, *how: int) -> int:
        os.close(real(path, *how))
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr("os.open", on_a_full_disk)
    with pytest.raises(ConfigError, match="No space left"):
        write_example(file, {})
    assert not file.exists()


# --- check, show, path


WAYS = {
    "pipe": "$R config check --json --config <(cat c.toml)",
    "standard input": "cat c.toml | $R config check --json --config /dev/stdin",
    "home": "$R config check --json --config=~/c.toml",
    "variable": "RECCLI_CONFIG='~/c.toml' $R config check --json",
    "mark": "(printf '\\xef\\xbb\\xbf'; cat c.toml) > b.toml; $R config check --json -c b.toml",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_configuration_is_taken_however_it_comes(run: Run, tmp_path: Path, way: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(CONFIGURATION)
    file.chmod(0o600)
    done = run(f"umask 077; {WAYS[way]}")
    doc = json.loads(done.stdout)
    assert (done.returncode, doc["ok"], doc["errors"]) == (0, True, [])
    assert doc["config"]["warnings"] == [
        f"alerts.notify: has no effect in this version ({doc['config']['file']})"
    ]
    assert "s3cr3t" not in done.stdout + done.stderr


def test_warnings_are_lines_of_the_log(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CONFIGURATION)
    done = run("chmod 644 c.toml; $R config check -c c.toml; $R config check -q -c c.toml")
    assert done.returncode == 0
    assert done.stdout == "c.toml: can be used\n"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(event["event"], event["level"]) for event in events] == [
        ("config_warning", "warning")
    ] * 2
    assert [event["problem"].partition(": ")[0] for event in events] == ["alerts.notify", "c.toml"]
    assert "s3cr3t" not in done.stderr


def test_problems_are_told_with_what_to_do(run: Run) -> None:
    token = "a b"
    done = run("$R config check --json", TWILIO_AUTH_TOKEN=token, TWILIO_ACCOUNT_SID=SID)
    doc = json.loads(done.stdout)
    assert (done.returncode, doc["exit_code"], doc["ok"]) == (2, 2, False)
    assert {error["message"].partition(":")[0] for error in doc["errors"]} == {
        *("twilio.auth_token", "s3.bucket", "airtable.api_key", "airtable.base_id")
    }
    assert "fix: see config.example.toml for every key; `reccli config init`" in done.stderr


def test_what_is_in_force_is_shown_with_its_origin_and_without_secrets(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(CONFIGURATION)
    done = run(
        "chmod 600 c.toml; $R config show -q -c c.toml; $R config show -q -c c.toml --json",
        TWILIO_AU1_AUTH_TOKEN="s3cr3t-new",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "s3cr3t" not in done.stdout
    text, _, document = done.stdout.partition("{\n")
    lines = text.splitlines()
    assert f'twilio.account_sid = "{SID}"  # c.toml' in lines
    assert f'twilio.auth_token = "{HIDDEN}"  # c.toml' in lines
    assert f'twilio.regions[0].auth_token = "{HIDDEN}"  # env TWILIO_AU1_AUTH_TOKEN' in lines
    assert 'twilio.regions[0].edge = "sydney"  # c.toml' in lines
    assert "twilio.retention_hours = 24.0  # default" in lines
    assert 'links.former = ["s3://old"]  # c.toml' in lines
    assert 'links.secret = ""  # default' in lines
    assert f'ledger.url = "postgresql://u:{HIDDEN}@h/d"  # c.toml' in lines
    assert f'alerts.notify = ["{HIDDEN}"]  # c.toml' in lines
    config = json.loads("{" + document)["config"]
    assert config["file"] == "c.toml"
    assert len(config["values"]) == len(lines)
    assert config["values"]["s3.bucket"] == {"value": "calls", "origin": "c.toml"}
    assert config["values"]["s3.region"]["origin"] == "default"


def test_origins_of_tables() -> None:
    env = {
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": "token",
        "AWS_S3_BUCKET": "calls",
        "AIRTABLE_API_KEY": "pat",
        "AIRTABLE_BASE_ID": "app",
        "RECCLI_AIRTABLE__KEY_FIELDS": '{"agent": "Agent"}',
    }
    found = {key: (value, origin) for key, value, origin in in_force(load(None, env=env))}
    fields = {"provider": "Provider", "employee": "Employee", "agent": "Agent"}
    assert found["airtable.key_fields"][1] == "env RECCLI_AIRTABLE__KEY_FIELDS"
    assert found["airtable.key_fields"][0] in (fields, {"agent": "Agent"})
    assert found["ledger.url"][0] == load(None, env=env).ledger.url.get_secret_value()


def test_the_file_that_would_be_read_is_named(run: Run, tmp_path: Path) -> None:
    done = run("$R config path --json; $R config path; $R config path -q")
    assert (done.returncode, json.loads(done.stdout)["config"]) == (0, {"file": None})
    assert done.stderr.splitlines() == [
        "no file: all comes from the environment, credential files and defaults"
    ]
    broken = tmp_path / "some.toml"
    broken.write_text("not = [toml")
    done = run("$R config path", RECCLI_CONFIG="~/some.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{broken}\n", "")
    done = run("$R config path --config missing.toml")
    assert (done.returncode, done.stdout) == (2, "")
