"""What can be used, and is not what somebody meant: warnings of the configuration."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from reccli.config import Settings, load, state, state_dir
from reccli.config.section import NotRead
from reccli.config.settings import fields
from tests.given import FILE, given

SOURCE = Path(__file__).parent.parent / "src/reccli"
ENV = {
    "TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
    "TWILIO_AUTH_TOKEN": "f00dfeed",
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
}
READ = {
    pair
    for file in SOURCE.rglob("*.py")
    if file.relative_to(SOURCE).parts[0] not in {"config", "sandbox"}
    for pair in re.findall(r"(?=\b([a-z0-9_]+)\.([a-z_]+)\b)", file.read_text())
}
"""What code beside the package that lists the keys takes of anything."""
READ_AS = {"auth_token": "auth_tokens", "secret": "secrets", "public_url": "recording_status_url"}
KEYS = [(section, key) for section in Settings.model_fields for key in fields((section,))]
IN_VAIN: dict[tuple[str, str], Any] = {
    ("twilio", "minute_price"): 0.001,
    ("twilio", "free_minutes"): 0,
    ("airtable", "monthly_calls"): 100_000,
    ("ledger", "keep_days"): 30,
    ("engine", "scheduler"): "tcp://host:8786",
    ("engine", "workers"): 4,
    ("engine", "tls_ca"): "/ca.pem",
    ("engine", "tls_cert"): "/cert.pem",
    ("engine", "tls_key"): "/key.pem",
    ("webhook", "password"): "0123456789abcdef",
    ("alerts", "oldest_waiting_hours_above"): 5,
    ("alerts", "no_success_hours"): 0,
    ("alerts", "airtable_calls_above"): 1,
    ("alerts", "notify"): ["slack://token"],
    ("alerts", "healthcheck_url"): "https://hc.example/ping",
    ("alerts", "metrics_file"): "/var/lib/reccli.prom",
}
"""Another value than the default for each key that nothing reads."""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine is found by accident."""
    monkeypatch.chdir(tmp_path)


def warnings(text: str = "", **env: str) -> tuple[str, ...]:
    file = Path("some.toml")
    file.write_text(text)
    file.chmod(0o600)
    return load(file, env={**ENV, **env}).warnings


# --- settings that do nothing


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_key_is_read_or_whoever_sets_it_is_told(section: str, key: str) -> None:
    idle = NotRead in fields((section,))[key].metadata
    assert ((section, READ_AS.get(key, key)) in READ) is not idle
    assert idle is ((section, key) in IN_VAIN)


@pytest.mark.parametrize(("section", "key"), IN_VAIN)
def test_what_does_nothing_is_told_once_by_its_key(section: str, key: str) -> None:
    value = IN_VAIN[section, key]
    settings = given(ENV, **{section: {key: value}})
    assert settings.warnings == (f"{section}.{key}: has no effect in this version ({FILE})",)
    default = fields((section,))[key].default
    same = given(ENV, **{section: {key: default}})
    assert same.warnings == ()


def test_where_it_was_set_is_told() -> None:
    text = '[alerts]\nnotify = ["slack://s3cr3t"]\n'
    name = "RECCLI_ALERTS__HEALTHCHECK_URL"
    told = warnings(text, **{name: "https://hc.example/s3cr3t"})
    assert told == (
        "alerts.notify: has no effect in this version (some.toml)",
        f"alerts.healthcheck_url: has no effect in this version (env {name})",
    )


# --- variables that lead to no key


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RECCLI_S3_BUKET", "RECCLI_S3__BUCKET"),
        ("RECCLI_BUCKET", "RECCLI_S3__BUCKET"),
        ("RECCLI_LINK_STYLE", "RECCLI_LINKS__STYLE"),
    ],
)
def test_a_variable_that_is_nearly_ours_is_told(name: str, meant: str) -> None:
    assert warnings(**{name: "x"}) == (f"{name}: not read; did you mean {meant}?",)


def test_variables_of_others_are_not() -> None:
    names = ("RECCLI_SERVICE_HOST", "RECCLI_PORT", "RECCLI_PORT_8080_TCP_ADDR", "RECCLI_CONFIG")
    assert warnings(**dict.fromkeys(names, "some.toml")) == ()


def test_the_token_of_a_region_that_is_not_listed_is_told() -> None:
    text = '[[twilio.regions]]\nregion = "au1"\nedge = "sydney"\n'
    told = warnings(text, TWILIO_AU1_AUTH_TOKEN="t", TWILIO_IE1_AUTH_TOKEN="t")
    assert told == (
        "TWILIO_IE1_AUTH_TOKEN: not read, for no [[twilio.regions]] has region = 'ie1'",
    )


# --- a file that others may read


def with_mode(mode: int, text: str) -> tuple[str, ...]:
    file = Path("some.toml")
    file.write_text(text)
    file.chmod(mode)
    return load(file, env=ENV).warnings


