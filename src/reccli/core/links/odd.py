"""Why a cell that has to do with Twilio is no link to a recording of ours.

The text itself is never repeated: there may be a secret in it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reccli.core import sids
from reccli.core.cells import bare
from reccli.core.links import urls
from reccli.core.links.link import recordings_in
from reccli.core.links.twilio import regions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "twilio.com"
PATH = "-01/accounts/ac"
"""Where each version of the API (2010-04-01, 2008-08-01) keeps an account, in small letters."""
LONGEST_SID = 44
"""How long a text is at most that is looked at because it names a SID and no address."""


class Oddity(StrEnum):
    """What is wrong with it, in words that follow "the cell holds"."""

    SECRET = "an address with a user name and a password in it"  # noqa: S105
    MARKUP = "Markdown, not an address alone"
    SEVERAL = "more than one link"
    TEXT = "text that is not a link alone"
    OLD_VERSION = "an address of the API 2008-08-01, which Twilio has switched off"
    OTHER_ACCOUNT = "an address of another Twilio account"
    OTHER_REGION = "an address of a Twilio region that is not configured"
    NO_SCHEME = "an address without https:// before it"
    OTHER_HOST = "an address of a host that is not Twilio's API"
    UNREAD = "an address that leads to no recording at Twilio"


_SECRET = re.compile(r"//[^\s/?#@]*:[^\s/?#@]+@")
_MARKUP = re.compile(r"\]\s*\(|<\s*https?:", re.IGNORECASE)
_SCHEME = re.compile(r"\b(?:https?|s3|ftp):/", re.IGNORECASE)
_ACCOUNT = re.compile(f"/2010-04-01/Accounts/({sids.pattern(sids.ACCOUNT)})/")


def oddity(text: str, account_sid: str, apis: Mapping[str, str]) -> Oddity | None:
    """Say what is wrong with a text that is no link; None if it has nothing to do with Twilio."""
    text = bare(text)
    if not _concerns_twilio(text, apis):
        return None
    if _SECRET.search(text):
        return Oddity.SECRET
    if _MARKUP.search(text):
        return Oddity.MARKUP
    if len(_SCHEME.findall(text)) > 1 or len(recordings_in(text)) > 1:
        return Oddity.SEVERAL
    if any(character.isspace() for character in text):
        return Oddity.TEXT
    return _of_address(text, account_sid, apis)


def _concerns_twilio(text: str, apis: Mapping[str, str]) -> bool:
    small = text.lower()
    hosts = (urlsplit(api).netloc.lower() for api in apis.values())
    named = any(part in small for part in (HOST, PATH, *hosts))
    return named or (len(text) <= LONGEST_SID and bool(recordings_in(text)))


def _of_address(text: str, account_sid: str, apis: Mapping[str, str]) -> Oddity:
    if not _SCHEME.match(text) and not text.startswith("/"):
        return Oddity.NO_SCHEME if PATH in text.lower() else Oddity.TEXT
    found = None if text.startswith("/") else urls.read(text)
    path = text if found is None else found[0].path
    regions = set(apis) if found is None else regions_of(*found, apis)
    account = _ACCOUNT.search(path)
    if not regions:
        odd = Oddity.OTHER_HOST
    elif path.startswith("/2008-08-01/"):
        odd = Oddity.OLD_VERSION
    elif account and account[1] != account_sid:
        odd = Oddity.OTHER_ACCOUNT
    elif not regions & apis.keys():
        odd = Oddity.OTHER_REGION
    else:
        odd = Oddity.UNREAD
    return odd
