"""Warnings, a line each: what can be used, and is not what somebody meant.

For `loading`, which keeps them with the settings.
"""

from __future__ import annotations

import difflib
import os
import stat
from typing import TYPE_CHECKING

from reccli.config.problems import as_written
from reccli.config.section import NotRead
from reccli.config.sources import REGION_TOKEN, one_underscore_less

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.config.settings import Settings
    from reccli.config.sources import Names

_OTHERS, _GROUP = stat.S_IROTH, stat.S_IRGRP


def without_effect(settings: Settings) -> Iterator[str]:
    """Yield a warning for each key that was set, and that nothing in this version reads."""
    for section, body in settings:
        for key, info in type(body).model_fields.items():
            if NotRead in info.metadata and getattr(body, key) != info.default:
                name = f"{section}.{key}"
                yield f"{name}: has no effect in this version ({settings.origin(name)})"


def not_read(settings: Settings, names: Names) -> Iterator[str]:
    """Yield a warning for each variable that is ours by its name, and leads to no key.

    Only those that are like one of ours: Kubernetes sets others that begin with RECCLI_.
    """
    listed = {region.region.upper() for region in settings.twilio.regions}
    known = one_underscore_less()
    for name in names:
        token = REGION_TOKEN.fullmatch(name)
        if token and token[1] not in listed:
            yield f"{name}: not read, for no [[twilio.regions]] has region = {token[1].lower()!r}"
        elif "__" not in name:
            for near in difflib.get_close_matches(name, known, n=1, cutoff=0.85):
                yield f"{name}: not read; did you mean {known[near]}?"


def open_to_others(settings: Settings) -> Iterator[str]:
    """Yield a warning if the file holds a secret and others may read it.

    Its group may, where the file belongs to another user: else we could not read it either.
    """
    file = settings.file
    inside = [key for key in settings.secret_keys() if settings.origin(key) == str(file)]
    if file is None or not inside:
        return
    try:
        found = file.stat()
    except OSError:
        return
    ours = found.st_uid == os.geteuid()
    if stat.S_ISREG(found.st_mode) and found.st_mode & (_OTHERS | _GROUP if ours else _OTHERS):
        fix = f"chmod 600 {file}"
        if not ours:
            fix = f"make it belong to the user that runs reccli, then {fix}"
        yield f"{file}: others may read it, and it holds {as_written(inside[0])}: {fix}"
