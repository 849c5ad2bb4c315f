"""The command line without any service: usage, configuration, and how errors are told."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import typer

from reccli.cli import options
from reccli.cli.options import duration, hours, moment, sid
from reccli.config import validators
from reccli.sandbox.running import Ended
from tests import prefork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMANDS = ("process", "migrate-fallbacks", "purge-twilio", "report")
TOKEN = "f00dfeedf00dfeedf00dfeedf00dfeed"
SETTINGS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "cli"
    made.mkdir()
    return made


def reccli(home: Path, *arguments: str, **environment: str) -> Ended:
    return prefork.run(arguments, bare(home, environment), home)


def python(home: Path, *arguments: str, **environment: str) -> Ended:
    """Run in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=bare(home, environment),
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def bare(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), **environment}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_configuration_error_is_one_document(home: Path, command: str) -> None:
    done = reccli(home, command, "--json", TWILIO_AUTH_TOKEN=TOKEN)
    assert done.exit_code == 2
    doc = done.document  # nothing but JSON is on stdout
    assert doc.keys() >= {
        *("schema", "command", "run_id", "dry_run", "ok", "exit_code"),
        *("started_at", "finished_at", "summary", "recordings", "errors"),
    }
    assert (doc["command"], doc["ok"], doc["exit_code"]) == (command, False, 2)
    assert doc["recordings"] == []
    assert set(doc["summary"].values()) == {0}
    assert {error["code"] for error in doc["errors"]} == {"config"}
    told = " ".join(error["message"] for error in doc["errors"])
    for key in ("twilio.account_sid", "s3.bucket", "airtable.api_key", "airtable.base_id"):
        assert key in told
    assert TOKEN not in done.stdout + done.stderr
    plain = reccli(home, command)
    assert (plain.exit_code, plain.stdout) == (2, "")
    assert "error: twilio.account_sid: missing; set it in the file or in TWILIO_ACCOUNT_SID" in (
        plain.stderr
    )
    assert "fix: " in plain.stderr


