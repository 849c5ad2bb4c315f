"""Links to recordings at Twilio.

The grammar of the hosts is that of Twilio's API domain guide; hosts such as `api.ie1.twilio.com`
were always served from US1 and died on 2026-04-28, so they are read as US1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reccli.core.links.link import TwilioLink
from reccli.core.links.urls import PORTS, below
from reccli.core.sids import ACCOUNT, CALL, CONFERENCE, RECORDING, pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

    from reccli.core.links.urls import Origin
    from reccli.core.model import Ref

MAIN_REGION = "us1"

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


def twilio_url(api_base: str, ref: Ref, extension: str) -> str:
    """Build the address of a recording's media or metadata from configuration and SIDs."""
    return (
        f"{api_base.rstrip('/')}/2010-04-01/Accounts/{ref.account_sid}"
        f"/Recordings/{ref.sid}.{extension}"
    )


def twilio_link(
    url: SplitResult, where: Origin, account_sid: str, apis: Mapping[str, str]
) -> TwilioLink | None:
    """Read a link to a recording of the account in one of the regions; None for any other."""
    for region, path in _places(url, where, apis):
        match = _PATH.fullmatch(path)
        if match and match["account"] == account_sid and region in apis:
            return TwilioLink(match["sid"], account_sid, region, match["call"])
    return None


def without_host(text: str, account_sid: str) -> TwilioLink | None:
    """Read what names a recording of the account and no host: its path at the API, or its SID."""
    if match := _SID.fullmatch(text):
        return TwilioLink(match["sid"], account_sid, None)
    match = _PATH.fullmatch(text.removeprefix("/")) if text.startswith("/") else None
    if match is None or match["account"] != account_sid:
        return None
    return TwilioLink(match["sid"], account_sid, None, match["call"])


def regions_of(url: SplitResult, where: Origin, apis: Mapping[str, str]) -> set[str]:
    """Tell in which regions, configured or not, a URL may be; none if it is not at the API."""
    return {region for region, _ in _places(url, where, apis)}


def _places(url: SplitResult, where: Origin, apis: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tell in which regions a URL may be, each with the path below that region's API."""
    for region, api in apis.items():
        if (path := below(url, where, api)) is not None:
            yield region, path
    host = _HOST.fullmatch(url.hostname or "")
    if host and url.scheme in PORTS and where[2] == PORTS[url.scheme]:
        yield host["region"] or MAIN_REGION, url.path.removeprefix("/")
