"""Where local state lives, also on a machine that has no place for it, and whose it is.

For `loading`; `state_dir` and `identity` are exported.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from reccli.config.section import bare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reccli.config.settings import Settings


def identity(settings: Settings) -> str:
    """Return a name for the account, the place in S3 and the table that make one archive.

    For the lock of a run and for what the ledger holds. A short hash, so that it can stand in a
    file's name and gives nothing away.
    """
    twilio, s3, airtable = settings.twilio, settings.s3, settings.airtable
    parts = (
        *(twilio.account_sid, twilio.api_base),
        *(s3.endpoint_url, s3.bucket, s3.prefix),
        *(airtable.endpoint_url, airtable.base_id, airtable.table),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return the directory: what systemd gave, else the user's own, else a temporary one."""
    return locate(env)[0]


def locate(env: Mapping[str, str] = os.environ) -> tuple[Path, list[str]]:
    """Return the directory, and a warning where the usual one cannot be used.

    Nothing is made but a temporary one; a directory that was named is used as it is.
    """
    if given := bare(env.get("STATE_DIRECTORY", "")).split(":")[0]:
        return Path(given), []
    usual = platformdirs.user_state_path("reccli")
    if not (os.environ.get("HOME") or os.environ.get("XDG_STATE_HOME")):
        why = "HOME is not set"
    elif _is_ours(usual):
        return usual, []
    else:
        why = f"{usual} cannot be written"
    try:
        found = _temporary()
    except OSError as error:
        return usual, [f"{why}, so no local state is kept ({error.strerror}): set STATE_DIRECTORY"]
    return found, [f"{why}, so local state is in {found}, which does not last: set STATE_DIRECTORY"]


def _is_ours(path: Path) -> bool:
    """Whether a directory can be used, or made where its nearest parent is."""
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
    except OSError:  # a parent is closed to us
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _owner() -> int:
    return os.getuid()


@cache
def _temporary() -> Path:
    """Make a directory that the next run finds again, so that its lock and memory are the same.

    Everybody can put one of that name there; then it is another one for each process.
    """
    path = Path(tempfile.gettempdir(), f"reccli-{_owner()}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        pass
    else:
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == _owner()
        if ours and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return path
    return Path(tempfile.mkdtemp(prefix="reccli-"))
