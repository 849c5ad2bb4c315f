"""HTTP/1.1 as it passes through the S3 proxy: heads kept to the letter, bodies whole in memory."""

import socket
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedIOBase
from select import select
from typing import Self
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from reccli.sandbox.wire import LONGEST_LINE, chunked, read_chunked

BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class BrokenOffError(OSError):
    """A message ended before its end."""


@dataclass(slots=True)
class Head:
    """The first line and the headers of a message, in their order and spelling."""

    first: str
    headers: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return a header; "" if there is none."""
        return next((value for known, value in self.headers if known.lower() == name), "")

    def put(self, name: str, value: str) -> None:
        """Set a header."""
        self.drop(name.lower())
        self.headers.append((name, value))

    def drop(self, start: str) -> None:
        """Leave out the headers whose lower-case names begin with START."""
        self.headers = [item for item in self.headers if not item[0].lower().startswith(start)]

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([self.first, *lines, "", ""])


def read_head(stream: BufferedIOBase) -> Head | None:
    """Read a head; None when the connection ends before one."""
    first = stream.readline(LONGEST_LINE).decode("latin-1").strip()
    if not first:
        return None
    head = Head(first)
    while line := stream.readline(LONGEST_LINE).decode("latin-1").strip():
        name, _, value = line.partition(":")
        head.headers.append((name, value.strip()))
    return head


def read_body(stream: BufferedIOBase, head: Head) -> bytes:
    """Read the body that HEAD announces."""
    if head.get("transfer-encoding").lower() == "chunked":
        return read_chunked(stream)
    length = int(head.get("content-length") or 0)
    body = stream.read(length)
    if len(body) < length:
        raise BrokenOffError("a body ended early")
    return body


@dataclass(slots=True)
class S3Request:
    """One request to S3, by path-style address."""

    head: Head
    body: bytes = b""

    @property
    def method(self) -> str:
        """GET, PUT and so on."""
        return self.head.first.split()[0]

    @property
    def target(self) -> str:
        """Path and query, as sent."""
        return self.head.first.split()[1]

    @property
    def key(self) -> str:
        """The object's key; "" for a bucket."""
        return unquote(self.target.partition("?")[0]).lstrip("/").partition("/")[2]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, by lower-case name."""
        found = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return {name.lower(): values[0] for name, values in found.items()}

    def wire(self) -> bytes:
        """Return its bytes for S3."""
        is_chunked = self.head.get("transfer-encoding").lower() == "chunked"
        return str(self.head).encode("latin-1") + (chunked(self.body) if is_chunked else self.body)


@dataclass(slots=True)
class S3Answer:
    """One answer of S3; `body` is whole, whatever the head says of its framing."""

    head: Head
    body: bytes = b""

    @property
    def status(self) -> int:
        """200 and so on."""
        return int(self.head.first.split()[1])

    @property
    def is_ok(self) -> bool:
        """Whether the request had its effect."""
        return self.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}

    @classmethod
    def error(cls, status: int, code: str, message: str, *, method: str, more: str = "") -> Self:
        """Return an error as S3 does; an answer to HEAD has no body."""
        xml = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{more}</Error>"
        body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml.encode()
        head = Head(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}")
        head.headers = [("Content-Type", "application/xml"), ("x-amz-request-id", "SANDBOX")]
        head.put("Content-Length", str(len(body)))
        return cls(head, b"" if method == "HEAD" else body)


class Upstream:
    """One connection to the store, opened when it is needed, and again when it was closed."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._stream: BufferedIOBase | None = None

    def ask(self, address: tuple[str, int], request: S3Request) -> S3Answer:
        """Send a request and read the answer to it."""
        stream = self._connected(address)
        try:
            self._send(request.wire())
            answer = _read_answer(stream, request.method)
        except BaseException:
            self.close()
            raise
        if answer.head.get("connection").lower() == "close":
            self.close()
        return answer

    def _send(self, message: bytes) -> None:
        try:
            if self._socket:
                self._socket.sendall(message)
        except ConnectionError:
            pass  # it may have answered before it had read all

    def _connected(self, address: tuple[str, int]) -> BufferedIOBase:
        if self._socket and select([self._socket], [], [], 0)[0]:  # closed while it was idle
            self.close()
        if self._socket is None or self._stream is None:
            self._socket = socket.create_connection(address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rb")
        return self._stream

    def close(self) -> None:
        """Close the connection."""
        if self._stream:
            self._stream.close()
        if self._socket:
            self._socket.close()
        self._socket = self._stream = None


def _read_answer(stream: BufferedIOBase, method: str) -> S3Answer:
    head = read_head(stream)
    while head and head.first.split()[1].startswith("1"):  # 100 Continue
        head = read_head(stream)
    if head is None:
        raise BrokenOffError("the store closed the connection")
    answer = S3Answer(head)
    if method != "HEAD" and answer.status not in BODILESS:
        answer.body = read_body(stream, head)
    return answer
