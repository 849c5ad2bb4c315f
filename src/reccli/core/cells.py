"""What the text of a cell means, apart from how people and Airtable have dressed it."""

from __future__ import annotations

import re

from reccli.core import sids

_UNSEEN = "\u200b-\u200f\u2060\ufeff"
"""Zero-width spaces and marks of direction, which come along when a text is copied from a page."""
_AROUND = re.compile(rf"\A[\s{_UNSEEN}]+|[\s{_UNSEEN}]+\Z")
_CALL_SID = re.compile(sids.pattern(sids.CALL))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_PATH = re.compile(r"[A-Za-z]:\\|[/\\]+\w")
_HOST = re.compile(r"(?:[\w-]+\.)+[A-Za-z]{2,}(?:[:/?#]\S*)?")
_PLAIN = re.compile(r"[^\W\d_]{1,12}(?:[ /.-]{1,2}[^\W\d_]{1,12}){0,2}[.?!…]?|[-–—_?.!…]{1,5}")  # noqa: RUF001
_SHOWN = 20


def bare(text: str) -> str:
    """Return a text without the white space around it, be it seen or not."""
    return _AROUND.sub("", text)


def sid_in(text: str, kind: str) -> str:
    """Return the SID of a kind ("CA") if that is all a cell holds; else nothing."""
    text = bare(text)
    return text if sids.is_sid(text, kind) else ""


def names_a_call(text: str) -> bool:
    """Whether there is the SID of a call anywhere in a text."""
    return bool(_CALL_SID.search(text))


def is_address(text: str) -> bool:
    """Whether a text leads anywhere: a URL, a host, a path. A word or a note does not."""
    return bool(_SCHEME.search(text) or _PATH.match(text) or _HOST.fullmatch(text))


def shown(word: str) -> str:
    """Show a short word as it is, and of anything else only how long it is.

    It may be a number that can be called, somebody's name, or a secret in the wrong place.
    """
    word = bare(word)
    if len(word) <= _SHOWN and _PLAIN.fullmatch(word):
        return f'"{word}"'
    return f"a text of {len(word)} characters"