def test_the_file_is_looked_for_in_the_order_of_the_contract(home: Path) -> None:
    """Each place holds an unknown key of its own: the error tells which file was read."""
    xdg = home / "xdg"
    places = {
        home / "option.toml": "buckett",
        home / "environment.toml": "regionn",
        home / "reccli.toml": "prefixx",
        xdg / "reccli/config.toml": "key_templat",
        home / ".config/reccli/config.toml": "storage_clas",
    }
    for file, key in places.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[s3]\n{key} = "x"\n')
    option, environment, here, user, default = places
    named = {"RECCLI_CONFIG": str(environment), "XDG_CONFIG_HOME": str(xdg)}

    def read(*arguments: str, **env: str) -> str:
        done = reccli(home, "process", *arguments, "--json", **env)
        assert done.exit_code == 2
        unknown = [e["message"] for e in done.document["errors"] if "unknown key" in e["message"]]
        assert len(unknown) == 1
        return str(unknown[0])

    assert "s3.buckett: unknown key, did you mean bucket?" in read("-c", str(option), **named)
    assert "s3.regionn: unknown key, did you mean region?" in read(**named)
    del named["RECCLI_CONFIG"]
    assert "s3.prefixx: unknown key, did you mean prefix?" in read(**named)
    here.unlink()
    assert "s3.key_templat: unknown key, did you mean key_template?" in read(**named)
    del named["XDG_CONFIG_HOME"]
    assert "s3.storage_clas: unknown key, did you mean storage_class?" in read(**named)
    for words in (("--config", str(home / "none.toml")), ("-c", str(home / "none.toml"))):
        done = reccli(home, "report", *words)
        assert (done.exit_code, "none.toml: no such file" in done.stderr) == (2, True)
    assert (user.exists(), default.exists()) == (True, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("proces",),
        ("process", "--frob"),
        ("process", "RE123"),
        ("process", "--limit", "0"),
        ("process", "--limit", "many"),
        ("process", "--concurrency", "0"),
        ("process", "--max-duration", "soon"),
        ("process", "--since", "yesterday"),
        ("purge-twilio", "--retention", "-1"),
        ("purge-twilio", "--retention", "1e300"),
        ("purge-twilio", "--retention", "nan"),
        ("purge-twilio", "--max-deletes", "-1"),
        ("purge-twilio", "RE" + "0" * 32),
        ("migrate-fallbacks", "--since", "3d"),
        ("report", "--dry-run"),
        ("sandbox", "no-such-story"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_exit_code_2(home: Path, arguments: tuple[str, ...]) -> None:
    done = reccli(home, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    told = reccli(home, *arguments, "--json")
    assert told.exit_code == 2
    assert (told.document["command"], told.document["ok"], told.document["exit_code"]) == (
        arguments[0],
        False,
        2,
    )
    assert [error["code"] for error in told.document["errors"]] == ["usage"]
    assert told.document["errors"][0]["message"]
    assert told.document["dry_run"] is ("--dry-run" in arguments)
    assert "Error: " in told.stderr  # the person reads the usual words


def test_help_with_json_is_no_error(home: Path) -> None:
    done = reccli(home, "process", "--json", "--help")
    assert (done.exit_code, "Usage" in done.stdout) == (0, True)


def test_a_home_that_cannot_be_found_is_no_error_of_its_own(home: Path) -> None:
    done = reccli(home, "process", "--json", XDG_CONFIG_HOME="~no-such-user-at-all")
    assert (done.exit_code, {error["code"] for error in done.document["errors"]}) == (2, {"config"})


BROKEN = """
import sys, {module}
def broken(*_args, **_kwargs): raise ValueError("boom")
{module}.{name} = broken
sys.argv = ["reccli", "report", "--json"]
from reccli.cli import main
main()
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [("reccli.config", "load"), ("reccli.watch.logs", "configure"), ("reccli.app", "run")],
)
def test_a_bug_is_one_document_too(home: Path, module: str, name: str) -> None:
    done = python(home, "-c", BROKEN.format(module=module, name=name), **SETTINGS)
    assert done.exit_code == 1
    assert [error["code"] for error in done.document["errors"]] == ["unexpected"]
    assert "ValueError" in done.document["errors"][0]["message"]


EARLY = """
import os, signal, sys, reccli.config
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started the tests
load = reccli.config.load
def interrupted(*arguments):
    os.kill(os.getpid(), signal.{number})
    return load(*arguments)
reccli.config.load = interrupted
sys.argv = ["reccli", "process", "--json"]
from reccli.cli import main
main()
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_the_run_is_one_document(home: Path, number: str) -> None:
    done = python(home, "-c", EARLY.format(number=number), **SETTINGS)
    assert (done.exit_code, done.document["exit_code"], done.document["command"]) == (
        130,
        130,
        "process",
    )
    assert [error["code"] for error in done.document["errors"]] == ["interrupted"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_will_do(home: Path, encoding: str) -> None:
    done = python(home, "-m", "reccli", "process", "--help", PYTHONIOENCODING=encoding)
    assert (done.exit_code, "Traceback" in done.stderr) == (0, False)
    code = (
        "from reccli.cli import streams; streams.prepare(); "
        "streams.say('RE0: Copy → Relink → Wait ({0})'.format(chr(0x65E5)))"
    )
    done = python(home, "-c", code, PYTHONIOENCODING=encoding)
    assert (done.exit_code, done.stdout) == (0, "RE0: Copy -> Relink -> Wait (?)\n")
    done = python(home, "-c", code, PYTHONIOENCODING="utf-8")
    assert done.stdout == "RE0: Copy → Relink → Wait (日)\n"


def test_every_command_has_the_flags_of_the_contract(home: Path) -> None:
    common = {"--config", "-c", "--json", "--limit", "--quiet", "-q", "--verbose", "-v"}
    runs = {"--dry-run", "-n", "--concurrency", "--max-duration", "--yes"}
    more = {
        "process": common | runs | {"--since", "--until"},
        "migrate-fallbacks": common | runs | {"--retention", "--max-deletes"},
        "purge-twilio": common | runs | {"--retention", "--max-deletes"},
        "report": common,
    }
    for command, flags in more.items():
        words = set(reccli(home, command, "--help").stdout.replace(",", " ").split())
        assert flags <= words, command


def test_help_names_every_command_and_exit_code(home: Path) -> None:
    done = reccli(home, "--help")
    assert done.exit_code == 0
    for command in COMMANDS:
        assert command in done.stdout
    for words in ("2 usage", "3 refused", "4 credentials", "5 only transient", "11 another", "130"):
        assert words in done.stdout
    assert (
        reccli(home).exit_code == 2
    )  # no command: the help is for a person, the code for a script
    assert reccli(home, "--version").stdout.startswith("reccli ")


def test_durations_and_times() -> None:
    assert duration("90m") == timedelta(minutes=90)
    assert duration("36h") == timedelta(hours=36)
    assert duration("7d") == timedelta(days=7)
    assert duration("0s") == timedelta()
    since = moment("36h")
    ago = datetime.now(UTC) - since
    assert timedelta(hours=36) <= ago < timedelta(hours=36, seconds=5)
    assert moment("2026-11-22") == datetime(2026, 11, 22, tzinfo=UTC)
    assert moment("2026-11-22T09:30") == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert moment("2026-11-22T09:30:00+10:30") == datetime(2026, 11, 21, 23, tzinfo=UTC)
    assert moment("2026-11-22T09:30:00Z") == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-7d", "7 d", "1e3d", "99999999999d", "9" * 400 + "h"]
)
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)
    with pytest.raises(typer.BadParameter):
        moment(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00-12:00", "800000d"]
)
def test_times_out_of_reach_are_refused_in_words(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment(text)


def test_hours() -> None:
    assert [hours(text) for text in ("0", "1.5", "999999")] == [0, 1.5, 999_999]
    assert [hours(text) for text in ("24h", " 90m ", "7d", "0s", "1w")] == [24, 1.5, 168, 0, 168]
    assert options.LONGEST_HOURS == validators.LONGEST_HOURS
    for text in ("-1", "10000001", "1e300", "inf", "nan", "a day", "-1h", "9999999d"):
        with pytest.raises(typer.BadParameter):
            hours(text)


def test_sids() -> None:
    assert sid("RE" + "0aB" * 10 + "ff") == "RE" + "0aB" * 10 + "ff"
    for text in ("RE123", "XX" + "0" * 32, "RE" + "0" * 33, "RE" + "0" * 32 + "\n"):
        with pytest.raises(typer.BadParameter):
            sid(text)
