"""Settings: what is read, from where, and what is refused before anything is touched."""

from __future__ import annotations

import json
import os
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from reccli import wiring
from reccli.config import ConfigError, Region, Settings, find_config, load, state_dir
from reccli.config.validators import LONGEST_HOURS
from reccli.core.asked import Observation, Policy
from reccli.core.model import (
    LinkState,
    Reason,
    S3State,
    Step,
    StepKind,
    TwilioState,
)
from reccli.core.plan import decide

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
SID = "AC" + "0123456789abcdef" * 2
TOKEN = "f00dfeedf00dfeedf00dfeedf00dfeed"
ENV = {
    "TWILIO_ACCOUNT_SID": SID,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine is found by accident."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(text: str, tmp_path: Path, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), env={**ENV, **env})
    assert caught.value.problems == str(caught.value).splitlines()
    return caught.value.problems


def problem(text: str, tmp_path: Path, **env: str) -> str:
    (line,) = problems(text, tmp_path, **env)
    return line


# --- sources


def test_the_environment_alone_is_enough_and_the_rest_is_the_contract(tmp_path: Path) -> None:
    settings = load(None, env={**ENV, "STATE_DIRECTORY": f"{tmp_path}/a b?:{tmp_path}/other"})
    assert settings.file is None
    assert settings.twilio.account_sid == SID
    assert settings.twilio.auth_token.get_secret_value() == TOKEN
    assert settings.s3.bucket == "calls"
    assert settings.s3.region == "ap-southeast-2"
    assert settings.s3.prefix == "call-recordings/"
    assert settings.airtable.link_fields == ("Recording URL (Twilio/S3)", "Transfer Recording URL")
    assert settings.airtable.key_fields == {"provider": "Provider", "employee": "Employee"}
    assert settings.links.ttl_hours == 168
    assert settings.engine.concurrency == 32
    assert settings.ledger.url.get_secret_value() == f"sqlite:///{tmp_path}/a%20b%3F/ledger.sqlite3"


def test_each_source_beats_those_below_it(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    file = written(tmp_path, '[s3]\nbucket = "from-file"\n')
    bare = {name: value for name, value in ENV.items() if name != "AWS_S3_BUCKET"}
    seen = []

    def bucket(env: dict[str, str]) -> None:
        settings = load(file, env=env)
        seen.append((settings.s3.bucket, settings.origin("s3.bucket")))

    bucket(bare)
    (credentials / "s3__bucket").write_text("from-credentials\n")
    bare["CREDENTIALS_DIRECTORY"] = str(credentials)
    bucket(bare)
    bare["S3_BUCKET"] = "from-s3-bucket"
    bucket(bare)
    bare["AWS_S3_BUCKET"] = "from-aws-s3-bucket"
    bucket(bare)
    bare["RECCLI_S3__BUCKET"] = "from-reccli"
    bucket(bare)
    assert seen == [
        ("from-file", str(file)),
        ("from-credentials", f"file {credentials}/s3__bucket"),
        ("from-s3-bucket", "env S3_BUCKET"),
        ("from-aws-s3-bucket", "env AWS_S3_BUCKET"),
        ("from-reccli", "env RECCLI_S3__BUCKET"),
    ]


@pytest.mark.parametrize(
    "name",
    ["twilio__auth_token", "RECCLI_TWILIO__AUTH_TOKEN", "TWILIO_AUTH_TOKEN", "twilio_auth_token"],
)
def test_a_credential_file_may_have_any_name_of_its_key(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("from-a-file\n")
    (tmp_path / "tls.key").write_bytes(b"\xff not ours, not read")
    env = {**ENV, "TWILIO_AUTH_TOKEN": "", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(None, env=env).twilio.auth_token.get_secret_value() == "from-a-file"


def test_credential_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    line = problem("", tmp_path, CREDENTIALS_DIRECTORY=str(missing))
    assert line == f"{missing}: No such file or directory"
    garbled = tmp_path / "credentials/s3__bucket"
    garbled.parent.mkdir()
    garbled.write_bytes(b"\xff")
    line = problem("", tmp_path, CREDENTIALS_DIRECTORY=str(garbled.parent))
    assert line == f"{garbled}: not UTF-8"


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    file = written(tmp_path, '[s3]\nbucket = "kept"\n')
    env = {**ENV, "AWS_S3_BUCKET": " ", "RECCLI_S3__BUCKET": "", "AWS_REGION": ""}
    settings = load(file, env=env)
    assert (settings.s3.bucket, settings.s3.region) == ("kept", "ap-southeast-2")


def test_lists_and_tables_in_the_environment() -> None:
    env = {
        **ENV,
        "RECCLI_AIRTABLE__LINK_FIELDS": '["One, two", "Three"]',
        "RECCLI_AIRTABLE__KEY_FIELDS__AGENT": "Agent name",
        "RECCLI_ALERTS__NOTIFY": "slack://token/a,b",
        "RECCLI_TWILIO__REGIONS": json.dumps([{"region": "ie1", "edge": "dublin"}]),
        "TWILIO_IE1_AUTH_TOKEN": "token-of-ie1",
    }
    settings = load(None, env=env)
    assert settings.airtable.link_fields == ("One, two", "Three")
    assert settings.airtable.key_fields == {"agent": "Agent name"}
    assert [url.get_secret_value() for url in settings.alerts.notify] == ["slack://token/a,b"]
    assert settings.twilio.regions[0].auth_token.get_secret_value() == "token-of-ie1"


def test_a_broken_list_in_the_environment_is_told_without_its_value() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, env={**ENV, "RECCLI_ALERTS__NOTIFY": '["slack://s3cr3t'})
    assert caught.value.problems == ["alerts.notify: not valid JSON (env RECCLI_ALERTS__NOTIFY)"]


def test_a_region_takes_its_own_token_from_the_environment(tmp_path: Path) -> None:
    text = """
        [[twilio.regions]]
        region = "au1"
        edge = "sydney"
        auth_token = "from-file"
        [[twilio.regions]]
        region = "ie1"
        api_base = "https://api.dublin.ie1.twilio.com/"
        """
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "twilio_ie1_auth_token").write_text("of-ie1")
    env = {
        **ENV,
        "TWILIO_AU1_AUTH_TOKEN": "of-au1",
        "TWILIO_US1_AUTH_TOKEN": "not listed, not read",
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    au1, ie1 = load(written(tmp_path, text), env=env).twilio.regions
    assert au1.auth_token.get_secret_value() == "of-au1"
    assert ie1.auth_token.get_secret_value() == "of-ie1"
    assert ie1.api_base == "https://api.dublin.ie1.twilio.com"


def test_the_file_is_looked_for_in_order(tmp_path: Path) -> None:
    named, variable = tmp_path / "named.toml", tmp_path / "variable.toml"
    local, xdg = tmp_path / "reccli.toml", tmp_path / "xdg/reccli/config.toml"
    home = tmp_path / "home/.config/reccli/config.toml"
    for file in (named, variable, local, xdg, home):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    env = {"RECCLI_CONFIG": str(variable), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_config(named, env) == named
    assert find_config(None, env) == variable
    del env["RECCLI_CONFIG"]
    assert find_config(None, env) == Path("reccli.toml")
    local.unlink()
    assert find_config(None, env) == xdg
    assert find_config(None, {}) == home


@pytest.mark.parametrize("error", [PermissionError, RuntimeError])
def test_a_home_that_is_closed_or_unknown_holds_no_file(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    real = Path.is_file

    def is_file(path: Path) -> bool:
        if ".config" in path.parts:
            raise error
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    assert find_config(None, {}) is None
    with pytest.raises(ConfigError, match="no such file"):
        find_config(Path("/closed/.config/x.toml"), {})
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without entry
    assert find_config(None, {}) is None


def test_twilio_writes_hex_digits_in_either_case() -> None:
    env = {**ENV, "TWILIO_ACCOUNT_SID": "AC" + "5aF0" * 8, "RECCLI_TWILIO__API_KEY_SECRET": "s"}
    env["RECCLI_TWILIO__API_KEY_SID"] = "SK" + "5A" * 16
    settings = load(None, env=env)
    assert settings.twilio.account_sid == env["TWILIO_ACCOUNT_SID"]
    assert settings.twilio.api_key_sid == env["RECCLI_TWILIO__API_KEY_SID"]


@pytest.mark.parametrize("retention", [timedelta(hours=LONGEST_HOURS * 100), timedelta.max])
@pytest.mark.parametrize("age", [timedelta(), timedelta(days=9), -timedelta(minutes=1)])
def test_a_retention_beyond_the_calendar_means_never(retention: timedelta, age: timedelta) -> None:
    kept = Observation(TwilioState.COMPLETED, S3State.VERIFIED, LinkState.S3_LINK, age)
    step = decide(kept, Policy(retention), datetime(2026, 11, 22, tzinfo=UTC))
    assert step == Step(StepKind.WAIT, Reason.IN_RETENTION, None)


def test_a_named_file_must_exist_and_a_usual_one_need_not(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    for path, env in ((missing, ENV), (None, {**ENV, "RECCLI_CONFIG": str(missing)})):
        with pytest.raises(ConfigError, match=re.escape(f"{missing}: no such file")):
            load(path, env=env)


def test_a_syntax_error_names_file_and_line_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    line = problem('[twilio]\nauth_token = "s3cr3t\n', tmp_path)
    assert line.startswith(f"{file}: ")
    assert "line 2" in line
    assert "s3cr3t" not in line
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file, env=ENV)


def test_state_directory_of_systemd_comes_first() -> None:
    assert state_dir({"STATE_DIRECTORY": "/var/lib/reccli:/var/lib/other"}) == Path(
        "/var/lib/reccli"
    )
    assert state_dir({}).name == "reccli"


# --- problems


def test_every_problem_is_told_at_once_with_its_key_and_origin(tmp_path: Path) -> None:
    text = """
        [twilio]
        retention_hours = -1
        auth_tokn = "s3cr3t"
        [s3]
        storage = "STANDARD"
        [engine]
        concurrency = 0
        [linx]
        style = "object"
        """
    file = tmp_path / "some.toml"
    found = problems(text, tmp_path, TWILIO_ACCOUNT_SID="nonsense", AIRTABLE_BASE_ID="")
    assert sorted(found) == [
        "airtable.base_id: missing; set it in the file or in AIRTABLE_BASE_ID",
        f"engine.concurrency: Input should be greater than or equal to 1 ({file})",
        f"linx: unknown section, did you mean links? ({file})",
        f"s3.storage: unknown key, did you mean storage_class? ({file})",
        "twilio.account_sid: must be AC and 32 hex digits (env TWILIO_ACCOUNT_SID)",
        f"twilio.auth_tokn: unknown key, did you mean auth_token? ({file})",
        f"twilio.retention_hours: Input should be greater than or equal to 0 ({file})",
    ]


def test_a_key_of_another_section_is_named_with_it(tmp_path: Path) -> None:
    line = problem('[twilio]\nbucket = "x"\n', tmp_path)
    assert "twilio.bucket: unknown key, did you mean s3.bucket?" in line


def test_a_key_like_no_other_gets_the_list(tmp_path: Path) -> None:
    line = problem("[safety]\nzzz = 1\n", tmp_path)
    assert "known here: max_deletes, max_delete_fraction" in line


def test_unknown_keys_are_found_in_every_source(tmp_path: Path) -> None:
    (tmp_path / "s3__buket").write_text("x")
    lines = problems(
        '[[twilio.regions]]\nregion = "au1"\nedge = "sydney"\nauth_token = "t"\ntoken = "x"\n',
        tmp_path,
        RECCLI_S3__REGON="x",
        RECCLI_TWILIO_AUTH_TOKEN="x",
        CREDENTIALS_DIRECTORY=str(tmp_path),
    )
    assert sorted(lines) == [
        "RECCLI_TWILIO_AUTH_TOKEN: not read; did you mean RECCLI_TWILIO__AUTH_TOKEN?",
        f"s3.buket: unknown key, did you mean bucket? (file {tmp_path}/s3__buket)",
        "s3.regon: unknown key, did you mean region? (env RECCLI_S3__REGON)",
        f"twilio.regions[0].token: unknown key, did you mean auth_token? ({tmp_path}/some.toml)",
    ]


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    assert problem('s3 = "x"\n', tmp_path).startswith("s3: must be a table, written [s3] (")
    assert problem("bucket = 5\n", tmp_path).startswith("bucket: unknown section, did you mean s3")
    assert problem("twilio.regions = [5]\n", tmp_path).startswith("twilio.regions[0]: must be a ta")


@pytest.mark.parametrize(
    ("section", "body", "expected"),
    [
        ("twilio", 'account_sid = "AC…"', None),  # the environment has a good one
        ("twilio", 'api_key_sid = "SK1"', "twilio.api_key_sid: must be SK and 32 hex digits"),
        ("twilio", f'api_key_sid = "SK{SID[2:]}"', "twilio.api_key_secret: must be given together"),
        ("twilio", 'api_base = "http://api.twilio.com"', "twilio.api_base: must be https"),
        ("twilio", 'api_base = "http://127.0.0.1:8080"', None),
        ("twilio", 'api_base = "http://[::1]:8080"', None),
        ("twilio", 'api_base = "http://localhost.evil.example"', "twilio.api_base: must be https"),
        ("twilio", 'api_base = "https://a:b@api.twilio.com"', "twilio.api_base: must not hold"),
        ("twilio", 'api_base = "https://api.twilio.com\\\\@x"', "twilio.api_base: is not a URL"),
        ("twilio", 'api_base = "https://api.twi\\tlio.com"', "twilio.api_base: is not a URL"),
        ("twilio", 'api_base = "https://x:99999"', "twilio.api_base: is not a URL"),
        ("twilio", 'api_base = "https://x/?q=1"', "twilio.api_base: must not have a query"),
        ("twilio", 'api_base = "ftp://x"', "twilio.api_base: must be an http"),
        ("twilio", 'api_base = "https://"', "twilio.api_base: must be an http"),
        ("twilio", 'api_base = ""', "twilio.api_base: must not be empty"),
        ("twilio", 'media_format = "ogg"', "twilio.media_format: Input should be 'mp3' or 'wav'"),
        ("twilio", "retention_hours = inf", "twilio.retention_hours: Input should be a finite"),
        ("twilio", "retention_hours = nan", "twilio.retention_hours:"),
        ("twilio", "retention_hours = 0", None),
        ("twilio", "retention_hours = 876000", None),
        ("twilio", "retention_hours = 1e300", "twilio.retention_hours: Input should be less"),
        (
            "links",
            'style = "object"\nrefresh_before_hours = 1e300',
            "links.refresh_before_hours: Input should be less",
        ),
        ("links", 'style = "object"\nttl_hours = 1e300', "links.ttl_hours: Input should be less"),
        ("alerts", "window_hours = 1e300", "alerts.window_hours: Input should be less"),
        ("s3", 'prefix = "/x"', "s3.prefix: must not begin with a slash"),
        ("s3", 'prefix = "a//b"', "s3.prefix: must not begin with a slash, nor"),
        ("s3", 'prefix = "a/../b"', "s3.prefix: must not have a part that is"),
        ("s3", 'prefix = "a b"', "s3.prefix: may only have"),
        ("s3", 'key_template = "{recording_sid}"', "s3.key_template: must have {ext}"),
        ("s3", 'key_template = "{call_sid}.{ext}"', "s3.key_template: must have {recording_sid}"),
        ("s3", 'key_template = "/{recording_sid}.{ext}"', "s3.key_template: must not begin"),
        ("s3", 'key_template = "../{recording_sid}.{ext}"', "s3.key_template: must not have a"),
        ("s3", 'key_template = "{recording_sid}{ext"', "s3.key_template: has an unpaired"),
        ("s3", 'key_template = "{recording_sid!r}{ext}"', "s3.key_template: may only have plain"),
        ("s3", 'key_template = "{recording_sid:9}{ext}"', "s3.key_template: may only have plain"),
        ("s3", 'key_template = "{recording_sid}{ext}{{"', "s3.key_template: may only have plain"),
        (
            "s3",
            'key_template = "{recording_sid.x}/{recording_sid}.{ext}"',
            "s3.key_template: unknown",
        ),
        (
            "s3",
            'key_template = "{who}/{recording_sid}.{ext}"',
            "s3.key_template: unknown placehold",
        ),
        ("s3", 'key_template = "{call_sid}{recording_sid}.{ext}"', "s3.key_template: must keep"),
        ("s3", 'key_template = "a{recording_sid}.{ext}"', "s3.key_template: must keep"),
        ("s3", 'key_template = "{recording_sid}{ext}"', "s3.key_template: must keep"),
        ("s3", 'key_template = "{recording_sid}x.{ext}"', "s3.key_template: must keep"),
        ("s3", 'key_template = "{ext}_{recording_sid}"', None),
        ("s3", 'key_template = "{employee}/{date}/{recording_sid}.{ext}"', None),
        ("s3", 'storage_class = "GLACIER"', "s3.storage_class: GLACIER cannot be read at once"),
        ("s3", 'storage_class = "DEEP_ARCHIVE"', "s3.storage_class: DEEP_ARCHIVE cannot be read"),
        ("s3", 'accept_archive_class = true\nstorage_class = "GLACIER"', None),
        ("s3", 'accept_archive_class = true\nstorage_class = "DEEP_ARCHIVE"', None),
        (
            "s3",
            'accept_archive_class = true\nstorage_class = "ARCHIVE"',
            "s3.storage_class: must be one of STANDARD,",
        ),
        (
            "s3",
            'accept_archive_class = "maybe"\nstorage_class = "GLACIER"',
            "s3.accept_archive_class: Input should be a valid boolean",
        ),
        ("s3", "verifies_checksums = 2", "s3.verifies_checksums: Input should be a valid boolean"),
        ("s3", "verifies_checksums = true", None),
        (
            "s3",
            'signing_access_key_id = "k"',
            "s3.signing_secret_access_key: must be given together with signing_access_key_id",
        ),
        ("s3", 'signing_secret_access_key = "k"', "s3.signing_secret_access_key: must be given to"),
        ("s3", 'signing_access_key_id = "k"\nsigning_secret_access_key = "s"', None),
        ("s3", 'storage_class = "standard"', "s3.storage_class: must be one of STANDARD,"),
        ("s3", 'server_side_encryption = "AES"', "s3.server_side_encryption: Input should be"),
        ("s3", 'server_side_encryption = ""', None),
        ("s3", 'kms_key_id = "k"', "s3.kms_key_id: needs server_side_encryption"),
        ("s3", 'server_side_encryption = "aws:kms"\nkms_key_id = "k"', None),
        ("s3", 'endpoint_url = "http://minio:9000"', None),
        ("s3", 'access_key_id = "k"', "s3.secret_access_key: must be given together"),
        ("airtable", "link_fields = []", "airtable.link_fields: Tuple should have at least 1"),
        (
            "airtable",
            'link_fields = ["a", "a"]',
            "airtable.link_fields: must not name a field twice",
        ),
        ("airtable", 'link_fields = ["a", ""]', "airtable.link_fields[1]: must not be empty"),
        ("airtable", "requests_per_second = 0", "airtable.requests_per_second: Input should be gr"),
        ("airtable", "requests_per_second = 5", None),
        (
            "airtable",
            "requests_per_second = 5.1",
            "airtable.requests_per_second: must be at most 5",
        ),
        ("airtable", 'requests_per_second = 50\nendpoint_url = "http://127.0.0.1:8080"', None),
        ("airtable", 'requests_per_second = 6\nendpoint_url = "http://localhost:1"', None),
        (
            "airtable",
            'requests_per_second = 6\nendpoint_url = "https://localhost.evil.example"',
            "airtable.requests_per_second: must be at most 5",
        ),
        (
            "airtable",
            'requests_per_second = 51\nendpoint_url = "http://[::1]:8080"',
            "airtable.requests_per_second: Input should be less",
        ),
        ("airtable", 'table = " "', "airtable.table: must not be empty"),
        (
            "airtable.key_fields",
            'call_sid = "X"',
            "airtable.key_fields: must not redefine call_sid",
        ),
        ("links", "ttl_hours = 169", "links.ttl_hours: must be at most 168"),
        (
            "links",
            "ttl_hours = 48",
            "links.refresh_before_hours: must be less than links.ttl_hours",
        ),
        ("links", 'style = "object"\nttl_hours = 9000', None),
        ("links", 'style = "object"\nbase_url = "https://cdn.example"', None),
        (
            "links",
            f'style = "permalink"\nsecret = "{"s" * 32}"',
            "links.base_url: missing; permalinks need",
        ),
        (
            "links",
            f'style = "permalink"\nbase_url = "https://x/a/b"\nsecret = "{"s" * 32}, old"',
            None,
        ),
        *(
            (
                "links",
                f'style = "permalink"\nbase_url = "https://x"\nsecret = "{secret}"',
                "links.secret: its first part is too short; permalinks are signed with at least 32",
            )
            for secret in ("s" * 31, f"short,{'s' * 32}", f"{'s' * 16},{'s' * 16}")
        ),
        ("links", 'secret = "short"', None),  # it may verify what is out there; it signs nothing
        (
            "links",
            'style = "permalink"\nbase_url = "https://x"',
            "links.secret: missing; permalinks",
        ),
        ("links", 'secret = "a,,b"', "links.secret: has an empty part"),
        ("ledger", 'url = "mysql://u:pw@h/d"', "ledger.url: must be sqlite:///"),
        ("ledger", 'url = "sqlite://"', "ledger.url: must be sqlite:///"),
        ("engine", "concurrency = 257", "engine.concurrency: Input should be less"),
        ("engine", 'kind = "ray"', "engine.kind: Input should be 'threads' or 'dask'"),
        ("engine", 'scheduler = "host:8786"', "engine.scheduler: must be an address"),
        ("safety", "max_delete_fraction = 1.1", "safety.max_delete_fraction: Input should be less"),
        ("safety", "max_deletes = -1", "safety.max_deletes: Input should be greater"),
        ("webhook", 'public_url = "http://calls.example.com"', "webhook.public_url: must be https"),
        ("webhook", f'password = "{"p" * 16}"', None),
        ("webhook", f'password = "{"p" * 15}"', "webhook.password: must have at least 16 chara"),
        ("webhook", "port = 65536", "webhook.port: Input should be less"),
        ("alerts", 'healthcheck_url = "https://hc.example/ping?a=1"', None),
        ("alerts", 'healthcheck_url = "hc"', "alerts.healthcheck_url: must be an http"),
        ("alerts", "fallback_rate_above = 5", "alerts.fallback_rate_above: Input should be less"),
    ],
)
def test_what_is_taken_and_what_is_refused(
    tmp_path: Path, section: str, body: str, expected: str | None
) -> None:
    text = f"[{section}]\n{body}\n"
    if expected is None:
        load(written(tmp_path, text), env=ENV)
    else:
        line = problem(text, tmp_path)
        assert line.startswith(expected)
        assert "{known}" not in line


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ('region = "au1"\nauth_token = "t"', "twilio.regions[0].edge: missing; a region needs"),
        ('region = "au1"\nedge = "sydney"', "twilio.regions[0].auth_token: missing; set it in"),
        ('region = "sydney"\nedge = "x"\nauth_token = "t"', "twilio.regions[0].region: must be a"),
        ('edge = "x"\nauth_token = "t"', "twilio.regions[0].region: missing"),
    ],
)
def test_a_region_needs_host_and_token(tmp_path: Path, region: str, expected: str) -> None:
    assert problem(f"[[twilio.regions]]\n{region}\n", tmp_path).startswith(expected)


def test_a_region_is_listed_once(tmp_path: Path) -> None:
    text = '[[twilio.regions]]\nregion = "au1"\nedge = "sydney"\nauth_token = "t"\n' * 2
    assert problem(text, tmp_path).startswith("twilio.regions: must not list a region twice")


def test_twilio_needs_some_credentials(tmp_path: Path) -> None:
    assert problem("", tmp_path, TWILIO_AUTH_TOKEN="").startswith("twilio.auth_token: missing")
    key = f'[twilio]\napi_key_sid = "SK{SID[2:]}"\napi_key_secret = "s"\n'
    settings = load(written(tmp_path, key), env={**ENV, "TWILIO_AUTH_TOKEN": ""})
    assert not settings.twilio.auth_token


@pytest.mark.parametrize(
    ("given", "meant"), [("", ""), ("a", "a/"), ("a/b/", "a/b/"), ("a//", "a/")]
)
def test_the_prefix_ends_in_one_slash(tmp_path: Path, given: str, meant: str) -> None:
    settings = load(written(tmp_path, f'[s3]\nprefix = "{given}"\n'), env=ENV)
    assert settings.s3.prefix == meant


# --- secrets


def test_no_message_and_no_repr_holds_a_secret(tmp_path: Path) -> None:
    secrets = ["s3cr3t one", "s3cr3t-two", "s3cr3t\tthree", "postgresql://u:s3cr3t4@[x/y"]
    text = f"""
        [twilio]
        auth_token = {json.dumps(secrets[0])}
        api_key_secret = {json.dumps(secrets[1])}
        [airtable]
        api_key = {json.dumps(secrets[2])}
        [ledger]
        url = {json.dumps(secrets[3])}
        [alerts]
        notify = [["s3cr3t"]]
        """
    env = {name: ENV[name] for name in ("TWILIO_ACCOUNT_SID", "AWS_S3_BUCKET", "AIRTABLE_BASE_ID")}
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), env=env)
    assert len(caught.value.problems) == 5
    assert "s3cr3t" not in str(caught.value)
    settings = load(None, env={**ENV, "RECCLI_LEDGER__URL": "postgresql://u:p%40ssword@h/d"})
    shown = repr(settings) + str(settings.model_dump())
    assert not any(
        secret in shown for secret in (TOKEN, "patSecretSecret", "p@ssword", "%40ssword")
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:a@b:TAIL@h:5432/d",
        "postgresql://u:p@TAIL@h/d",
        "postgresql://u@h:TAIL/d",
    ],
)
def test_a_password_that_breaks_the_url_is_told_and_not_shown(tmp_path: Path, url: str) -> None:
    told = problem("", tmp_path, RECCLI_LEDGER__URL=url)
    assert told.startswith("ledger.url: is not a URL; in a password write @")
    assert "TAIL" not in told


