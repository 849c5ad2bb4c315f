"""Where values come from: the file, variables and credential files, each read as it is.

Nothing is judged here but whether a source can be read. For `loading`; `find_config` is exported.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, get_origin

from reccli.config.problems import ConfigError
from reccli.config.section import bare, header_safe
from reccli.config.settings import PREFIX, WELL_KNOWN, Settings, fields

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_UTF8 = "utf-8-sig"  # with or without the mark that some editors put first

Names = dict[str, tuple[str, str]]
"""Name → (text, where from), for what is given as single texts: variables and files."""
Values = dict[tuple[str, ...], tuple[object, str]]
"""Path of a key → (value, where from): what one source has to say."""

REGION_TOKEN = re.compile(r"TWILIO_([A-Z]{2}[0-9]+)_AUTH_TOKEN")


def find_config(path: Path | None, env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file to read: one that was named must exist, the usual ones may."""
    named = path or bare(env.get(f"{PREFIX}CONFIG", ""))
    if named:
        if not _is_readable(Path(named)):
            raise ConfigError([f"{named}: no such file that may be read"])
        return Path(named).expanduser()
    home = Path(env.get("XDG_CONFIG_HOME") or "~/.config")
    usual = (Path("reccli.toml"), home / "reccli/config.toml", Path("/etc/reccli/config.toml"))
    return next((file.expanduser() for file in usual if _is_there(file)), None)


def _is_there(file: Path) -> bool:
    """Whether there is a file; in a home that is unknown or closed to us there is none."""
    try:
        return file.expanduser().is_file()
    except (OSError, RuntimeError):
        return False


def _is_readable(file: Path) -> bool:
    """Whether it can be read: a file, or a pipe, as a shell's <(…) makes them."""
    try:
        return file.expanduser().exists() and not file.expanduser().is_dir()
    except (OSError, RuntimeError):
        return False


def from_file(file: Path, problems: list[str]) -> Values:
    """Read the file; "" for a key that must be given means that another source has it."""
    try:
        document = tomllib.loads(file.read_text(encoding=_UTF8))  # once: it may be a pipe
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: {error}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file}: not UTF-8"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: {error.strerror}"]) from None
    values: Values = {}
    for section, body in document.items():
        known = fields((section,))
        if isinstance(body, dict):
            values[section,] = ({}, str(file))
            for key, value in body.items():
                if value != "" or key not in known or not known[key].is_required():
                    values[section, key] = (value, str(file))
        elif known:
            problems.append(f"{section}: must be a table, written [{section}] ({file})")
        else:  # will be reported as unknown
            values[section,] = (body, str(file))
    return values


def from_variables(env: Mapping[str, str]) -> Names:
    """Return our own variables; an empty one counts as not set."""
    return {
        name: (text, f"env {name}")
        for name, value in env.items()
        if _is_ours(name) and (text := bare(value))
    }


def from_credentials(env: Mapping[str, str], problems: list[str]) -> Names:
    """Read the files that systemd (LoadCredential=) or an orchestrator put there for us."""
    names: Names = {}
    if not (directory := bare(env.get("CREDENTIALS_DIRECTORY", ""))):
        return names
    try:
        for file in sorted(Path(directory).iterdir()):
            name = file.name.upper()
            section, separator, _ = name.partition("__")
            if separator and section.lower() in Settings.model_fields:
                name = PREFIX + name
            ours = _is_ours(name) and file.is_file()
            if ours and (text := bare(file.read_text(encoding=_UTF8))):
                names[name] = (text, f"file {file}")
    except OSError as error:
        problems.append(f"{error.filename or directory}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{file}: not UTF-8")
    return names


def look_at_aws(env: Mapping[str, str], problems: list[str]) -> None:
    """Check what AWS's own library reads by itself, and would send as it is."""
    for name in _OF_AWS:
        text = env.get(name, "")
        try:
            odd = "has blanks or a line end around it" if header_safe(text) != text else ""
        except ValueError as error:
            odd = str(error)
        if odd:
            problems.append(f"{name}: {odd} (env {name})")


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) or name in WELL_KNOWN or bool(REGION_TOKEN.fullmatch(name))


def one_underscore_less() -> dict[str, str]:
    """Return what each variable is called when somebody forgets that there are two of them."""
    return {
        f"{PREFIX}{section}_{key}".upper(): f"{PREFIX}{section}__{key}".upper()
        for section in Settings.model_fields
        for key in fields((section,))
    }


def by_key(names: Names, problems: list[str]) -> Values:
    """Return the key of each name; reccli's own name of a key comes before the well-known ones."""
    near_misses = one_underscore_less()
    values: Values = {}
    for name, (text, origin) in names.items():
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if name in near_misses:
            problems.append(f"{name}: not read; did you mean {near_misses[name]}?")
        elif name.startswith(PREFIX) and len(path) > 1:
            try:
                values.setdefault(path, (_parsed(path, text), origin))
            except ValueError:
                problems.append(f"{'.'.join(path)}: not valid JSON ({origin})")
    for name, path in WELL_KNOWN.items():
        if name in names:
            values.setdefault(path, names[name])
    return values


def _parsed(path: tuple[str, ...], text: str) -> object:
    """Parse a text for its key: tables are JSON, lists JSON or one entry a line."""
    known = fields(path[:-1]).get(path[-1])
    kind = known and get_origin(known.annotation)
    if kind is dict or (kind is tuple and text.startswith("[")):
        return json.loads(text)
    if kind is tuple:
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text
