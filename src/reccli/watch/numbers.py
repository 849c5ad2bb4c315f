"""Phone numbers that are written in groups, as in a key made of a row's field. For `logs`.

Much else is digits in groups: times, UUIDs, addresses, versions, fractions. They are stepped
over, so what is hidden is a whole run of groups that is none of these.
"""

from __future__ import annotations

import re

FEWEST, MOST = 8, 15
"""How many digits a number has that can be called from anywhere; E.164 allows 15."""
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_GROUPED = re.compile(
    rf"""
    (?<![0-9A-Za-z])
    (?:
        [0-9A-Fa-f]{{8}} (?: -[0-9A-Fa-f]{{4}} ){{3}} -[0-9A-Fa-f]{{12}} (?![0-9A-Za-z])   # a UUID
      | (?: (?:19|20)\d\d (?P<by>[-./_]?) {_MONTH} (?P=by) {_DAY}            # a date, and its time
          | {_DAY} (?P<of>[-./]) {_MONTH} (?P=of) (?:19|20)\d\d )
        (?: [-T _.] (?:[01]\d|2[0-3]) (?: [-:.]? [0-5]\d ){{1,2}} (?: [.,]\d+ )? )? (?!\d)
      | {_OCTET} (?: \.{_OCTET} ){{3}} (?! \.?\d )                           # an IP address
      | (?= (?P<number> \(? \d+ (?: (?: \)[-. ]? | [-. ]\(? | \( ) \d+ )+ ) )
        (?P=number) (?![0-9A-Za-z]) (?! :\d )   # taken whole: a look-ahead does not backtrack
    )
    """,
    re.VERBOSE,
)


def hide_numbers(text: str, hidden: str) -> str:
    """Replace every grouped phone number by `hidden`."""

    def judge(match: re.Match[str]) -> str:
        found = match["number"]
        return hidden if found and _is_phone(found) else match[0]

    return _GROUPED.sub(judge, text)


def _is_phone(text: str) -> bool:
    groups = re.findall(r"\d+", text)
    fraction = "." in text and len(groups) == 2  # noqa: PLR2004 - of a decimal number
    version = any(len(group) == 1 for group in groups[1:])
    return FEWEST <= sum(map(len, groups)) <= MOST and not fraction and not version
