"""`POST /api/twilio/recording-status`: a callback about a recording is kept, then answered 204.

The signature is checked against the configured public URL, never against what a request says of
its own host. Nothing of a callback is requested or repeated: it names a recording by its SIDs,
and everything else is built anew. For `webhook` alone.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.responses import Response
from starlette.routing import Route

from reccli.adapters.ledger import Callback
from reccli.adapters.twilio import Signed, form
from reccli.config import RECORDING_STATUS
from reccli.core.errors import ServiceError
from reccli.core.sids import ACCOUNT, CALL, RECORDING, is_sid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from reccli.adapters.twilio import Signatures

    Keep = Callable[[Callback], Awaitable[bool]]

LARGEST = 64 * 1024
"""Bytes of a body; Twilio's callbacks have some hundred."""
SLOWEST = 10.0
"""Seconds until a body has to be there; Twilio itself waits 15 at most for the answer."""
RETRY_AFTER = 1
"""Seconds; Twilio's tries all fall within 15 s, so a later one would not come."""

_NAMES = ("AccountSid", "CallSid", "RecordingSid", "RecordingStatus")
_NAME = re.compile(r"[A-Z][A-Za-z0-9_.-]{0,99}")
_STATUSES = frozenset(
    {"in-progress", "paused", "stopped", "processing", "completed", "absent", "failed"}
)
"""Twilio's enumeration of a recording's status, without the end that only a delete brings."""
_FORM = b"application/x-www-form-urlencoded"
_NOTHING_RECORDED = frozenset({"absent", "failed"})
_KEPT = Response(status_code=204)
_NOT_KEPT = Response(status_code=503, headers={"Retry-After": str(RETRY_AFTER)})

_log = structlog.get_logger("reccli")


class BadCallbackError(Exception):
    """A request that is not taken: the status to answer, and why, for the log."""

    def __init__(self, status: int, why: str) -> None:
        """Neither holds anything of the request."""
        super().__init__(why)
        self.status, self.why = status, why


class RecordingStatus:
    """The endpoint. `keep` returns once the callback is durable, and raises `ServiceError`."""

    def __init__(self, url: str, account_sid: str, signatures: Signatures, keep: Keep) -> None:
        """`url` is what Twilio was given, https://…, and what it signs."""
        self._url = url
        self._account_sid = account_sid
        self._signatures = signatures
        self._keep = keep

    @property
    def route(self) -> Route:
        """The route to mount: this object itself is the app behind it, which saves the wrappers."""
        return Route(RECORDING_STATUS, self, methods=["GET", "POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """204 once the callback is durable; 503 when it is not, so that Twilio tries again."""
        await (await self._answer(scope, receive))(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        try:
            raw, fields = await self._read(scope, receive)
            callback = parse_callback(fields, raw, self._account_sid)
        except BadCallbackError as refused:
            _log.warning("callback_refused", status=refused.status, reason=refused.why)
            return Response(status_code=refused.status)
        about = {"recording_sid": callback.sid, "call_sid": callback.call_sid}
        try:
            await self._keep(callback)
        except ServiceError as error:
            _log.error("callback_not_kept", **about, code=error.failure.code, error=str(error))
            return _NOT_KEPT
        level = _log.warning if callback.status in _NOTHING_RECORDED else _log.info
        level("recording_status_callback", **about, status=callback.status)
        return _KEPT

    async def _read(
        self, scope: Scope, receive: Receive
    ) -> tuple[bytes, Sequence[tuple[str, str]]]:
        """Return the raw parameters and their parsed form, now that Twilio has signed them."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        signature = headers.get(b"x-twilio-signature")
        if not signature:  # without reading on: whoever it is has to sign first
            raise BadCallbackError(403, "no signature")
        raw = await _body(receive)
        query: bytes = scope["query_string"]
        posted = scope["method"] == "POST"
        if posted and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _FORM:
            raise BadCallbackError(403, "not a form, which is what Twilio signs")
        if not posted:
            raw = query
        try:
            fields = form(raw)
        except ValueError:
            raise BadCallbackError(403, "not a form that Twilio would send") from None
        settings = headers.get(b"x-twilio-webhooks-signature-settings")
        signed = Signed(
            url=f"{self._url}?{query.decode('latin-1')}" if query else self._url,
            params=fields if posted else (),
            signature=signature.decode("latin-1"),
            settings=settings.decode("latin-1") if settings else None,
        )
        if self._signatures.check(signed) is None:
            raise BadCallbackError(
                403, "the signature is not Twilio's: see `reccli webhook explain`"
            )
        return raw, fields


async def _body(receive: Receive) -> bytes:
    """Read the body, as far as it is of a bearable size and comes in a bearable time."""
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadCallbackError(408, "the body did not come")
                body += message.get("body", b"")
                if len(body) > LARGEST:
                    raise BadCallbackError(413, "the body is too large")
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise BadCallbackError(408, "the body did not come") from None


def parse_callback(fields: Sequence[tuple[str, str]], raw: bytes, account_sid: str) -> Callback:
    """Parse a signed callback; raises `BadCallbackError` for what is not of Twilio's grammar.

    The signature does not say where a name ends and a value begins, so one that was captured can
    be cut up anew. A value counts only if it is of the one right form and given once, and a name
    that begins with one of ours, or as no name of Twilio's does, is a piece of another cut.
    """
    names = [name for name, _ in fields]
    values: Mapping[str, str] = dict(fields)
    for name in _NAMES:
        if names.count(name) > 1:
            raise BadCallbackError(400, f"{name} is given more than once")
    if any(not _NAME.fullmatch(name) or _is_cut(name) for name in names):
        raise BadCallbackError(400, "the parameters are not cut as Twilio cuts them")
    if not is_sid(values.get("AccountSid"), ACCOUNT):
        raise BadCallbackError(400, "AccountSid is not the SID of an account")
    if values["AccountSid"] != account_sid:
        raise BadCallbackError(400, "AccountSid is not the configured account")
    if not is_sid(values.get("RecordingSid"), RECORDING):
        raise BadCallbackError(400, "RecordingSid is not the SID of a recording")
    call_sid = values.get("CallSid") or None  # a conference's recording has none
    if call_sid and not is_sid(call_sid, CALL):
        raise BadCallbackError(400, "CallSid is not the SID of a call")
    if values.get("RecordingStatus") not in _STATUSES:
        raise BadCallbackError(400, "RecordingStatus is not a status of Twilio's")
    return Callback(
        sid=values["RecordingSid"],
        status=values["RecordingStatus"],
        account_sid=account_sid,
        call_sid=call_sid,
        body=raw,
        received=datetime.now(UTC),
    )


def _is_cut(name: str) -> bool:
    return name not in _NAMES and name.startswith(_NAMES)
