"""Kinds of values: what a single key may hold, in words that people understand.

Apart from the sections, so that those read as a list of keys. For `sections` only.
"""

from __future__ import annotations

import ipaddress
import re
import string
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from reccli.config.section import header_safe
from reccli.core.naming import placeholders


def on_loopback(url: str) -> bool:
    """Whether a URL that has been checked leads to this machine only."""
    return _is_loopback(urlsplit(url).hostname or "")


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
    return parts.scheme + value[len(parts.scheme) :].rstrip("/")  # HTTPS:// is signed as https://


def _check_ping(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), query=True)
    return value


def _check_given(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    return SecretStr(header_safe(value.get_secret_value()))


def min_length(length: int, make: str) -> AfterValidator:
    """Check that a secret, where there is one, cannot be guessed."""

    def check(value: SecretStr) -> SecretStr:
        if value and len(value) < length:
            raise ValueError(f"must have at least {length} characters; make one: {make}")
        return value

    return AfterValidator(check)


def several(secret: SecretStr) -> tuple[str, ...]:
    """Return the parts of a secret that is being changed: the first is in use, all are accepted."""
    return tuple(part.strip() for part in secret.get_secret_value().split(",") if part.strip())


def _check_parts(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text and not all(part.strip() for part in text.split(",")):
        raise ValueError("has an empty part; several secrets are separated by single commas")
    return value


def _check_each(value: SecretStr) -> SecretStr:
    parts = (_check_secret(SecretStr(part)).get_secret_value() for part in several(value))
    return SecretStr(",".join(parts))


def _check_key(value: str) -> None:
    """Check that all characters mean the same to every store, proxy and URL parser."""
    if value.startswith("/") or "//" in value:
        raise ValueError("must not begin with a slash, nor have an empty part")
    if {".", ".."} & set(value.split("/")):
        raise ValueError("must not have a part that is '.' or '..'")
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/=-]*", value):
        raise ValueError("may only have letters, digits and ! - _ . * ' ( ) = /")


def _check_prefix(value: str) -> str:
    value = value and value.rstrip("/") + "/"
    _check_key(value)
    return value


def _check_template(template: str) -> str:
    """Check for a format string without formats, whose names make one key for each recording."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError:
        raise ValueError("has an unpaired brace") from None
    for literal, name, spec, conversion in parsed:
        if spec or conversion or name == "" or {"{", "}"} & set(literal):
            raise ValueError("may only have plain {placeholders}")
    _check_key(re.sub(r"\{[^}]*\}", "x", template))
    for name in ("recording_sid", "ext"):
        if name not in placeholders(template):
            raise ValueError(f"must have {{{name}}}: one key for each recording")
    if re.search(r"[A-Za-z0-9}]\{recording_sid\}|\{recording_sid\}[A-Za-z0-9{]", template):
        raise ValueError("must keep {recording_sid} apart, or no link can be read back")
    return template


def _check_storage_class(value: str, info: ValidationInfo) -> str:
    readable = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
    if value in {"GLACIER", "DEEP_ARCHIVE"}:
        if info.data.get("accept_archive_class", True):  # missing where it was no truth value
            return value
        raise ValueError(f"{value} cannot be read at once, so no link would work; GLACIER_IR can")
    if value and value not in readable:
        raise ValueError(f'must be one of {", ".join(readable)}, or "" where there are none')
    return value


def _check_unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("must not name a field twice")
    return values


def _check_place(value: str) -> str:
    """Check a bucket, or a folder of one, or a URL; nothing is ever asked for there."""
    if not value.lower().startswith("s3:"):
        return _check_given(_check_url(value, plain=True))
    if not re.fullmatch(rf"s3://{BUCKET}(/[^/?#\\]+)*/?", value) or not value.isprintable():
        raise ValueError("must be s3://bucket, s3://bucket/prefix or an http(s) URL")
    return value.rstrip("/")


def _check_database(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        split = urlsplit(text)
        _ = split.port  # which raises, and quotes what may be a part of the password
    except ValueError:
        raise ValueError("is not a URL; in a password write @ : / as %40 %3A %2F") from None
    if split.netloc.count("@") > 1:
        raise ValueError("is not a URL; in a password write @ as %40")
    if not re.match(r"(sqlite:///|postgresql(\+psycopg)?://).", text):
        raise ValueError("must be sqlite:///<path> or postgresql+psycopg://…")
    if text.startswith("sqlite:///~/"):
        return SecretStr(text.replace("~", quote(_at_home("~")), 1))
    return value


def _at_home(path: str) -> str:
    """Expand `~` as a shell would, which never saw it here."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ValueError("begins with ~, and nothing says which home that is") from None


def like(pattern: str, what: str) -> AfterValidator:
    """Check for a pattern."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(check)


def paired_with(key: str) -> AfterValidator:
    """Check that an earlier key of the section and this secret are both given, or neither."""

    def check(secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(secret) != bool(info.data.get(key, secret)):
            raise ValueError(f"must be given together with {key}")
        return secret

    return AfterValidator(check)


BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}"

LONGEST_HOURS = 10_000_000
"""A thousand years: as good as never, and what a calendar can still count."""

Hours = Annotated[float, Field(ge=0, le=LONGEST_HOURS)]
SomeHours = Annotated[float, Field(gt=0, le=LONGEST_HOURS)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, AfterValidator(_check_given)]
Plain = Annotated[str, AfterValidator(header_safe)]
File = Annotated[str, AfterValidator(lambda value: value and _at_home(value))]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
Parts = Annotated[SecretStr, AfterValidator(_check_parts)]
Secrets = Annotated[Parts, AfterValidator(_check_each)]
NO_SECRET = SecretStr("")

Url = Annotated[str, AfterValidator(_check_url)]
GivenUrl = Annotated[Url, AfterValidator(_check_given)]
PlainUrl = Annotated[str, AfterValidator(lambda value: _check_url(value, plain=True))]
PingUrl = Annotated[Secret, AfterValidator(_check_ping)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database)]

Prefix = Annotated[str, AfterValidator(_check_prefix)]
Template = Annotated[str, AfterValidator(_check_template)]
Place = Annotated[str, AfterValidator(_check_place)]
StorageClass = Annotated[str, AfterValidator(_check_storage_class)]
FieldNames = Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_check_unique)]
