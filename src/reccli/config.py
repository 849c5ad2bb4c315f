"""Settings: every key that an operator can set, checked before anything is touched.

A wrong setting must never be found out half-way through a run that deletes
recordings. So everything is read once, from every source, every problem is
reported together, each with its key and where the value came from, and no
message ever holds a value, as any of them may be a secret.

This is the only module that imports pydantic, and pydantic is slow to import:
the command line imports this module lazily, inside a command.
"""

from __future__ import annotations

import copy
import difflib
import ipaddress
import json
import os
import re
import string
import tomllib
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin
from urllib.parse import quote, unquote, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["ConfigError", "Settings", "find_config", "load", "state_dir"]

PREFIX = "RECCLI_"
SIGV4_LIMIT_HOURS = 168

WELL_KNOWN = {  # of two names for one key, the first wins
    "TWILIO_ACCOUNT_SID": ("twilio", "account_sid"),
    "TWILIO_AUTH_TOKEN": ("twilio", "auth_token"),
    "AWS_S3_BUCKET": ("s3", "bucket"),
    "S3_BUCKET": ("s3", "bucket"),
    "AWS_REGION": ("s3", "region"),
    "AWS_S3_RECORDINGS_PREFIX": ("s3", "prefix"),
    "AIRTABLE_API_KEY": ("airtable", "api_key"),
    "AIRTABLE_BASE_ID": ("airtable", "base_id"),
}
_REGION_TOKEN = re.compile(r"TWILIO_[A-Z]{2}[0-9]+_AUTH_TOKEN")
TEMPLATE_NAMES = frozenset({"call_sid", "recording_sid", "ext", "account_sid", "date"})


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the lines apart, so that `--json` can list them."""
        super().__init__("\n".join(problems))
        self.problems = problems


# --- kinds of values -------------------------------------------------------------


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_url(value: str, *, query: bool = False, plain: bool = False) -> str:
    """Check a base URL; credentials will be sent there, so be strict about what it is."""
    if not value:
        return value
    # urlsplit drops tabs and line ends silently, and so would judge another URL.
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("is not a URL")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be an http(s) URL with a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if not query and (parts.query or parts.fragment or value.endswith(("?", "#"))):
        raise ValueError("must not have a query or a fragment")
    if parts.scheme == "http" and not plain and not _is_loopback(host):
        raise ValueError("must be https; plain http is for loopback hosts only")
    return value if query else value.rstrip("/")


def _like(pattern: str, what: str) -> AfterValidator:
    """Check for a pattern, in words that people understand."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(check)


def _check_given(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    """Refuse what would fail later as a garbled header: blanks, "…", half a paste."""
    text = value.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds blanks or characters that it cannot have")
    return SecretStr(text)


def _check_prefix(value: str) -> str:
    value = value and value.rstrip("/") + "/"
    _check_key(value)
    return value


def _check_key(value: str) -> None:
    """Keep to characters that mean the same to every store, proxy and URL parser."""
    if value.startswith("/") or "//" in value:
        raise ValueError("must not begin with a slash, nor have an empty part")
    if {".", ".."} & set(value.split("/")):
        raise ValueError("must not have a part that is '.' or '..'")
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/=-]*", value):
        raise ValueError("may only have letters, digits and ! - _ . * ' ( ) = /")


def _template_names(template: str) -> list[str]:
    """Name the placeholders of a key template, which is a format string without formats."""
    names = []
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError:
        raise ValueError("has an unpaired brace") from None
    for literal, name, spec, conversion in parsed:
        if spec or conversion or "{" in literal or "}" in literal:
            raise ValueError("may only have plain {placeholders}")
        if name is not None:
            names.append(name)
    return names


def _check_template(template: str) -> str:
    names = _template_names(template)
    _check_key(re.sub(r"\{[^}]*\}", "x", template))
    for name in ("recording_sid", "ext"):
        if name not in names:
            raise ValueError(f"must have {{{name}}}: one key for each recording")
    return template


