"""What an address can turn out to be, and what a provider of addresses is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reccli.core.links.address import Address

from reccli.core import sids

FORMER = "former"
"""The style of a link into a place that links of ours named formerly: `links.former`."""
NEVER = datetime.min.replace(tzinfo=UTC)
"""When a link ended that cannot work."""

_RECORDING_SID = re.compile(rf"(?<![0-9a-zA-Z]){sids.pattern(sids.RECORDING)}(?![0-9a-zA-Z])")


@dataclass(frozen=True, slots=True)
class TwilioLink:
    """A link to a recording at Twilio, in the configured account and a configured region.

    `region` is None where the text names no host: a path, or the SID alone.
    """

    sid: str
    account_sid: str
    region: str | None
    call_sid: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """A link to an object of ours whose key names exactly one recording.

    `expires` is None where the link does not expire, and long ago where it cannot work. The `key`
    is that in our bucket, but for the style "former": there it is what comes below the place that
    was left, and says nothing of our bucket.
    """

    sid: str
    key: str
    style: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class ForeignLink:
    """Anything else: somebody else's, so it is kept as it is."""


@dataclass(frozen=True, slots=True)
class Word:
    """A text that leads nowhere and names nothing: "pending". It is nobody's link."""


Link = TwilioLink | ObjectLink | ForeignLink | Word


class Provider(Protocol):
    """A module that knows one kind of address. It also writes them, each from what it needs."""

    def read(self, url: Address) -> Link | None:
        """Return what an address of this kind links to; None for one of any other kind."""


def recordings_in(key: str) -> set[str]:
    """Return the SIDs of the recordings that a key names."""
    return set(_RECORDING_SID.findall(key))


def object_link(key: str, style: str, expires: datetime | None) -> ObjectLink | ForeignLink:
    """Return the link to a key; nobody's unless the key says whose it is: one recording's."""
    sids = recordings_in(key)
    return ObjectLink(sids.pop(), key, style, expires) if len(sids) == 1 else ForeignLink()
