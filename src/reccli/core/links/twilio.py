"""Links to recordings at Twilio.

The grammar of the hosts is that of Twilio's API domain guide; hosts such as `api.ie1.twilio.com`
were always served from US1 and died on 2026-04-28, so they are read as US1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reccli.core.cells import bare
from reccli.core.links.address import Address
from reccli.core.links.link import TwilioLink, recordings_in
from reccli.core.sids import ACCOUNT, CALL, CONFERENCE, RECORDING, pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.core.model import Ref

MAIN_REGION = "us1"
PATH = "-01/accounts/ac"
"""Where each version of the API (2010-04-01, 2008-08-01) keeps an account, in small letters."""

_DOMAIN = "twilio.com"
_EDGES = (
    "ashburn|dublin|frankfurt|sao-paulo|singapore|sydney|tokyo|umatilla"
    "|ashburn-ix|frankfurt-ix|london-ix|san-jose-ix|singapore-ix"
)
_HOST = re.compile(
    rf"api(?:\.(?:us1|(?:{_EDGES})\.(?P<region>us1|ie1|au1)|ie1|au1|br1|de1|jp1|sg1|us2))?"
    r"\.twilio\.com"
)
_NAME = rf"(?P<sid>{pattern(RECORDING)})(?:\.(?:mp3|wav|json))?"
_SID = re.compile(_NAME)
_PATH = re.compile(
    rf"2010-04-01/Accounts/(?P<account>{pattern(ACCOUNT)})"
    rf"/(?:Calls/(?P<call>{pattern(CALL)})/|Conferences/{pattern(CONFERENCE)}/)?Recordings/{_NAME}"
)
_SECRET = re.compile(r"//[^\s/?#@]*:[^\s/?#@]+@")
_MARKUP = re.compile(r"\]\s*\(|<\s*https?:", re.IGNORECASE)
_SCHEME = re.compile(r"\b(?:https?|s3|ftp):/", re.IGNORECASE)
_ACCOUNT = re.compile(f"/2010-04-01/Accounts/({pattern(ACCOUNT)})/")
_LONGEST_SID = 44
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


def twilio_url(api_base: str, ref: Ref, extension: str) -> str:
    """Write the address of a recording's media or metadata from configuration and SIDs."""
    return (
        f"{api_base.rstrip('/')}/2010-04-01/Accounts/{ref.account_sid}"
        f"/Recordings/{ref.sid}.{extension}"
    )


@dataclass(frozen=True, slots=True)
class TwilioLinks:
    """Links into our account; `apis` maps each configured region to the base URL of its API."""

    account_sid: str
    apis: Mapping[str, str]

    def write(self, ref: Ref, extension: str) -> str:
        """Write the fallback link of a recording, from configuration and SIDs alone."""
        return twilio_url(self.apis[ref.region or MAIN_REGION], ref, extension)

    def read(self, url: Address) -> TwilioLink | None:
        """Read a link to a recording of the account; a path or a SID without a host is one too."""
        for region, path in self._places(url):
            match = _PATH.fullmatch(path)
            if match and match["account"] == self.account_sid and region in {*self.apis, None}:
                return TwilioLink(match["sid"], self.account_sid, region, match["call"])
        alone = None if url.host else _SID.fullmatch(url.path)
        return TwilioLink(alone["sid"], self.account_sid, None) if alone else None

    def _places(self, url: Address) -> Iterator[tuple[str | None, str]]:
        """Yield in which regions a URL may be, each with the path below that region's API."""
        if not url.host:
            yield None, url.path[1:] if url.path.startswith("/") else ""
        for region, api in self.apis.items():
            if (path := url.below(api)) is not None:
                yield region, path
        host = _HOST.fullmatch(url.host)
        if host and url.plain:
            yield host["region"] or MAIN_REGION, url.path.removeprefix("/")

    @property
    def needles(self) -> tuple[str, ...]:
        """Texts in small letters of which each address of a recording at Twilio holds one."""
        hosts = (urlsplit(api).netloc.lower() for api in self.apis.values())
        return (_DOMAIN, *(host for host in hosts if not host.endswith(_DOMAIN)), PATH)

    def oddity(self, text: str) -> Oddity | None:
        """Return what is wrong with a text that is no link; None if Twilio has no part in it."""
        text = bare(text)
        if not self._concerns(text):
            return None
        if _SECRET.search(text):
            return Oddity.SECRET
        if _MARKUP.search(text):
            return Oddity.MARKUP
        if len(_SCHEME.findall(text)) > 1 or len(recordings_in(text)) > 1:
            return Oddity.SEVERAL
        if any(character.isspace() for character in text):
            return Oddity.TEXT
        return self._oddity_of(text)

    def _concerns(self, text: str) -> bool:
        named = any(needle in text.lower() for needle in self.needles)
        return named or (len(text) <= _LONGEST_SID and bool(recordings_in(text)))

    def _oddity_of(self, text: str) -> Oddity:
        if not _SCHEME.match(text) and not text.startswith("/"):
            return Oddity.NO_SCHEME if PATH in text.lower() else Oddity.TEXT
        url = Address.parse(text) or Address("", "", None, text)
        regions = {region for region, _ in self._places(url)}
        account = _ACCOUNT.search(url.path)
        if not regions:
            odd = Oddity.OTHER_HOST
        elif url.path.startswith("/2008-08-01/"):
            odd = Oddity.OLD_VERSION
        elif account and account[1] != self.account_sid:
            odd = Oddity.OTHER_ACCOUNT
        elif not regions & {*self.apis, None}:
            odd = Oddity.OTHER_REGION
        else:
            odd = Oddity.UNREAD
        return odd