SECRETS = [
    ("twilio.auth_token", '[twilio]\nauth_token = "s3cr3t"\n'),
    (
        "twilio.regions[0].auth_token",
        '[[twilio.regions]]\nregion="au1"\nedge="x"\nauth_token="s"\n',
    ),
    ("links.secret", '[links]\nsecret = "s3cr3t"\n'),
    ("ledger.url", '[ledger]\nurl = "postgresql://u:s3cr3t@h/d"\n'),
    ("ledger.url", '[ledger]\nurl = "postgresql://h/d?password=s3cr3t"\n'),
]


@pytest.mark.parametrize(("key", "text"), SECRETS)
def test_a_secret_that_others_may_read_is_told_once(key: str, text: str) -> None:
    for mode in (0o644, 0o640, 0o604):
        file = Path("some.toml")
        file.write_text(text)
        file.chmod(mode)
        token = "" if key == "twilio.auth_token" else "of-the-environment"
        (told,) = load(file, env={**ENV, "TWILIO_AUTH_TOKEN": token}).warnings
        wanted = "some.toml: others may read it, and it holds {}: chmod 600 some.toml"
        assert told == wanted.format(key)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o600, '[links]\nsecret = "s3cr3t"\n'),
        (0o400, '[links]\nsecret = "s3cr3t"\n'),
        (0o711, '[links]\nsecret = "s3cr3t"\n'),
        (0o644, '[links]\nsecret = ""\n'),
        (0o644, '[twilio]\nauth_token = "s3cr3t"\n'),  # the environment's token is in use
        (0o644, '[ledger]\nurl = "sqlite:///l.db"\n'),
        (0o644, '[s3]\nregion = "eu-west-1"\n'),
    ],
)
def test_nor_is_what_holds_no_secret_or_is_closed(mode: int, text: str) -> None:
    assert with_mode(mode, text) == ()


def test_the_group_of_another_users_file_may_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    text = '[links]\nsecret = "s3cr3t"\n'
    assert with_mode(0o640, text) == ()
    (told,) = with_mode(0o644, text)
    assert "make it belong to the user that runs reccli, then chmod 600" in told


# --- no place for local state


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep temporary directories here."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    state._temporary.cache_clear()  # noqa: SLF001
    return place


def test_without_a_home_state_is_kept_in_a_temporary_directory(
    tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    place = tmp / f"reccli-{os.getuid()}"
    settings = load(None, env=ENV)
    assert settings.warnings == (
        f"HOME is not set, so local state is in {place}, which does not last: set STATE_DIRECTORY",
    )
    assert settings.ledger.url.get_secret_value() == f"sqlite:///{place}/ledger.sqlite3"
    assert state_dir({}) == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert load(None, env={**ENV, "STATE_DIRECTORY": "/var/lib/reccli"}).warnings == ()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp / "xdg"))
    assert load(None, env=ENV).warnings == ()
    assert state_dir({}) == tmp / "xdg/reccli"
    assert not state_dir({}).exists()


@pytest.mark.parametrize("home", ["/dev/null", "file"])
def test_nor_in_a_home_that_is_none(tmp: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    Path("file").touch(mode=0o700)
    monkeypatch.setenv("HOME", home if home.startswith("/") else str(Path(home).absolute()))
    (told,) = load(None, env=ENV).warnings
    assert "reccli cannot be written, so local state is in" in told
    assert state_dir({}).parent == tmp


@pytest.mark.parametrize("closed", ["access", "exists"])
def test_nor_in_one_that_is_closed_to_us(
    tmp: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    if closed == "access":
        monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    else:
        monkeypatch.setattr(Path, "exists", lambda _path: (_ for _ in ()).throw(PermissionError))
    assert state_dir({}).parent == tmp


def test_where_nothing_can_be_made_nothing_is_kept(
    tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp / "missing"))
    (told,) = load(None, env=ENV).warnings
    assert told == (
        "HOME is not set, so no local state is kept (No such file or directory): "
        "set STATE_DIRECTORY"
    )


@pytest.mark.parametrize("squat", ["open", "link", "file", "foreign"])
def test_a_directory_of_that_name_that_is_not_ours_is_not_taken(
    tmp: Path, monkeypatch: pytest.MonkeyPatch, squat: str
) -> None:
    monkeypatch.delenv("HOME")
    place, other = tmp / f"reccli-{os.getuid()}", tmp / "other"
    if squat == "open":
        place.mkdir()
        place.chmod(0o750)
    elif squat == "link":
        other.mkdir(mode=0o700)
        place.symlink_to(other)
    elif squat == "file":
        place.touch(mode=0o600)
    else:
        place.mkdir(mode=0o700)
        owner = os.getuid()
        monkeypatch.setattr(state, "_owner", lambda: owner + 1)
        place.rename(tmp / f"reccli-{owner + 1}")
        place = tmp / f"reccli-{owner + 1}"
    taken = state_dir({})
    assert taken != place
    assert (taken.parent, stat.S_IMODE(taken.stat().st_mode)) == (tmp, 0o700)
    assert state_dir({}) == taken
