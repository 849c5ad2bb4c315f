"""Where credentials may go: one scheme, host and port for each region, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import httpx


@dataclass(frozen=True)
class Origin:
    """One region of the account and what to authenticate with there.

    Regions are isolated and so are their credentials: data made in one is not seen in another,
    and an API key of another region is refused with 20003 (Twilio's regional migration guide).
    `username` is the account SID or an API key SID; `api_base` is the URL that comes before
    `/2010-04-01`.
    """

    region: str
    account_sid: str
    api_base: str
    username: str
    password: str = field(repr=False)

    @cached_property
    def url(self) -> httpx.URL:
        """The base, read by the parser that also sends: two parsers may disagree on a host."""
        return httpx.URL(self.api_base)

    def owns(self, url: httpx.URL) -> bool:
        """Whether credentials may be sent to this URL."""
        return _host_of(url) == _host_of(self.url) and not url.userinfo


def _host_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port, the scheme's own port as None: what makes an origin."""
    return url.scheme, url.host, url.port
