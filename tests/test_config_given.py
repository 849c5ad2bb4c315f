"""Settings as people pass them: pipes, marks, quotes and line ends are taken right, or named."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reccli.config import ConfigError, Settings, load
from tests.given import given

if TYPE_CHECKING:
    from collections.abc import Iterator

SID = "AC" + "0123456789abcdef" * 2
ENV = {
    "TWILIO_ACCOUNT_SID": SID,
    "TWILIO_AUTH_TOKEN": "f00dfeed",
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
}
HEADERS = {
    "twilio": ("auth_token", "api_key_secret"),
    "s3": (
        *("access_key_id", "secret_access_key", "kms_key_id"),
        *("signing_access_key_id", "signing_secret_access_key"),
    ),
    "airtable": ("api_key",),
}
"""What is sent in a header as it is."""
ROUTE = "/api/twilio/recording-status"
BESIDE: dict[str, dict[str, Any]] = {
    "api_key_secret": {"api_key_sid": "SK" + "0" * 32},
    "access_key_id": {"secret_access_key": "s"},
    "secret_access_key": {"access_key_id": "k"},
    "kms_key_id": {"server_side_encryption": "aws:kms"},
    "signing_access_key_id": {"signing_secret_access_key": "s"},
    "signing_secret_access_key": {"signing_access_key_id": "k"},
}
"""What a key needs beside it."""
KEYS = [(section, key) for section, keys in HEADERS.items() for key in keys]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine is found by accident."""
    monkeypatch.chdir(tmp_path)


def text_of(settings: Settings, section: str, key: str) -> str:
    value = getattr(getattr(settings, section), key)
    return value if isinstance(value, str) else str(value.get_secret_value())


def made(section: str, key: str, value: object) -> Settings:
    return given(ENV, **{section: {**BESIDE.get(key, {}), key: value}})


@pytest.mark.parametrize(("section", "key"), KEYS)
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
def test_a_line_end_behind_a_value_is_no_part_of_it(section: str, key: str, end: str) -> None:
    assert text_of(made(section, key, f"abc/def{end}"), section, key) == "abc/def"


@pytest.mark.parametrize(("section", "key"), KEYS)
@pytest.mark.parametrize(
    "value", ["abc\ndef", "abc\tdef", "a\x00b", "abc def", '"abc"', "'abc", "abc”", "…"]
)
def test_what_a_header_cannot_have_is_refused_by_its_key(
    section: str, key: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        made(section, key, value)
    (line,) = caught.value.problems
    assert re.match(rf"{section}\.{key}: (holds|begins)", line)
    assert "abc" not in line


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("airtable", "table", "Call\nLogs"),
        ("airtable", "link_fields", ["Recording", "Trans\tfer"]),
        ("airtable", "key_fields", {"agent": "Agent\r\nname"}),
        ("webhook", "host", "127.0.0.1\n127.0.0.2"),
        ("links", "secret", "a\nb"),
        ("alerts", "metrics_file", "a\x1bb"),
        ("ledger", "url", "postgresql://h/d?application_name=a\nb"),
    ],
)
def test_no_value_holds_a_control_character(section: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        made(section, key, value)
    (line,) = caught.value.problems
    assert line.startswith(f"{section}.{key}: holds a control character, such as a line break")


def test_a_byte_of_the_environment_that_is_not_utf_8_is_one() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, env={**ENV, "RECCLI_AIRTABLE__TABLE": "\udcff"})
    (line,) = caught.value.problems
    assert line.startswith("airtable.table: holds a control character, such as a line break")


def test_names_of_fields_may_have_any_other_sign() -> None:
    family = "👩‍💻 Agent\N{NO-BREAK SPACE}name"
    settings = given(ENV, airtable={"link_fields": [family, "a \n"]})
    assert settings.airtable.link_fields == (family, "a ")


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("end", ["", "\n", "\r"])
def test_the_quotes_of_an_environment_file_are_no_part_of_a_value(quote: str, end: str) -> None:
    env = {name: f"{quote}{value}{quote}{end}" for name, value in ENV.items()}
    env |= {
        "RECCLI_WEBHOOK__PORT": f"{quote}8081{quote}{end}",
        "RECCLI_LINKS__BASE_URL": f"\ufeff{quote} https://x.example {quote}",
        "RECCLI_LINKS__FORMER": f"{quote}s3://old{quote}",
        "AWS_REGION": quote * 2,
        "STATE_DIRECTORY": f"{quote}/var/lib/reccli{quote}{end}",
    }
    settings = load(None, env=env)
    assert settings.twilio.account_sid == SID
    assert settings.twilio.auth_token.get_secret_value() == ENV["TWILIO_AUTH_TOKEN"]
    assert settings.webhook.port == 8081
    assert settings.links.former == ("s3://old",)
    assert settings.links.base_url == "https://x.example"
    assert settings.s3.region == "ap-southeast-2"  # nothing in quotes is nothing
    assert settings.ledger.url.get_secret_value() == "sqlite:////var/lib/reccli/ledger.sqlite3"


def test_quotes_around_json_and_within_a_value() -> None:
    env = {**ENV, "RECCLI_AIRTABLE__LINK_FIELDS": '\'["One", "Two"]\''}
    env["RECCLI_AIRTABLE__TABLE"] = '"Call" and "Log"'
    settings = load(None, env=env)
    assert settings.airtable.link_fields == ("One", "Two")
    assert settings.airtable.table == '"Call" and "Log"'


