"""The links of one installation: every provider of addresses, and which links rows get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.cells import bare, is_address
from reccli.core.links.address import Address
from reccli.core.links.link import ForeignLink, Word, recordings_in

if TYPE_CHECKING:
    from datetime import date, datetime

    from reccli.core.links.link import Link, ObjectLink, Provider
    from reccli.core.links.objects import ObjectLinks
    from reccli.core.links.permalink import Permalinks
    from reccli.core.links.twilio import TwilioLinks


@dataclass(frozen=True, slots=True)
class LinkBook:
    """The providers, and how long links live: presigned ones `ttl`, renewed so long before."""

    twilio: TwilioLinks
    permalinks: Permalinks
    objects: ObjectLinks
    refresh_before: timedelta = timedelta(hours=48)
    ttl: timedelta = timedelta(hours=168)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """In the order in which they are asked whose an address is."""
        return self.twilio, self.permalinks, self.objects

    @property
    def style(self) -> str:
        """The style of the links that rows get."""
        return self.objects.style

    def parse(self, text: str) -> Link | None:
        """Read a cell; return None when it is empty, and raise nothing whatever it holds."""
        text = bare(text)
        if not text:
            return None
        if url := Address.parse(text):
            for provider in self.providers:
                if link := provider.read(url):
                    return link
        return ForeignLink() if is_address(text) or recordings_in(text) else Word()

    def write(self, key: str) -> str | None:
        """Write the link of an object in the configured style; None if S3 has to sign it."""
        if self.style == "permalink":
            return self.permalinks.write(key)
        return self.objects.write(key) if self.style == "object" else None

    def usable(self, link: ObjectLink, now: datetime) -> bool:
        """Whether the link is of the configured style and lives beyond the refresh margin."""
        if link.style != self.style:
            return False
        return link.expires is None or link.expires - now > self.refresh_before

    def due_day(self, now: datetime) -> date:
        """Return the last day of signing (UTC) of which a presigned link is to be replaced."""
        return (now - (self.ttl - self.refresh_before) if self.style == "presigned" else now).date()

    @property
    def outdated(self) -> tuple[str, ...]:
        """Texts of which a link holds one that is to be replaced, whenever it was signed."""
        texts = dict.fromkeys((*self.objects.outdated(), *self.permalinks.outdated()))
        # What holds one of the others is found by that.
        return tuple(
            one for one in texts if not any(other in one for other in texts if other != one)
        )