def test_a_password_in_the_query_is_redacted_too(tmp_path: Path) -> None:
    settings = load(None, env={**ENV, "RECCLI_LEDGER__URL": "postgresql://h/d?password=in%40query"})
    assert "in@query" in settings.secret_values()


def test_every_secret_is_known_to_the_redaction(tmp_path: Path) -> None:
    text = """
        [s3]
        signing_access_key_id = "k"
        signing_secret_access_key = "signing"
        [links]
        secret = "first, second"
        [ledger]
        url = "postgresql+psycopg://u:p%40ssword@h/d"
        [alerts]
        notify = ["slack://token"]
        [[twilio.regions]]
        region = "au1"
        edge = "sydney"
        auth_token = "of-au1"
        """
    settings = load(written(tmp_path, text), env=ENV)
    assert settings.links.secrets == ("first", "second")
    assert set(settings.secret_values()) == {
        *(TOKEN, "patSecretSecret", "first, second", "first", "second"),
        *("p%40ssword", "p@ssword", "slack://token", "of-au1", "signing"),
    }


def test_tokens_are_rotated_like_link_secrets(tmp_path: Path) -> None:
    text = """
        [[twilio.regions]]
        region = "au1"
        edge = "sydney"
        auth_token = "next,of-au1"
        """
    settings = load(written(tmp_path, text), env={**ENV, "TWILIO_AUTH_TOKEN": "newer, older"})
    assert settings.twilio.auth_tokens == ("newer", "older")
    assert settings.twilio.regions[0].auth_tokens == ("next", "of-au1")
    assert {"newer", "older", "next", "of-au1"} <= set(settings.secret_values())
    assert [origin.password for origin in wiring.origins(settings)] == ["newer", "next"]
    assert wiring.signatures(settings).names == (
        *("twilio.auth_token", "twilio.auth_token, number 2"),
        *("auth_token of region au1", "auth_token of region au1, number 2"),
    )


