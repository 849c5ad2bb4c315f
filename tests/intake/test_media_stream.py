"""Media streams over real WebSockets: what they leave behind, and what they can't do."""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import struct
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from reccli.adapters.ledger import LedgerError
from reccli.adapters.twilio import Signatures
from reccli.core.errors import Failure, FailureKind, Service
from reccli.intake import media_stream
from reccli.intake.media_stream import MediaStream
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from tests.intake.app import PUBLIC_URL, Running, running, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reccli.adapters.ledger import Callback

WSS = PUBLIC_URL.replace("https", "wss") + "/stream"
CALL, STREAM = "CA" + "0c" * 16, "MZ" + "0d" * 16
NUMBER = "+61400111222"
SIGNATURES = Signatures({"main": AUTH_TOKEN})


def start(call: str = CALL, stream: str = STREAM, account: str = ACCOUNT_SID) -> dict[str, Any]:
    told = {
        "accountSid": account,
        "callSid": call,
        "streamSid": stream,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"from": NUMBER},
    }
    return {"event": "start", "sequenceNumber": "1", "start": told, "streamSid": stream}


CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
STOP = {
    "event": "stop",
    "sequenceNumber": "5",
    "streamSid": STREAM,
    "stop": {"accountSid": ACCOUNT_SID, "callSid": CALL},
}
MEDIA = {
    "event": "media",
    "sequenceNumber": "3",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "f" * 216},
    "streamSid": STREAM,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as made:
        yield made


def opened(url: str, signature: str | None = SIGNATURES.sign(WSS)) -> ClientConnection:
    headers = {"X-Twilio-Signature": signature} if signature is not None else {}
    address = url.replace("http", "ws") + "/stream"
    return connect(address, additional_headers=headers, compression=None, open_timeout=10)


def say(stream: ClientConnection, *messages: object) -> None:
    for message in messages:
        stream.send(message if isinstance(message, str | bytes) else json.dumps(message))


def closed(stream: ClientConnection) -> int:
    """Wait until the server closes the stream, and tell its code."""
    with suppress(ConnectionClosed):
        while True:
            stream.recv(timeout=20)
    return int(stream.protocol.close_code or 0)


def kept(server: Running) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(server.ledger)) as db:
        return sorted(db.execute("SELECT sid, status FROM callbacks"))


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stream_leaves_its_call_and_nothing_else(server: Running) -> None:
    with opened(server.url) as stream:
        say(stream, CONNECTED, start(), *[MEDIA] * 50, {"event": "mark", "mark": {"name": "x"}})
        assert kept(server) == []
        say(stream, STOP)
        assert closed(stream) == 1000  # <Connect><Stream> waits for that
    wait_for(lambda: kept(server) == [(CALL, f"stopped {STREAM}")])
    with closing(sqlite3.connect(server.ledger)) as db:
        ((body,),) = db.execute("SELECT body FROM callbacks")
    assert NUMBER.encode() not in body


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "garbage",
        SIGNATURES.sign(WSS.replace("wss", "https")),
        SIGNATURES.sign(WSS.replace("calls", "evil")),
        Signatures({"other": "other"}).sign(WSS),
    ],
)
def test_an_unsigned_handshake_is_refused(server: Running, signature: str | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(server.url, signature)
    assert caught.value.response.status_code == 403
    assert b"calls.example.com" not in (caught.value.response.body or b"")


def test_a_handshake_may_be_signed_with_a_slash(server: Running) -> None:
    with opened(server.url, SIGNATURES.sign(f"{WSS}/")) as stream:
        say(stream, start(), STOP)
        assert closed(stream) == 1000
    wait_for(lambda: len(kept(server)) == 1)


ODD = (
    *("", "x", "{", "[]", "null", "7", '"start"', "{}", '{"event": 7}', '{"event": "unknown"}'),
    *(
        "[" * 30_000,
        '{"event": ["start"]}',
        "\x00",
        "é" * 100,
        b"",
        b"\xff\xfe",
        b'{"event": "stop"}',
    ),
)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_garbage_is_borne_before_and_after_the_start(server: Running, odd: str | bytes) -> None:
    with opened(server.url) as stream:
        say(stream, odd, CONNECTED, start(), odd, MEDIA, odd, STOP)
        assert closed(stream) == 1000
    wait_for(lambda: kept(server) == [(CALL, f"stopped {STREAM}")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "start"},
        {"event": "start", "start": []},
        {"event": "start", "start": {"callSid": 7, "accountSid": [], "streamSid": {}}},
        start(call="CA123"),
        start(call="CA" + "0c" * 15 + "'--"),
        start(stream="MZ"),
        start(account="AC" + "0" * 32),
    ],
)
def test_a_start_of_something_else_is_closed(server: Running, wrong: dict[str, Any]) -> None:
    with opened(server.url) as stream:
        say(stream, CONNECTED, wrong)
        assert closed(stream) == 1008
    assert kept(server) == []


def test_too_much_before_the_start_is_closed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_stream, "START_WITHIN", 60.0)
    with opened(server.url) as stream:
        with suppress(ConnectionClosed):
            say(stream, *[CONNECTED] * 50)
        assert closed(stream) == 1008


