"""Problems in words: the key, what is wrong with it, and where its value came from.

pydantic's own words name neither source nor cure. For `loading` and `sources`; `ConfigError` is
exported.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from reccli.config.settings import PREFIX, WELL_KNOWN, Settings, fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` are kept apart, so that `--json` can list them."""
        super().__init__("\n".join(problems))
        self.problems = problems


def lines(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """Return a line for each error that pydantic found, never with its value."""
    details = error.errors(include_url=False, include_input=False)
    return [_line(detail, origins) for detail in details]


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
    origin = _origin(where, origins)
    return f"{as_written(where)}: {message}" + (f" ({origin})" if origin else "")


def as_written(key: str) -> str:
    """Return a key with numbers in it as people write it: `twilio.regions[0].edge`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", key)


def _advice(path: tuple[int | str, ...]) -> str:
    """Return the nearest right key: of the same section, else of any other."""
    here, key = fields(path[:-1]), str(path[-1])
    if near := difflib.get_close_matches(key, here, n=1):
        return f"did you mean {near[0]}?"
    elsewhere = {
        name: f"{section}.{name}"
        for section in Settings.model_fields
        for name in fields((section,))
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
