"""Loading: every source laid over those below it, and the outcome checked as one.

The only place that knows which source beats which. For `__init__`, which exports `load`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError

from reccli.config import advice
from reccli.config.problems import ConfigError, lines
from reccli.config.settings import Settings
from reccli.config.sources import (
    by_key,
    find_config,
    from_credentials,
    from_file,
    from_variables,
    look_at_aws,
)
from reccli.config.state import locate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reccli.config.sources import Names


def load(path: Path | None = None, *, env: Mapping[str, str] = os.environ) -> Settings:
    """Read every source; raises `ConfigError` with every problem there is."""
    file = find_config(path, env)
    problems: list[str] = []
    variables, credentials = from_variables(env), from_credentials(env, problems)
    sources = (  # the first one that has a key wins
        by_key(variables, problems),
        by_key(credentials, problems),
        from_file(file, problems) if file else {},
    )
    values: dict[str, Any] = {name: {} for name in Settings.model_fields}
    state, misplaced = locate(env)
    values["ledger"]["url"] = f"sqlite:///{quote(str(state / 'ledger.sqlite3'))}"
    origins: dict[str, str] = {}
    for source in reversed(sources):
        for key_path, (value, origin) in source.items():
            nested: Any = value
            for part in reversed(key_path):
                nested = {part: nested}
            _lay_over(values, nested)
            origins[".".join(key_path)] = origin
    _give_region_tokens(values["twilio"], credentials | variables, origins)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(problems + lines(error, origins)) from None
    if not settings.s3.access_key_id:
        look_at_aws(env, problems)
    if problems:
        raise ConfigError(problems)
    settings._file, settings._origins = file, origins  # noqa: SLF001
    settings._warnings = (  # noqa: SLF001
        *advice.without_effect(settings),
        *advice.not_read(settings, credentials | variables),
        *advice.open_to_others(settings),
        *misplaced,
    )
    return settings


def _lay_over(below: dict[str, Any], table: Mapping[str, Any]) -> None:
    """Merge a table into the one below it; anything else takes the place of what was there."""
    for key, value in table.items():
        if isinstance(value, dict):
            if not isinstance(below.get(key), dict):
                below[key] = {}
            _lay_over(below[key], value)
        else:
            below[key] = value


def _give_region_tokens(twilio: dict[str, Any], names: Names, origins: dict[str, str]) -> None:
    """Put TWILIO_<REGION>_AUTH_TOKEN into the region of that name, where one is listed."""
    if not isinstance(regions := twilio.get("regions"), list):
        return
    twilio["regions"] = regions = [*regions]
    for index, region in enumerate(regions):
        code = region.get("region") if isinstance(region, dict) else None
        if (name := f"TWILIO_{code}_AUTH_TOKEN".upper()) in names:
            token, origins[f"twilio.regions.{index}.auth_token"] = names[name]
            regions[index] = {**region, "auth_token": token}
