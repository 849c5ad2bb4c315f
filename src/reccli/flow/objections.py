"""What stands in the way of a recording that is held: what was found, where, and the fix.

One text for each cause, and never what a cell holds: it may be a secret, or somebody's number.
"""

from __future__ import annotations

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.links import Oddity

_ALONE = "put the address of the recording into the cell, and nothing else"
_FIXES = {
    Oddity.SECRET: "there is a password in the cell, most likely the account's auth token: make a "
    "new one in Twilio's console, for Airtable keeps the old texts of a cell; then put the "
    "address without it",
    Oddity.MARKUP: _ALONE,
    Oddity.SEVERAL: f"{_ALONE}; a second recording goes into the next link field",
    Oddity.TEXT: _ALONE,
    Oddity.OLD_VERSION: "write 2010-04-01 instead of 2008-08-01",
    Oddity.OTHER_ACCOUNT: "see whose recording it is: an account of its own needs a configuration "
    "of its own, and a cell that is wrong can be emptied",
    Oddity.OTHER_REGION: "add the region to twilio.regions, with its own token",
    Oddity.NO_SCHEME: "write https:// before it",
    Oddity.OTHER_HOST: "see where it leads, and correct the link; nothing was fetched from there",
    Oddity.UNREAD: "correct the link in the row",
}


def not_a_link(row_id: str, field: str, what: Oddity) -> Failure:
    """Say what is wrong with a cell that has to do with Twilio."""
    code = f"cell_{what.name.lower()}"
    return _objection(code, f"{field!r} of row {row_id} holds {what}", _FIXES[what])


def _objection(code: str, message: str, hint: str) -> Failure:
    return Failure(Service.AIRTABLE, FailureKind.PERMANENT, code, message, hint)
