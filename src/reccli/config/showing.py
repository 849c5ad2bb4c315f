"""The configuration as a person sees it: what is in force, from where, and a file to begin with.

For the command line; `in_force` and `write_example` are exported.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from reccli.config.problems import ConfigError, as_written
from reccli.config.section import bare
from reccli.config.settings import PREFIX, passwords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.config.settings import Settings

HIDDEN = "********"


def in_force(settings: Settings) -> Iterator[tuple[str, object, str]]:
    """Yield each key with the value in force, secrets masked, and where that came from."""
    for section, body in settings:
        yield from _keys(section, body, settings)


def _keys(at: str, body: BaseModel, settings: Settings) -> Iterator[tuple[str, object, str]]:
    for name in type(body).model_fields:
        key, value = f"{at}.{name}", getattr(body, name)
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for number, item in enumerate(value):
                yield from _keys(f"{key}.{number}", item, settings)
        elif key == "ledger.url":
            yield key, _without_password(value.get_secret_value()), settings.origin(key)
        else:
            yield as_written(key), _masked(value), settings.origin(key)


def _masked(value: object) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN if value else ""
    return [_masked(item) for item in value] if isinstance(value, tuple) else value


def _without_password(url: str) -> str:
    for password in passwords(url):
        url = url.replace(password, HIDDEN)
    return url


def write_example(path: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """Write a file with every key, for its owner alone; replaces nothing. Returns its path.

    Without a path it is written where the next command looks first. Raises `ConfigError`.
    """
    path = path or Path(bare(env.get(f"{PREFIX}CONFIG", "")) or "reccli.toml")
    text = files("reccli.config").joinpath("example.toml").read_bytes()
    try:
        path = path.expanduser()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError([f"{path}: there is one already, which stays as it is"]) from None
    except (OSError, RuntimeError) as error:  # that directory is not there; nor is that home
        raise ConfigError([f"{path}: {getattr(error, 'strerror', error)}"]) from None
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of what was just made
            file.write(text)
    except OSError as error:
        path.unlink()
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    return path