@pytest.mark.parametrize("token", ["new,", "new,,old", ",", "new,o ld", "new,öld"])
def test_a_half_token_is_refused(tmp_path: Path, token: str) -> None:
    line = problem("", tmp_path, TWILIO_AUTH_TOKEN=token)
    assert line.startswith("twilio.auth_token: ")
    assert token not in line or token == ","


# --- the example


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """List the model's keys, nested as a TOML document is."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        kind: Any = info.annotation
        item = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if isinstance(item, type) and issubclass(item, BaseModel):
            found[name] = keys(item)
        else:
            found[name] = None
    return found


def shape(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        table = value[0] if value and isinstance(value, list) else value
        found[name] = shape(table) if isinstance(table, dict) and name != "key_fields" else None
    return found


def test_the_example_works_as_it_stands_and_says_the_defaults(tmp_path: Path) -> None:
    env = {**ENV, "STATE_DIRECTORY": str(tmp_path)}
    assert load(EXAMPLE, env=env).model_dump() == load(None, env=env).model_dump()


def test_the_example_has_exactly_the_keys_that_there_are() -> None:
    text = re.sub(r"(?m)^#(?=[\[a-z])", "", EXAMPLE.read_text(encoding="utf-8"))
    document = tomllib.loads(text)
    assert shape(document) == keys(Settings)
    assert set(document["twilio"]["regions"][0]) == set(Region.model_fields)


def test_the_example_says_something_on_every_key_and_names_every_variable() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for name in ("S3_BUCKET", "AWS_REGION", "AWS_S3_RECORDINGS_PREFIX", "TWILIO_AU1_AUTH_TOKEN"):
        assert name in text
    assert all(name in text for name in ENV)
