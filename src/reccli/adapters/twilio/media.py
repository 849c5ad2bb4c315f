"""The audio itself, which the SDK can't fetch: it only knows text.

Whether Twilio answers with the bytes or with a redirect to a signed URL is undocumented, so
both are expected. Credentials stay at the configured origin, and are not shown again to a
chain of redirects that has once left it.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from reccli import network
from reccli.adapters.twilio.twilio_failures import BROKEN, failed, refused, unreachable
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.links import twilio_url
from reccli.flow.ports import Media

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.adapters.twilio.session import Session
    from reccli.core.model import Recording

MAX_REDIRECTS = 5
CHUNK = 256 * 1024
NOT_READY_SECONDS = 1.5
"""Twilio advises 1 to 3 s after an early 404 (help article 44750147594523)."""

YOUNG = timedelta(hours=1)
"""How long after its end a recording's audio may be late."""

_EXCERPT = 16 * 1024
_MONO, _DUAL = 1, 2
_IS_MONO = "16113"
"""Twilio's error: dual-channel audio was requested of a mono recording."""


@contextmanager
def open_media(session: Session, recording: Recording, extension: str) -> Iterator[Media]:
    """Open the audio with every channel that it has; the body is read by the caller.

    Where the metadata names no number of channels, two are asked for, and `Media.channels` is
    what Twilio granted.
    """
    response, granted = _granted(session, recording, extension)
    try:
        length = network.body_length(response.headers)
        yield Media(
            content_type=response.headers.get("Content-Type", ""),
            length=length,
            chunks=_chunks(response),
            framed=length is not None or _is_chunked(response),
            channels=granted,
        )
    finally:
        response.close()


def _granted(
    session: Session, recording: Recording, extension: str
) -> tuple[httpx.Response, int | None]:
    """Request two channels unless it is known to have another number; returns what was granted."""
    plain = httpx.URL(twilio_url(session.origin.api_base, recording.ref, extension))
    what = f"GET {plain.path}"
    if recording.channels not in {None, _DUAL}:
        return _follow(session, recording, plain, what), None
    # Without it a conference recording comes as mono (Twilio's Recording resource page).
    dual = plain.copy_merge_params({"RequestedChannels": str(_DUAL)})
    try:
        response = _follow(session, recording, dual, f"{what} with RequestedChannels={_DUAL}")
    except ServiceError as error:
        # Of one that is said to have two, a refusal is final: the other would go with the delete.
        if recording.channels is not None or error.failure.code != _IS_MONO:
            raise
        return _follow(session, recording, plain, what), _MONO
    return response, _DUAL if recording.channels is None else None


def _follow(session: Session, recording: Recording, url: httpx.URL, what: str) -> httpx.Response:
    """Follow redirects to the 200 whose body is the audio; credentials stay at their origin."""
    origin = session.origin
    trusted = True
    for _ in range(MAX_REDIRECTS + 1):
        trusted = trusted and origin.owns(url)
        auth = httpx.BasicAuth(origin.username, origin.password) if trusted else None
        response = _send(session.http, url, auth)
        if response.status_code == httpx.codes.OK:
            if response.headers.get("Content-Encoding", "identity").lower() == "identity":
                return response
            response.close()
            message = f"{what} was answered with compressed bytes, which we had declined"
            raise failed(FailureKind.OUTAGE, "compressed", message, "a proxy may be the cause")
        body = _excerpt(response)
        if response.next_request is None:  # which httpx makes of a Location, and does not send
            asked = what if trusted else f"{what}, redirected to {url.host},"
            if response.status_code == httpx.codes.NOT_FOUND:
                said = refused(response, body, asked, origin).failure.message
                raise _absent(recording, said)
            raise _failure(session, response, body, what=asked, trusted=trusted)
        url = response.next_request.url
        if url.scheme not in {"https", origin.url.scheme} or url.userinfo:
            # Of a Location only this is ever shown: the rest may be signed.
            message = f"{what} was redirected to {url.scheme}://{url.host}, which is not followed"
            hint = "only https addresses without a user name are"
            raise failed(FailureKind.PERMANENT, "bad_redirect", message, hint)
    message = f"{what} was redirected more than {MAX_REDIRECTS} times"
    raise failed(FailureKind.PERMANENT, "redirect_loop", message)


def _send(http: httpx.Client, url: httpx.URL, auth: httpx.Auth | None) -> httpx.Response:
    request = http.build_request("GET", url, headers={"Accept-Encoding": "identity"})
    try:
        return http.send(request, stream=True, auth=auth, follow_redirects=False)
    except BROKEN as error:
        raise unreachable(error, url.host) from error


def _failure(
    session: Session, response: httpx.Response, body: bytes, *, what: str, trusted: bool
) -> ServiceError:
    """Translate a media answer other than 200."""
    status = response.status_code
    if status < httpx.codes.BAD_REQUEST:
        message = f"{what} was answered {status} instead of 200 and the whole file"
        return failed(FailureKind.PERMANENT, "unexpected_status", message)
    failure = refused(response, body, what, session.origin).failure
    if failure.kind is FailureKind.DENIED and not trusted:
        # Our credentials were not shown, so they were not refused: a signed URL has run out.
        return failed(FailureKind.BUSY, "media_refused", failure.message)
    return ServiceError(failure)


def _absent(recording: Recording, message: str) -> ServiceError:
    """Return NOT_YET for audio that may still come, within moments of the end; else GONE."""
    age = datetime.now(UTC) - recording.created if recording.created else timedelta()
    if age - timedelta(seconds=recording.duration or 0) < YOUNG:
        hint = "not there yet, deleted, in external storage, or of another region"
        kind, code = FailureKind.NOT_YET, "media_not_ready"
        return failed(kind, code, message, hint, NOT_READY_SECONDS)
    hint = (
        "is the account's external storage on? Then the audio lies in your own bucket, under "
        "{account}/{recording}; or it was deleted, or is of another region"
    )
    return failed(FailureKind.GONE, "no_media", message, hint)


def _excerpt(response: httpx.Response) -> bytes:
    """Read the beginning of a body that is not audio; to its end, the connection is kept."""
    body = b""
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _EXCERPT:
                break
    except BROKEN:
        pass  # the status alone says enough
    finally:
        response.close()
    return body


def _is_chunked(response: httpx.Response) -> bool:
    return bool(response.headers.get("Transfer-Encoding") == "chunked")


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    """Yield the bytes as they come over the wire; `iter_bytes` would decompress."""
    try:
        yield from response.iter_raw(CHUNK)
    except BROKEN as error:
        raise unreachable(error, response.url.host) from error