def test_a_stream_that_never_starts_is_closed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_stream, "START_WITHIN", 0.3)
    with opened(server.url) as stream:
        assert closed(stream) == 1008
    assert kept(server) == []


def test_a_message_that_is_too_large_ends_the_stream(server: Running) -> None:
    with opened(server.url) as stream:
        say(stream, start())
        stream.ping().wait(10)  # so that it has been read
        with suppress(ConnectionClosed):
            say(stream, "x" * (media_stream.LARGEST + 1))
        assert closed(stream) == 1009
    wait_for(lambda: kept(server) == [(CALL, f"stopped {STREAM}")])


@pytest.mark.parametrize(
    "messages",
    [(start(), STOP, STOP, STOP), (start(), STOP, MEDIA, MEDIA), (start(), start(), STOP)],
)
def test_what_comes_twice_or_too_late_changes_nothing(
    server: Running, messages: tuple[object, ...]
) -> None:
    with opened(server.url) as stream:
        with suppress(ConnectionClosed):
            say(stream, *messages)
        assert closed(stream) == 1000
    wait_for(lambda: kept(server) == [(CALL, f"stopped {STREAM}")])


def test_nothing_is_left_by_a_stream_without_a_start(server: Running) -> None:
    with opened(server.url) as stream:
        say(stream, CONNECTED)
    with opened(server.url) as stream:
        say(stream, CONNECTED, STOP)
        assert closed(stream) == 1000
    assert kept(server) == []


def raw(url: str) -> socket.socket:
    """Open a stream by hand, over a socket that can be torn."""
    split = urlsplit(url)
    made = socket.create_connection((split.hostname or "", split.port or 0), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    made.sendall(
        f"GET /stream HTTP/1.1\r\nHost: evil.example.com\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"X-Twilio-Signature: {SIGNATURES.sign(WSS)}\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return made


def frame(message: object) -> bytes:
    payload = json.dumps(message).encode()
    head = bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(payload))
    return head + bytes(4) + payload  # a mask of zeros


@pytest.mark.parametrize("started", [True, False])
def test_a_torn_connection_is_an_end_like_any_other(server: Running, *, started: bool) -> None:
    torn = raw(server.url)
    torn.sendall(frame(CONNECTED) + (frame(start()) + frame(MEDIA) if started else b""))
    time.sleep(0.2)
    torn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    torn.close()
    if started:
        wait_for(lambda: kept(server) == [(CALL, f"stopped {STREAM}")])
    else:
        time.sleep(0.3)
        assert kept(server) == []


def test_half_a_frame_and_a_broken_protocol_are_ends_too(server: Running) -> None:
    for number, rest in enumerate([frame(MEDIA)[:20], b"\x00\x00\xff\xff" * 9]):
        torn = raw(server.url)
        torn.sendall(frame(start(stream=f"MZ{number:032x}")))
        time.sleep(0.2)
        torn.sendall(rest)
        torn.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while torn.recv(4096):
                pass
        torn.close()
    wait_for(lambda: len(kept(server)) == 2)


def test_each_stream_of_a_call_counts(server: Running) -> None:
    streams = ["MZ" + "1" * 32, "MZ" + "2" * 32]
    for name in streams:
        with opened(server.url) as stream:
            say(stream, start(stream=name), STOP)
            assert closed(stream) == 1000
    wait_for(lambda: kept(server) == [(CALL, f"stopped {name}") for name in streams])


def test_a_server_that_stops_keeps_every_open_stream(tmp_path: Path) -> None:
    with ExitStack() as clients:
        with running(tmp_path) as server:
            for number in range(100):
                stream = clients.enter_context(opened(server.url))
                say(stream, start(f"CA{number:032x}", f"MZ{number:032x}"))
                stream.ping().wait(10)  # so that it has been read
        assert len(kept(server)) == 100


@contextmanager
def failing(times: int) -> Iterator[tuple[str, list[Callback]]]:
    """Serve a stream whose callbacks cannot be kept for some times."""
    tried: list[Callback] = []

    async def keep(callback: Callback) -> bool:
        tried.append(callback)
        if len(tried) <= times:
            raise LedgerError(Failure(Service.LEDGER, FailureKind.OUTAGE, "full", "it is full"))
        return True

    stream = MediaStream(WSS, ACCOUNT_SID, SIGNATURES, keep)
    with serving(Starlette(routes=[stream.route])) as url:
        yield url, tried


@pytest.mark.parametrize("times", [1, 99])
def test_what_cannot_be_kept_is_tried_again_and_told(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import structlog

    monkeypatch.setattr(media_stream, "WAIT", 0.05)
    with structlog.testing.capture_logs() as logs, failing(times) as (url, tried):
        with opened(url) as stream:
            say(stream, start(), STOP)
            assert closed(stream) == 1000
        wait_for(lambda: any(one.get("call_sid") == CALL for one in logs))
    assert len(tried) == min(times + 1, media_stream.TRIES)
    (told,) = [one for one in logs if one.get("call_sid") == CALL]
    lost = times >= media_stream.TRIES
    assert media_stream.TRIES > 1
    assert told["event"] == ("callback_not_kept" if lost else "recording_transfer_scheduled")
    assert NUMBER not in str(logs)
