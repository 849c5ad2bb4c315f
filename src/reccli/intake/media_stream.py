"""`WS /stream`: a Twilio Media Stream ends with its call; its audio is thrown away.

Streaming does not record and `stop` does not mean that a recording is there. So all that a stream
leaves is one callback about its call, from which the call's recordings are looked up until they
are settled. For `webhook`, and for `server` the settings of its WebSockets.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from reccli.adapters.ledger import Callback
from reccli.adapters.twilio import Signed
from reccli.config import STREAM
from reccli.core.errors import ServiceError
from reccli.core.sids import ACCOUNT, CALL, MEDIA_STREAM, is_sid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

    from reccli.adapters.twilio import Signatures

LARGEST = 64 * 1024
"""Bytes of a message; 20 ms of audio have some 300."""
WEBSOCKET: dict[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": LARGEST,
    "ws_ping_interval": 20.0,  # who is gone without a word is found out within 40 s
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": False,  # 64 KiB for each stream, and audio does not shrink
}
"""How uvicorn has to treat WebSockets."""

START_WITHIN = 10.0
"""Seconds until `start` has to come; Twilio sends it at once."""
MOST_BEFORE_START = 10
"""Messages; Twilio sends one, `connected`."""
TRIES, WAIT = 3, 1.5
"""How often a callback is tried to be kept, with so many seconds between: nobody repeats it."""
FINISH_WITHIN = 10.0
"""Seconds that the end of the server waits for the ends of streams to be kept."""
_NORMAL, _UNWANTED = 1000, 1008
_GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""What Starlette raises when the other side is not there any more."""
_MEDIA = re.compile(r'\s*\{\s*"event"\s*:\s*"media"')
_SIDS = {"accountSid": ACCOUNT, "callSid": CALL, "streamSid": MEDIA_STREAM}

_log = structlog.get_logger("reccli")


@dataclass(frozen=True, slots=True)
class _Stream:
    """What `start` says; the rest of it may hold phone numbers and is not looked at."""

    account_sid: str
    call_sid: str
    stream_sid: str

    def ended(self) -> Callback:
        """Return the end of the stream as a callback to be kept."""
        sids = {"accountSid": self.account_sid, "callSid": self.call_sid}
        return Callback(
            sid=self.call_sid,
            status=f"stopped {self.stream_sid}",
            account_sid=self.account_sid,
            call_sid=self.call_sid,
            body=json.dumps(sids | {"streamSid": self.stream_sid}).encode(),
            received=datetime.now(UTC),
        )


class _UnwantedError(Exception):
    """Twilio does not speak like that; the text says why, and holds nothing of what came."""


class MediaStream:
    """The endpoint. `keep` returns once the callback is durable, and raises `ServiceError`."""

    def __init__(
        self,
        url: str,
        account_sid: str,
        signatures: Signatures,
        keep: Callable[[Callback], Awaitable[bool]],
    ) -> None:
        """`url` is what Twilio was given, wss://…, and what it signs."""
        self._url = url
        self._account_sid = account_sid
        self._signatures = signatures
        self._keep = keep
        self._keeping: set[asyncio.Task[None]] = set()

    @property
    def route(self) -> WebSocketRoute:
        """The route to mount."""
        return WebSocketRoute(STREAM, self.serve)

    async def serve(self, socket: WebSocket) -> None:
        """Listen to one stream until it ends, however that is, and then keep that it did."""
        request = Signed(
            self._url,
            signature=socket.headers.get("x-twilio-signature"),
            settings=socket.headers.get("x-twilio-webhooks-signature-settings"),
        )
        if self._signatures.check(request) is None:
            unsigned = "no signature"
            wrong = "the signature is not Twilio's: see `reccli webhook explain`"
            _log.warning("stream_refused", reason=wrong if request.signature else unsigned)
            await socket.close()  # before it was accepted: a 403
            return
        try:
            await socket.accept()
            async with asyncio.timeout(START_WITHIN):
                stream = await self._start(socket)
        except TimeoutError:
            await _close(socket, _UNWANTED, "no start came")
        except _UnwantedError as error:
            await _close(socket, _UNWANTED, str(error))
        except _GONE:
            return
        else:
            await self._follow(socket, stream)

    async def _follow(self, socket: WebSocket, stream: _Stream | None) -> None:
        try:
            if stream:
                await _until_stop(socket)
        except _GONE:
            return  # an end like any other
        finally:
            if stream:  # in a task of its own, for this one is cancelled when the server stops
                task = asyncio.create_task(self._keep_end(stream))
                self._keeping.add(task)
                task.add_done_callback(self._keeping.discard)
        await _close(socket, _NORMAL)

    async def finish(self) -> None:
        """Wait until every end that is being kept is kept, or given up; not for too long."""
        if self._keeping:
            _, late = await asyncio.wait(self._keeping, timeout=FINISH_WITHIN)
            if late:
                _log.error("callback_not_kept", streams=len(late), error="the ledger is too slow")

    async def _keep_end(self, stream: _Stream) -> None:
        ended = stream.ended()
        for number in range(1, TRIES + 1):
            try:
                await self._keep(ended)
            except ServiceError as error:
                if number == TRIES:
                    code, why = error.failure.code, str(error)
                    _log.error("callback_not_kept", call_sid=stream.call_sid, code=code, error=why)
                    return
                await asyncio.sleep(WAIT)
            else:
                _log.info("recording_transfer_scheduled", call_sid=stream.call_sid)
                return

    async def _start(self, socket: WebSocket) -> _Stream | None:
        """Wait for `start`; None if the stream stops before there was one."""
        for _ in range(MOST_BEFORE_START):
            message = _read(await _text(socket))
            if message.get("event") == "stop":
                return None
            if message.get("event") == "start":
                return self._stream(message)
        raise _UnwantedError("too much came before start")

    def _stream(self, message: dict[str, Any]) -> _Stream:
        start = message.get("start")
        fields = {
            "streamSid": message.get("streamSid"),
            **(start if isinstance(start, dict) else {}),
        }
        for name, kind in _SIDS.items():
            if not is_sid(fields.get(name), kind):
                raise _UnwantedError(f"start has no {name}")
        if fields["accountSid"] != self._account_sid:
            raise _UnwantedError("start is of an account that is not configured")
        return _Stream(fields["accountSid"], fields["callSid"], fields["streamSid"])


async def _close(socket: WebSocket, code: int, why: str = "") -> None:
    if why:
        _log.warning("stream_refused", reason=why)
    with suppress(*_GONE):
        await socket.close(code)


async def _until_stop(socket: WebSocket) -> None:
    while _read(await _text(socket)).get("event") != "stop":
        pass


async def _text(socket: WebSocket) -> str:
    """Return the next message that is a text; raises `WebSocketDisconnect` at the end."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", _NORMAL))
    return message.get("text") or ""


def _read(text: str) -> dict[str, Any]:
    """Read a message; what is no JSON object says nothing, and audio is not even looked at."""
    if _MEDIA.match(text):
        return {}
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
