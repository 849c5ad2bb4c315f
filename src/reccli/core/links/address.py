"""An address as it stands in a cell: split once, and never requested."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS = {"http": 80, "https": 443}

_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, or a text that names neither scheme nor host: then all of it is the path.

    The path is as it is written, escapes and all; names in the query are in small letters.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """Split a text; return None for what no browser and no store would take for plain."""
        if _UNSAFE.search(text):
            return None
        try:
            url = urlsplit(text)
            port = PORTS.get(url.scheme) if url.port is None else url.port
        except ValueError:
            return None
        if not url.scheme and not url.netloc:
            return cls("", "", None, text)
        if "@" in url.netloc or not url.hostname or url.scheme not in {*PORTS, "s3"}:
            return None
        host = url.netloc if url.scheme == "s3" else url.hostname  # a bucket's name has a case
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = {name.lower(): value for name, value in pairs}
        return cls(url.scheme, host, port, url.path, query)

    @property
    def plain(self) -> bool:
        """Whether it is one of the web, at the port of its scheme."""
        return self.port is not None and self.port == PORTS.get(self.scheme)

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    def below(self, base_url: str) -> str | None:
        """Return the path below a configured base, as it is written; None if it is elsewhere."""
        base = of_configuration(base_url)
        if base is None or not base.host:
            return None
        root = base.path.rstrip("/") + "/"
        there = base.origin == self.origin and self.path.startswith(root)
        return self.path.removeprefix(root) if there else None


of_configuration = lru_cache(Address.parse)
"""Of a few addresses that every cell is held against."""


def host_only(text: str, sid: str) -> str:
    """Return where an address that is not ours leads: its path may be as good as a password."""
    try:
        host = urlsplit(text.strip()).hostname
    except ValueError:
        host = None
    return f"https://{host}/…{sid}…" if host else f"…{sid}…"


def without_query(url: str) -> str:
    """Drop what may be a signature: the form of a link that may be shown and logged."""
    return url.split("?", 1)[0].split("#", 1)[0]
