"""The SDK over httpx: one pair of clients for each thread and origin.

A httpx client that threads share closes connections under one another (measured with httpx
0.28.1: TLS errors and hangs, none with a client for each thread), and the SDK's client keeps
its last response on itself. Neither is shared here.
"""

from __future__ import annotations

import json
import logging
import threading
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, cast

import httpx
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from reccli import network
from reccli.adapters.twilio.twilio_failures import BROKEN, bad_answer, failed, refused, unreachable
from reccli.core.errors import FailureKind
from reccli.flow.deadline import Deadline, TooSlowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.adapters.twilio.origin import Origin


class TwilioTransport(HttpClient):  # type: ignore[misc]  # the SDK carries no type information
    """What the SDK sends through: it refuses foreign origins, for the SDK has no allow-list.

    `payload` is the last answer as it was read. The SDK's own objects are not used, because
    they drop the offset of a date and raise on one that they can't read.
    """

    def __init__(self, origin: Origin, http: httpx.Client) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self.payload: Mapping[str, object] = {}
        self._origin = origin
        self._http = http

    def request(
        self,
        method: str,
        uri: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_unused: object,
    ) -> Response:
        """Send one request; every answer but the one expected is a `ServiceError`."""
        self.payload = {}
        try:
            url = httpx.URL(uri)
        except httpx.InvalidURL as error:
            raise bad_answer("Twilio named an address that is none") from error
        if not self._origin.owns(url):
            raise failed(
                FailureKind.PERMANENT,
                "foreign_origin",
                f"refused to send credentials to {url.host!r}, which is not twilio.api_base",
            )
        what = f"{method} {url.path}"
        try:
            answer = self._http.request(method, url, params=params, headers=headers, auth=auth)
        except BROKEN as error:
            raise unreachable(error, url.host) from error
        if answer.status_code >= httpx.codes.MULTIPLE_CHOICES:
            raise refused(answer, answer.content, what, self._origin)
        # The SDK takes any 2xx for a delete, a proxy's page of HTML too.
        expected = httpx.codes.NO_CONTENT if method == "DELETE" else httpx.codes.OK
        if answer.status_code != expected:
            raise bad_answer(f"{what} was answered {answer.status_code} instead of {expected:d}")
        if method != "DELETE":
            self.payload = _json_object(answer, what)
        return Response(answer.status_code, answer.text)


def _json_object(answer: httpx.Response, what: str) -> Mapping[str, object]:
    try:
        payload = json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        page = "a page of HTML" if b"<html" in answer.content[:1000].lower() else "no JSON"
        raise bad_answer(f"{what} was answered with {page} instead of an answer") from error
    if not isinstance(payload, dict):
        raise bad_answer(f"{what} was answered with JSON that is no object")
    return payload


class Session:
    """The clients of one thread for one origin; `recordings` is the SDK's resource."""

    def __init__(self, origin: Origin, http: httpx.Client) -> None:
        self.origin = origin
        self.http = http
        self.transport = TwilioTransport(origin, http)
        client = Client(
            origin.username,
            origin.password,
            origin.account_sid,
            http_client=self.transport,
            # Else TWILIO_REGION and TWILIO_EDGE of the shell would rewrite the host. Not empty,
            # because the SDK takes an empty mapping for none.
            environment={"TWILIO_REGION": ""},
        )
        client.api.base_url = origin.api_base.rstrip("/")
        self.recordings = client.recordings
        weakref.finalize(self, http.close)  # a thread that ends takes its sessions along


class _Local(threading.local):
    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}


class Sessions:
    """Hands each thread its own session for an origin, and closes all of them."""

    def __init__(self, timeout: httpx.Timeout) -> None:
        self._timeout = timeout
        network.trust()  # a file that cannot be read is reported before anything is asked
        self._local = _Local()
        self._open: weakref.WeakSet[Session] = weakref.WeakSet()
        self._lock = threading.Lock()

    def of(self, origin: Origin) -> Session:
        """Return the calling thread's session, a new one the first time."""
        mine = self._local.sessions
        if origin.region not in mine:
            mine[origin.region] = session = Session(origin, self._client())
            with self._lock:
                self._open.add(session)
        return mine[origin.region]

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._lock:
            for session in self._open:
                session.http.close()

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self._timeout,
            transport=network.Transport(),
            trust_env=False,  # a .netrc would be read
            follow_redirects=False,
            event_hooks={"response": [_hold_to_time]},
            # A cookie for .twilio.com would follow a redirect to another host.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


def _hold_to_time(response: httpx.Response) -> None:
    """Bound the time of the whole body: httpx itself only bounds each read of it."""
    stream = cast("httpx.SyncByteStream", response.stream)
    response.stream = _Held(stream, Deadline(network.body_length(response.headers)))


class _Held(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            try:
                self._deadline.came(len(chunk))
            except TooSlowError as error:
                raise httpx.ReadTimeout(f"too slow: {error}") from error
            yield chunk

    def close(self) -> None:
        self._stream.close()
