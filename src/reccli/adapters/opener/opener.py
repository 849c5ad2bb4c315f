"""Asks for the first byte behind a link, with nothing of ours but the link itself.

A GET, for a signature covers the method. Redirects are followed by hand, so that each address is
judged before it is asked; to plain http too, as browsers do: a store in a closed network may have
nothing else.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from reccli import network
from reccli.adapters.opener.answers import Opened, unlike_audio
from reccli.core.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REDIRECTS = 5
TIMEOUT = 10.0
"""Seconds for a connection, and for each wait for more of an answer."""

_BROKEN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError)
"""Whatever there is instead of an answer; ValueError comes from host names, OSError from TLS."""
_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Range": "bytes=0-0",
    "User-Agent": "Mozilla/5.0 (compatible; reccli)",  # some CDNs refuse what names no browser
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_LAST_PORT = 65535


class Opener:
    """Implements `flow.ports.LinkPort`; safe to use from many threads, which share nothing."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout

    def open(self, url: str) -> None:
        """Return if the recording begins to come; raises `ServiceError` for whatever else."""
        asked = Opened.first(url)
        try:
            # Not a Client: that brings cookies, and reads logins from the environment.
            with network.Transport() as transport:
                self._follow(transport, asked, url)
        except _BROKEN as error:  # of TLS: `_answer` translates what is left
            raise asked.unreachable(error) from error

    def close(self) -> None:
        """Do nothing: no connection outlives its `open`. All adapters are closed alike."""

    def _follow(self, transport: network.Transport, asked: Opened, url: str) -> None:
        here = _address(url, None)
        if here is None:
            hint = "only http(s) addresses with a host and without a user name are"
            raise asked.failed(FailureKind.PERMANENT, "link_dead", "is not followed", hint)
        for _ in range(MAX_REDIRECTS + 1):
            with self._answer(transport, asked, here) as answer:
                location = answer.headers.get("Location")
                if answer.status_code not in _REDIRECTS or not location:
                    failure = unlike_audio(asked, answer, self._timeout)
                    if failure:
                        raise failure
                    return
            target = _address(location, here)
            if target is None:
                raise asked.misled()
            here, asked = target, asked.next(target)
        message = f"was redirected more than {MAX_REDIRECTS} times"
        hint = "a login that wants cookies does that, or a proxy that leads to itself"
        raise asked.failed(FailureKind.PERMANENT, "link_redirects", message, hint)

    @contextmanager
    def _answer(
        self, transport: network.Transport, asked: Opened, url: httpx.URL
    ) -> Iterator[httpx.Response]:
        """Yield an answer whose body is unread; translates what breaks until it is closed."""
        waits = httpx.Timeout(self._timeout).as_dict()
        request = httpx.Request("GET", url, headers=_HEADERS, extensions={"timeout": waits})
        try:
            response = transport.handle_request(request)
            try:
                yield response
            finally:
                response.close()
        except _BROKEN as error:
            raise asked.unreachable(error) from error


def _address(text: str, base: httpx.URL | None) -> httpx.URL | None:
    """Read an address that may be asked, or None."""
    try:
        url = base.join(text) if base else httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return None
    # httpx takes any host and any number; of an odd host it makes one with percent signs.
    leads = _HOST.fullmatch(url.raw_host) and (url.port is None or url.port <= _LAST_PORT)
    return url if leads and url.scheme in {"http", "https"} and not url.userinfo else None
