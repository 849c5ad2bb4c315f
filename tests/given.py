"""Settings made of a few keys, as a configuration file would give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from reccli.config import Settings, load
from reccli.config.settings import WELL_KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path("given.toml")
"""In the current directory, which is the test's own."""


def given(env: Mapping[str, str], **sections: Mapping[str, object]) -> Settings:
    """Load these keys from a file; variables that would outweigh them are left out."""
    tables = [f"[{name}]\n{''.join(map(_line, keys.items()))}" for name, keys in sections.items()]
    FILE.touch(0o600)
    FILE.write_text("\n".join(tables), encoding="utf-8")
    keys = {(section, key) for section, keys in sections.items() for key in keys}
    left = {name: text for name, text in env.items() if WELL_KNOWN.get(name) not in keys}
    return load(FILE, env=left)


def _line(key: tuple[str, object]) -> str:
    return f"{json.dumps(key[0])} = {_toml(key[1])}\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(_line(key).strip() for key in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