def _check_unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("must not name a field twice")
    return values


def _check_storage_class(value: str) -> str:
    readable = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
    if value in {"GLACIER", "DEEP_ARCHIVE"}:
        raise ValueError(f"{value} cannot be read at once, so no link would work; GLACIER_IR can")
    if value not in readable:
        raise ValueError(f"must be one of {', '.join(readable)}")
    return value


def _check_ledger(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        urlsplit(text)
    except ValueError:
        raise ValueError("is not a URL") from None
    if not re.match(r"(sqlite:///|postgresql(\+psycopg)?://).", text):
        raise ValueError("must be sqlite:///<path> or postgresql+psycopg://…")
    return value


def _check_healthcheck(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), query=True)
    return value


Hours = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, AfterValidator(_check_given)]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
Url = Annotated[str, AfterValidator(_check_url)]
PlainUrl = Annotated[str, AfterValidator(lambda value: _check_url(value, plain=True))]
NO_SECRET = SecretStr("")


# --- the sections ----------------------------------------------------------------


class _Section(BaseModel):
    # validate_default: a check of one key against another lives on the later key, and
    # has to run when that key was left out; that is most often the mistake.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=True,
    )


class Region(_Section):
    """Recordings kept in another Twilio region, under that region's own token."""

    region: Annotated[str, _like(r"[a-z]{2}[0-9]+", "a region such as au1")]
    api_base: Url = ""
    edge: Annotated[str, _like(r"[a-z-]*", "an edge such as sydney")] = ""
    auth_token: Secret = NO_SECRET

    @field_validator("edge")
    @classmethod
    def _has_host(cls, edge: str, info: ValidationInfo) -> str:
        # Without an edge Twilio's own SDK makes api.<region>.twilio.com: a dead host.
        if not edge and not info.data.get("api_base", "invalid"):
            raise ValueError("missing; a region needs its edge (such as sydney) or an api_base")
        return edge

    @field_validator("auth_token")
    @classmethod
    def _has_token(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        if not token:
            name = str(info.data.get("region", "<region>")).upper()
            raise ValueError(f"missing; set it in the file or in TWILIO_{name}_AUTH_TOKEN")
        return token


class Twilio(_Section):
    """The account whose recordings are moved."""

    account_sid: Annotated[str, _like(r"AC[0-9a-f]{32}", "AC and 32 hex digits")]
    api_key_sid: Annotated[str, _like(r"(SK[0-9a-f]{32})?", "SK and 32 hex digits")] = ""
    api_key_secret: Secret = NO_SECRET
    auth_token: Secret = NO_SECRET
    api_base: Annotated[Url, AfterValidator(_check_given)] = "https://api.twilio.com"
    media_format: Literal["mp3", "wav"] = "mp3"
    retention_hours: Hours = 24
    regions: tuple[Region, ...] = ()

    @field_validator("api_key_secret")
    @classmethod
    def _is_pair(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(secret) != bool(info.data.get("api_key_sid", secret)):
            raise ValueError("must be given together with api_key_sid")
        return secret

    @field_validator("auth_token")
    @classmethod
    def _has_credentials(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        if not token and not info.data.get("api_key_secret", "invalid"):
            raise ValueError(
                "missing; set it in the file or in TWILIO_AUTH_TOKEN, "
                "or give api_key_sid and api_key_secret"
            )
        return token

    @field_validator("regions")
    @classmethod
    def _are_distinct(cls, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        if len({region.region for region in regions}) != len(regions):
            raise ValueError("must not list a region twice")
        return regions


class S3(_Section):
    """Where recordings end up, and how their objects are named and kept."""

    bucket: Annotated[str, _like(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", "a bucket name")]
    region: Annotated[str, _like(r"[a-z0-9-]+", "a region such as ap-southeast-2")] = (
        "ap-southeast-2"
    )
    prefix: Annotated[str, AfterValidator(_check_prefix)] = "call-recordings/"
    key_template: Annotated[str, AfterValidator(_check_template)] = (
        "{call_sid}/{recording_sid}.{ext}"
    )
    storage_class: Annotated[str, AfterValidator(_check_storage_class)] = "STANDARD_IA"
    server_side_encryption: Literal["AES256", "aws:kms", ""] = "AES256"
    kms_key_id: str = ""
    endpoint_url: PlainUrl = ""
    access_key_id: str = ""
    secret_access_key: Secret = NO_SECRET

    @field_validator("kms_key_id")
    @classmethod
    def _is_for_kms(cls, key: str, info: ValidationInfo) -> str:
        if key and info.data.get("server_side_encryption", "aws:kms") != "aws:kms":
            raise ValueError('needs server_side_encryption = "aws:kms"')
        return key

    @field_validator("secret_access_key")
    @classmethod
    def _is_pair(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(secret) != bool(info.data.get("access_key_id", secret)):
            raise ValueError("must be given together with access_key_id")
        return secret


class Airtable(_Section):
    """The base whose rows link to the recordings."""

    api_key: Secret
    base_id: Annotated[str, _like(r"[A-Za-z0-9_-]+", "a base id such as app…")]
    table: Text = "Call Logs"
    endpoint_url: Annotated[Url, AfterValidator(_check_given)] = "https://api.airtable.com"
    requests_per_second: Annotated[float, Field(gt=0, le=5)] = 4.5
    call_sid_field: Text = "CallSid"
    link_fields: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_check_unique)] = (
        "Recording URL (Twilio/S3)",
        "Transfer Recording URL",
    )
    key_fields: dict[Annotated[str, _like(r"[a-z][a-z0-9_]*", "a lower-case word")], Text] = {
        "provider": "Provider",
        "employee": "Employee",
    }

    @field_validator("key_fields")
    @classmethod
    def _shadows_nothing(cls, fields: dict[str, str]) -> dict[str, str]:
        if taken := TEMPLATE_NAMES & set(fields):
            raise ValueError(f"must not redefine {', '.join(sorted(taken))}")
        return fields


class Links(_Section):
    """What a row's link looks like, and how long it lives."""

    style: Literal["presigned", "permalink", "object"] = "presigned"
    ttl_hours: Annotated[float, Field(gt=0)] = SIGV4_LIMIT_HOURS
    refresh_before_hours: Hours = 48
    base_url: Url = ""
    secret: SecretStr = NO_SECRET

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that verifies a permalink; the first one signs new ones."""
        return tuple(part.strip() for part in self.secret.get_secret_value().split(",") if part)

    @field_validator("ttl_hours")
    @classmethod
    def _fits_sigv4(cls, hours: float, info: ValidationInfo) -> float:
        if info.data.get("style") == "presigned" and hours > SIGV4_LIMIT_HOURS:
            raise ValueError(f"must be at most {SIGV4_LIMIT_HOURS}: S3 signs no link for longer")
        return hours

    @field_validator("refresh_before_hours")
    @classmethod
    def _leaves_a_life(cls, hours: float, info: ValidationInfo) -> float:
        # A link that is due from birth would be signed again on every run.
        if info.data.get("style") == "presigned" and hours >= info.data.get("ttl_hours", hours + 1):
            raise ValueError("must be less than links.ttl_hours")
        return hours

    @field_validator("base_url")
    @classmethod
    def _names_the_host(cls, url: str, info: ValidationInfo) -> str:
        if info.data.get("style") == "permalink" and not url:
            raise ValueError("missing; permalinks need the public URL of `reccli serve`")
        return url

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        text = secret.get_secret_value()
        if info.data.get("style") == "permalink" and not text:
            raise ValueError("missing; permalinks are signed with it")
        if text and not all(part.strip() for part in text.split(",")):
            raise ValueError("has an empty part; several secrets are separated by single commas")
        return secret


class Ledger(_Section):
    """The local memory of callbacks, events and runs."""

    # A PostgreSQL URL may hold a password.
    url: Annotated[SecretStr, AfterValidator(_check_ledger)] = Field(
        default_factory=lambda: SecretStr(_default_ledger(os.environ))
    )


class Engine(_Section):
    """What carries the copies out."""

    kind: Literal["threads", "dask"] = "threads"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 32
    scheduler: Annotated[str, _like(r"|[a-z]+://\S+", "an address such as tcp://host:8786")] = ""


class Safety(_Section):
    """The brake on deleting many recordings at once."""

    max_deletes: Annotated[int, Field(ge=0)] = 5000
    max_delete_fraction: Fraction = 0.9


class Webhook(_Section):
    """Where callbacks come in."""

    public_url: Url = ""
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class Alerts(_Section):
    """When and how people hear of trouble."""

    fallback_rate_above: Fraction = 0.05
    window_hours: Annotated[float, Field(gt=0)] = 24
    # Apprise URLs carry tokens, and whoever knows a ping URL can silence the dead-man alarm.
    notify: tuple[Secret, ...] = ()
    healthcheck_url: Annotated[Secret, AfterValidator(_check_healthcheck)] = NO_SECRET
    metrics_file: str = ""


_LAYERS: ContextVar[tuple[dict[str, Any], ...]] = ContextVar("layers", default=())


class Settings(BaseSettings):
    """Everything `reccli` can be told, checked; made by `load`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        case_sensitive=True,
        validate_default=True,
    )

    twilio: Twilio
    s3: S3
    airtable: Airtable
    links: Links = Links()
    ledger: Ledger = Field(default_factory=Ledger)
    engine: Engine = Engine()
    safety: Safety = Safety()
    webhook: Webhook = Webhook()
    alerts: Alerts = Alerts()

    _file: Path | None = PrivateAttr(default=None)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def file(self) -> Path | None:
        """The file that was read, if there was one."""
        return self._file

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each key that was set came from, as `{"s3.bucket": "env AWS_S3_BUCKET"}`."""
        return self._origins

    def secret_values(self) -> list[str]:
        """Every secret that is set, for the log redaction; never for anything else."""
        found = [*_secrets_in(self), *self.links.secrets]
        url = self.ledger.url.get_secret_value()
        found.remove(url)  # as a whole it is a path, which people need to see
        if password := urlsplit(url).password:
            found += [password, unquote(password)]
        return [text for text in dict.fromkeys(found) if text]

    @field_validator("airtable")
    @classmethod
    def _template_is_known(cls, airtable: Airtable, info: ValidationInfo) -> Airtable:
        if s3 := info.data.get("s3"):
            known = sorted(TEMPLATE_NAMES | set(airtable.key_fields))
            if odd := sorted(set(_template_names(s3.key_template)) - set(known)):
                raise PydanticCustomError(
                    "template",
                    "unknown placeholder {odd}; known are {known}",
                    {"at": "s3.key_template", "odd": ", ".join(odd), "known": ", ".join(known)},
                )
        return airtable

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the layers of `load`; pydantic's own sources cannot say where a value is from."""
        layers = (InitSettingsSource(settings_cls, layer) for layer in _LAYERS.get())
        return (init_settings, *layers)


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets_in(item)


# --- where values come from ------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    """The values of one source, nested as the model is, and what to call their origin."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def put(self, path: tuple[str, ...], value: object, origin: str) -> None:
        """Set one value, unless an earlier name of the same source has set it."""
        node = self.values
        for part in path[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                return
            node = child
        if path[-1] not in node:
            node[path[-1]] = value
            self.origins[".".join(path)] = origin


Names = dict[str, tuple[str, str]]
"""Name → (text, where from), for what is given as single texts: variables and files."""


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where local state lives: what systemd gave, else the user's own directory."""
    given = env.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else platformdirs.user_state_path("reccli")


def _default_ledger(env: Mapping[str, str]) -> str:
    return f"sqlite:///{quote(str(state_dir(env) / 'ledger.sqlite3'))}"


def find_config(path: Path | None, env: Mapping[str, str] = os.environ) -> Path | None:
    """Find the file to read: one that was named must exist, the usual ones may."""
    named = path or env.get(f"{PREFIX}CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigError([f"{named}: no such file"])
        return Path(named)
    home = Path(env.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    usual = (Path("reccli.toml"), home / "reccli/config.toml", Path("/etc/reccli/config.toml"))
    return next((file for file in usual if file.is_file()), None)


def _from_file(file: Path | None, problems: list[str]) -> _Layer:
    layer = _Layer()
    if file is None:
        return layer
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: {error}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file}: not UTF-8"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: {error.strerror}"]) from None
    for section, body in document.items():
        if not isinstance(body, dict):
            if section in Settings.model_fields:  # else it is told as unknown
                problems.append(f"{section}: must be a table, written [{section}] ({file})")
            else:
                layer.put((section,), body, str(file))
            continue
        layer.put((section,), {}, str(file))
        for key, value in body.items():
            if value != "" or not _must_be_given(section, key):
                layer.put((section, key), value, str(file))
    return layer


def _must_be_given(section: str, key: str) -> bool:
    """Tell the keys for which "" in the file means that the environment has them."""
    known = _fields((section,)).get(key)
    return (section, key) == ("ledger", "url") or (known is not None and known.is_required())


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) or name in WELL_KNOWN or bool(_REGION_TOKEN.fullmatch(name))


def _from_variables(env: Mapping[str, str]) -> Names:
    return {
        name: (value.strip(), f"env {name}")
        for name, value in env.items()
        if value.strip() and _is_ours(name)
    }


def _from_credentials(env: Mapping[str, str], problems: list[str]) -> Names:
    """Read the files that systemd (LoadCredential=) or an orchestrator put there for us."""
    names: Names = {}
    if not (directory := env.get("CREDENTIALS_DIRECTORY")):
        return names
    try:
        for file in sorted(Path(directory).iterdir()):
            name = file.name.upper()
            if name.partition("__")[0].lower() in Settings.model_fields and "__" in name:
                name = PREFIX + name
            if not _is_ours(name) or not file.is_file():
                continue
            if text := file.read_text(encoding="utf-8").strip():
                names[name] = (text, f"file {file}")
    except OSError as error:
        problems.append(f"{error.filename or directory}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{file}: not UTF-8")
    return names


def _layer_of(names: Names, problems: list[str]) -> _Layer:
    layer = _Layer()
    near_misses = {
        f"{PREFIX}{section}_{key}".upper(): f"{PREFIX}{section}__{key}".upper()
        for section in Settings.model_fields
        for key in _fields((section,))
    }
    for name, (text, origin) in names.items():
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if name in near_misses:
            problems.append(f"{name}: not read; did you mean {near_misses[name]}?")
        elif name.startswith(PREFIX) and len(path) > 1:
            try:
                layer.put(path, _parsed(path, text), origin)
            except ValueError:
                problems.append(f"{'.'.join(path)}: not valid JSON ({origin})")
    for name, known in WELL_KNOWN.items():
        if name in names:
            layer.put(known, *names[name])
    return layer


def _parsed(path: tuple[str, ...], text: str) -> object:
    """Read a text for its key: lists and tables are JSON, or one entry a line."""
    known = _fields(path[:-1]).get(path[-1])
    kind = known and get_origin(known.annotation)
    if kind not in {tuple, dict}:
        return text
    if kind is dict or text.startswith("[") or path == ("twilio", "regions"):
        return json.loads(text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _give_region_tokens(layer: _Layer, *sources: Names) -> None:
    """Put TWILIO_<REGION>_AUTH_TOKEN into the region of that name, where one is listed."""
    section = layer.values.get("twilio")
    regions = section.get("regions") if isinstance(section, dict) else None
    for index, region in enumerate(regions if isinstance(regions, list) else []):
        if not isinstance(region, dict):
            continue
        name = f"TWILIO_{region.get('region')}_AUTH_TOKEN".upper()
        for names in sources:
            if name in names:
                region["auth_token"], origin = names[name]
                layer.origins[f"twilio.regions.{index}.auth_token"] = origin
                break


def load(
    path: Path | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read every source, or raise `ConfigError` with every problem there is.

    `overrides` come from the command line, as {section: {key: value}}; a value of None is an
    option that was not given.
    """
    file = find_config(path, env)
    problems: list[str] = []
    variables, credentials = _from_variables(env), _from_credentials(env, problems)
    options = _Layer()
    for section, body in (overrides or {}).items():
        for key, value in body.items():
            if value is not None:
                options.put((section, key), copy.deepcopy(value), "command line")
    lowest = _Layer({name: {} for name in Settings.model_fields})
    lowest.values["ledger"] = {"url": _default_ledger(env)}
    layers = (
        options,
        _layer_of(variables, problems),
        _layer_of(credentials, problems),
        _from_file(file, problems),
        lowest,
    )
    for layer in layers[1:]:
        _give_region_tokens(layer, variables, credentials)
    origins: dict[str, str] = {}
    for layer in reversed(layers):
        origins |= layer.origins
    settings = _validated(layers, origins, problems)
    if settings is None or problems:
        raise ConfigError(problems)
    settings._file, settings._origins = file, origins  # noqa: SLF001
    return settings


def _validated(
    layers: tuple[_Layer, ...], origins: Mapping[str, str], problems: list[str]
) -> Settings | None:
    token = _LAYERS.set(tuple(layer.values for layer in layers))
    try:
        return Settings()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += [_line(detail, origins) for detail in details]
        return None
    finally:
        _LAYERS.reset(token)


# --- how problems are told -------------------------------------------------------


def _fields(path: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """Tell the keys of the section at a path; none where there is no such section."""
    model: Any = Settings
    for part in path:
        if isinstance(part, str):
            known = model.model_fields.get(part)
            model = known and known.annotation
            if get_origin(model) is tuple:
                model = get_args(model)[0]
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return {}
    fields: Mapping[str, FieldInfo] = model.model_fields
    return fields


def _line(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    path, kind = detail["loc"], detail["type"]
    where = detail.get("ctx", {}).get("at") or ".".join(map(str, path))
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "missing":
        names = [name for name, known in WELL_KNOWN.items() if known == path]
        names.append(PREFIX + "__".join(map(str, path)).upper())
        message = f"missing; set it in the file or in {names[0]}"
    elif kind == "extra_forbidden":
        message = f"unknown {'key' if len(path) > 1 else 'section'}, {_advice(path)}"
    elif kind == "model_type":
        message = "must be a table"
    shown = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", where)
    origin = _origin(where, origins)
    return f"{shown}: {message} ({origin})" if origin else f"{shown}: {message}"


def _advice(path: tuple[int | str, ...]) -> str:
    """Name the nearest right key: of the same section, else of any other."""
    here, key = _fields(path[:-1]), str(path[-1])
    if near := difflib.get_close_matches(key, here, n=1):
        return f"did you mean {near[0]}?"
    elsewhere = {
        name: f"{section}.{name}"
        for section in Settings.model_fields
        for name in _fields((section,))
    }
    if near := difflib.get_close_matches(key, elsewhere, n=1, cutoff=0.8):
        return f"did you mean {elsewhere[near[0]]}?"
    return f"known here: {', '.join(here)}"


def _origin(where: str, origins: Mapping[str, str]) -> str | None:
    parts = where.split(".")
    for length in range(len(parts), 0, -1):
        if origin := origins.get(".".join(parts[:length])):
            return origin
    return next((text for key, text in origins.items() if key.startswith(f"{where}.")), None)
