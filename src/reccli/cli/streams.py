"""What the standard streams can take: no output may fail for want of a character."""

from __future__ import annotations

import io
import os
import sys

_ASCII = str.maketrans({"→": "->", "…": "..."})


def prepare() -> None:
    """Make the streams usable, whatever the locale, and also where they were closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print a result, with plain signs where the terminal has no others."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(_ASCII)
    print(text)
