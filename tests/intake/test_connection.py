"""Whoever may connect can send a request without an end: it ends all the same."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.sync.client import connect

from reccli.intake import connection
from tests.intake.app import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

MUCH = 64 * 1024 * 1024
LONGEST = 10.0
"""Seconds that a test waits for the end of a connection."""


async def size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def unread(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("not read")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


@pytest.fixture
def url() -> Iterator[str]:
    routes = [
        Route("/", size, methods=["GET", "POST"]),
        Route("/unread", unread, methods=["POST"]),
        WebSocketRoute("/echo", echo),
    ]
    with serving(Starlette(routes=routes)) as running:
        yield running


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.2)
    monkeypatch.setattr(connection, "REST_WITHIN", 0.2)


def opened(url: str, *sent: bytes) -> socket.socket:
    where = urlsplit(url)
    client = socket.create_connection((where.hostname or "", where.port or 0), timeout=LONGEST)
    for piece in sent:
        client.sendall(piece)
    return client


def ended(client: socket.socket) -> bytes:
    """Read until the other side ends the connection; a `TimeoutError` if it does not."""
    heard = b""
    with client:
        try:
            while piece := client.recv(65536):
                heard += piece
        except ConnectionError:
            pass
    return heard


POST = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",  # the second of two
        POST + b"1\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
@pytest.mark.usefixtures("soon")
def test_what_is_half_sent_is_dropped(url: str, sent: bytes) -> None:
    for client in [opened(url, sent) for _ in range(3)]:
        ended(client)
    assert httpx.get(url, trust_env=False).text == "0"


def test_a_head_has_at_most_16_kib(url: str) -> None:
    room = connection.HEAD - 400
    assert httpx.get(url, headers={"x": "x" * room}, trust_env=False).text == "0"
    endless = opened(url, b"GET / HTTP/1.1\r\nx: ")
    with endless, pytest.raises(ConnectionError):  # long before all of it was taken
        endless.sendall(b"x" * MUCH)
    told = ended(opened(url, b"GET / HTTP/1.1\r\nx: " + b"x" * connection.HEAD))
    assert re.match(rb"HTTP/1.1 431 ", told)


def test_what_follows_a_body_is_bounded_too(url: str) -> None:
    """Lines behind the last chunk are kept by the parser like those of a head."""
    with opened(url, POST + b"0\r\nx: ") as client, pytest.raises(ConnectionError):
        client.sendall(b"x" * MUCH)


def test_whole_requests_are_counted_each_by_itself(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as http:
        for _ in range(4):  # more than a head in all, and a body larger than a head
            assert http.get("/", headers={"x": "x" * 8000}).text == "0"
            assert http.post("/", content=b"x" * 60_000).text == "60000"
    many = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
    with opened(url, many + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") as client:
        assert ended(client).count(b"200 OK") == 4001


@pytest.mark.usefixtures("soon")
def test_a_stream_is_left_to_its_own_bounds(url: str) -> None:
    with connect(url.replace("http", "ws") + "/echo", proxy=None) as client:
        client.ping().wait(LONGEST)
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.5)  # longer than a request may take
        client.send("x" * 30_000)
        assert len(client.recv(timeout=LONGEST)) == 30_000
