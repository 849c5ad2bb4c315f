"""The grammar of Twilio's SIDs: two letters that name a kind, and 32 hex digits of either case."""

from __future__ import annotations

import re
from typing import TypeGuard

ACCOUNT, API_KEY, CALL, CONFERENCE = "AC", "SK", "CA", "CF"
MEDIA_STREAM, RECORDING, REQUEST = "MZ", "RE", "RQ"

_DIGITS = "[0-9a-fA-F]{32}"
_SID = re.compile("[A-Z]{2}" + _DIGITS)


def pattern(kind: str) -> str:
    """Return the regular expression of a SID of this kind, as a part of a larger one."""
    return kind + _DIGITS


def is_sid(text: object, *kinds: str) -> TypeGuard[str]:
    """Whether this is a SID of one of these kinds, and nothing else."""
    return isinstance(text, str) and text.startswith(kinds) and _SID.fullmatch(text) is not None
