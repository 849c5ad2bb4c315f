"""What an answer of Twilio, or none, means in our vocabulary of failure.

The status decides. Of a body only Twilio's own `code` and `message` are ever shown, cut short
and without queries: everything else in it, or in a URL, may be a secret.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx

from reccli import network
from reccli.core.errors import Failure, FailureKind, Service, ServiceError, quotable
from reccli.core.sids import REQUEST, is_sid

if TYPE_CHECKING:
    from reccli.adapters.twilio.origin import Origin

BROKEN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)
"""Whatever httpx raises when there is no whole answer; UnicodeError comes from host names."""

BUSY_STATUSES = frozenset({408, 409, 423, 425, 429})
"""Also those that say "not at this moment"; a 429 was never processed (Twilio's error 20429)."""

BUSY_CODES = frozenset({"16114"})
"""16114: the recording is being modified (Twilio's error list)."""

NOT_THERE = 20404
"""The requested resource was not found (Twilio's error list)."""

_SHOWS_LATE_SECONDS = 2.0
"""How soon to look again whether a delete shows; it may take some seconds after the 204."""

_XML = re.compile(r"<Code>(?P<code>\d+)</Code>.*?<Message>(?P<message>[^<]*)", re.DOTALL)


def failed(
    kind: FailureKind,
    code: str,
    message: str,
    hint: str = "",
    retry_after: float | None = None,
) -> ServiceError:
    """Return an error of the one kind that leaves this adapter."""
    return ServiceError(Failure(Service.TWILIO, kind, code, message, hint, retry_after))


class NotFoundError(ServiceError):
    """A 404: GONE in Twilio's own words; any other may be that of a proxy or a wrong address."""


def bad_answer(message: str) -> ServiceError:
    """Return the error of a 200 that can't be read: most likely Twilio did not write it."""
    return failed(
        FailureKind.OUTAGE,
        "bad_answer",
        message,
        "a proxy or a captive portal may be answering in Twilio's place",
    )


def unconfirmed(sid: str, status: str) -> ServiceError:
    """Return the error of a delete that does not show yet: Twilio is to be asked again."""
    return failed(
        FailureKind.BUSY,
        "delete_unconfirmed",
        f"{sid} was asked to be deleted, and Twilio still shows it as {status!r}",
        "nothing is lost: the next run looks again, and deletes it if it is still there",
        _SHOWS_LATE_SECONDS,
    )


def unreachable(error: Exception, host: str) -> ServiceError:
    """Translate what stopped us from getting a whole answer."""
    if known := network.failure_on_the_way(error, Service.TWILIO, host):
        return ServiceError(known)
    code = "timeout" if isinstance(error, httpx.TimeoutException) else "connection"
    named = type(error).__name__
    # Of these alone the words are known to come from the system, not from the request.
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) and str(error):
        named += f" ({quotable(str(error))})"
    return failed(
        FailureKind.OUTAGE,
        code,
        f"no whole answer from {host}: {named}",
        "check the network, DNS and twilio.api_base; Twilio's state: status.twilio.com",
    )


def refused(  # noqa: PLR0911 - a ladder of statuses
    response: httpx.Response, body: bytes, what: str, origin: Origin
) -> ServiceError:
    """Translate a status of 300 or more; `what` names the request without its query."""
    status = response.status_code
    if status == network.REFUSED:
        return ServiceError(network.proxy_refused(Service.TWILIO, origin.url.host))
    own_code, own = _own_words(body)
    said = " ".join(part for part in (own_code, own) if part)
    message = f"{what} was answered {status}" + (f": {said}" if said else "")
    request_id = response.headers.get("Twilio-Request-Id", "")
    if is_sid(request_id, REQUEST):
        message += f" (Twilio-Request-Id {request_id})"
    code = own_code or f"http_{status}"
    wait = network.retry_after(response.headers)
    if status < httpx.codes.BAD_REQUEST:  # the Location stays unseen, for it may be signed
        hint = "the API does not redirect: check twilio.api_base, or a proxy or portal answered"
        return failed(FailureKind.OUTAGE, "redirected", message, hint)
    if status in {401, 403}:
        hint = (
            "check twilio.auth_token or the API key, in twilio.regions if it is another region: "
            f"{origin.username} and its secret have to be valid for account {origin.account_sid} "
            f"in region {origin.region} and may do this"
        )
        return failed(FailureKind.DENIED, code, message, hint)
    if status == httpx.codes.NOT_FOUND:
        kind, hint = FailureKind.PERMANENT, "these are not Twilio's words: check twilio.api_base"
        if _says_not_there(body):
            kind = FailureKind.GONE
            hint = "it was deleted over 40 days ago, is of another account or region, or a test"
        return NotFoundError(failed(kind, "not_found", message, hint).failure)
    if status in BUSY_STATUSES or own_code in BUSY_CODES:
        return failed(FailureKind.BUSY, code, message, retry_after=wait)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return failed(FailureKind.OUTAGE, code, message, retry_after=wait)
    return failed(FailureKind.PERMANENT, code, message)


def _own_words(body: bytes) -> tuple[str, str]:
    """Return Twilio's own code and message: JSON from the API, XML from the media addresses."""
    text = body.decode(errors="replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        found = _XML.search(text)
        payload = found.groupdict() if found else None
    if not isinstance(payload, dict):
        return "", ""
    code, message = str(payload.get("code")), payload.get("message")
    return (
        code if re.fullmatch(r"\d{1,6}", code) else "",
        quotable(message) if isinstance(message, str) else "",
    )


def _says_not_there(body: bytes) -> bool:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(payload, dict) and payload.get("code") == NOT_THERE
