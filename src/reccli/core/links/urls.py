"""What all readers of URLs share. A text from outside is split once, and never requested."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str | None, int | None]

_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")


def read(text: str) -> tuple[SplitResult, Origin] | None:
    """Split a URL; None for what no browser and no store would take for a plain one."""
    if _UNSAFE.search(text):
        return None
    try:
        url = urlsplit(text)
        where = origin(url)
    except ValueError:
        return None
    if "@" in url.netloc or not url.hostname or url.scheme not in {*PORTS, "s3"}:
        return None
    return url, where


def origin(url: SplitResult) -> Origin:
    """Tell scheme, host and port; raises ValueError for a port that is none."""
    return url.scheme, url.hostname, PORTS.get(url.scheme) if url.port is None else url.port


def below(url: SplitResult, where: Origin, base: str) -> str | None:
    """Tell the path of a URL below a configured base, if it is below it."""
    split = urlsplit(base)
    root = split.path.rstrip("/") + "/"
    if not base or where != origin(split) or not url.path.startswith(root):
        return None
    return url.path.removeprefix(root)


def host_only(text: str, sid: str) -> str:
    """Say where an address that is not ours leads: its path may be as good as a password."""
    try:
        host = urlsplit(text.strip()).hostname
    except ValueError:
        host = None
    return f"https://{host}/…{sid}…" if host else f"…{sid}…"


def without_query(url: str) -> str:
    """Drop what may be a signature: the form of a link that may be shown and logged."""
    return url.split("?", 1)[0].split("#", 1)[0]