@pytest.mark.parametrize("value", ['"', '"f00d', "f00d'", '"a"b"'])
def test_half_a_pair_of_quotes_is_named(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, env={**ENV, "TWILIO_AUTH_TOKEN": value})
    origin = "env TWILIO_AUTH_TOKEN"
    (line,) = caught.value.problems
    assert line == f"twilio.auth_token: begins or ends with a quotation mark ({origin})"


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
@pytest.mark.parametrize("value", ['"AKIA"', "AKIA\n", " AKIA", "AK IA", "…"])
def test_what_the_sdk_would_send_as_it_is_is_looked_at(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, env={**ENV, name: value})
    (line,) = caught.value.problems
    assert re.fullmatch(rf"{name}: (holds|has|begins) .*\(env {name}\)", line)
    assert "AKIA" not in line
    load(None, env={**ENV, name: "AKIA"})
    keys = {"access_key_id": "k", "secret_access_key": "s"}
    given({**ENV, name: value}, s3=keys)  # then they are not used


def test_credential_files_come_with_marks_quotes_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "twilio__auth_token").write_bytes(b'\xef\xbb\xbf"f00d"\r\n')
    (tmp_path / "s3__access_key_id").write_text("AKIA\n")
    (tmp_path / "s3__secret_access_key").write_text(" s3cr3t \n\n")
    bare = {name: value for name, value in ENV.items() if name != "TWILIO_AUTH_TOKEN"}
    settings = load(None, env={**bare, "CREDENTIALS_DIRECTORY": f"{tmp_path}\n"})
    assert settings.twilio.auth_token.get_secret_value() == "f00d"
    assert settings.s3.access_key_id == "AKIA"
    assert settings.s3.secret_access_key.get_secret_value() == "s3cr3t"


@pytest.mark.parametrize("path", ["", "/hooks", "/a/b%20c"])
@pytest.mark.parametrize("end", ["", "/", ROUTE, f"{ROUTE}/", f"/{ROUTE}", f"{ROUTE}\n"])
def test_the_public_url_may_be_the_whole_that_twilio_was_given(path: str, end: str) -> None:
    base = f"https://calls.example.com{path}"
    webhook = made("webhook", "public_url", f"{base}{end}").webhook
    assert webhook.public_url == base
    assert webhook.recording_status_url == f"{base}{ROUTE}"
    assert webhook.stream_url == f"wss://calls.example.com{path}/stream"
    assert webhook.path == path.replace("%20", " ")


# --- the file


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """Make a pipe that gives its text once: a second reader would wait for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text = '[s3]\nbucket = "from-the-pipe"\n[twilio]\nauth_token = "from-the-pipe"\n'
    writer = threading.Thread(target=lambda: path.write_text(text), daemon=True)
    writer.start()
    yield path
    writer.join(10)


@pytest.mark.timeout(20)
def test_a_pipe_is_read_once(pipe: Path) -> None:
    env = {name: ENV[name] for name in ENV if name not in {"AWS_S3_BUCKET", "TWILIO_AUTH_TOKEN"}}
    settings = load(pipe, env=env)
    assert settings.s3.bucket == "from-the-pipe"
    assert settings.file == pipe
    assert settings.warnings == ()  # whoever may read it has had it


@pytest.mark.parametrize("given", ["option", "variable"])
def test_the_file_may_be_at_home(tmp_path: Path, given: str) -> None:
    home = Path(os.environ["HOME"])
    (home / "my.toml").write_text('[s3]\nbucket = "at-home"\n')
    env = {name: value for name, value in ENV.items() if name != "AWS_S3_BUCKET"}
    if given == "variable":
        settings = load(None, env={**env, "RECCLI_CONFIG": '"~/my.toml"\n'})
    else:
        settings = load(Path("~/my.toml"), env=env)
    assert (settings.s3.bucket, settings.file) == ("at-home", home / "my.toml")


def test_files_that_keys_name_may_be_at_home() -> None:
    home = os.environ["HOME"]
    url = "sqlite:///~/a b.db"
    settings = given(ENV, ledger={"url": url}, alerts={"metrics_file": "~/m.prom"})
    assert settings.ledger.url.get_secret_value() == f"sqlite:///{home}/a b.db"
    assert settings.alerts.metrics_file == f"{home}/m.prom"


def test_a_home_that_nobody_knows_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        load(Path("~nobody-of-that-name/x.toml"), env=ENV)
    assert caught.value.problems == ["~nobody-of-that-name/x.toml: no such file that may be read"]
    with pytest.raises(ConfigError) as caught:
        made("alerts", "metrics_file", "~nobody-of-that-name/x.prom")
    assert caught.value.problems[0].startswith("alerts.metrics_file: begins with ~, and nothing")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, env=ENV)
    assert caught.value.problems == [f"{tmp_path}: no such file that may be read"]


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_bytes(b'\xef\xbb\xbf[s3]\r\nbucket = "marked"\r\n')
    env = {name: value for name, value in ENV.items() if name != "AWS_S3_BUCKET"}
    assert load(file, env=env).s3.bucket == "marked"
