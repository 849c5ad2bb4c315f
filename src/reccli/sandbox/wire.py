"""HTTP/1.1 on this machine: requests, answers, and connections that can be spoiled on purpose.

It parses requests itself: the head of one costs a fraction of what `BaseHTTPRequestHandler` takes,
and the benchmark shares its two cores with the services that sit on this.
"""

import gzip
import hashlib
import json
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from io import BufferedIOBase
from typing import Protocol, Self
from urllib.parse import parse_qs, unquote

from reccli.sandbox.faults import Fault, FaultKind

LONGEST_LINE = 1 << 20
ONE_SEND = 1 << 18
"""Above this size, joining head and body costs more than a second system call."""
PARTS = {FaultKind.SHORT, FaultKind.HALF, FaultKind.CLOSED, FaultKind.TRUNCATE}


def fingerprint(authorization: str) -> str:
    """Hash an Authorization header: the log says which credentials came, and keeps none."""
    return hashlib.sha256(authorization.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `status` is 0 until it is answered, and stays 0 if it never is."""

    time: float
    method: str
    target: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """By lower-case name, without Authorization."""
    authorization: str | None
    """The `fingerprint` of the Authorization header."""
    body: bytes = b""
    status: int = 0

    @property
    def segments(self) -> list[str]:
        """The path's parts, split before they are decoded: a name may contain a slash."""
        return [unquote(part) for part in self.target.partition("?")[0].split("/")[1:]]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: object) -> Self:
        """Answer DOCUMENT as JSON."""
        return cls(status, json.dumps(document).encode())


def rest_exception(status: int, code: int, message: str) -> Response:
    """Answer an error as Twilio's 2010 API words it without `.json`."""
    body = (
        "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException>"
        f"<Code>{code}</Code><Message>{message}</Message>"
        f"<MoreInfo>https://www.twilio.com/docs/errors/{code}</MoreInfo>"
        f"<Status>{status}</Status></RestException></TwilioResponse>"
    )
    return Response(status, body.encode(), "application/xml")


class HttpService(Protocol):
    """Who answers what arrives on a connection."""

    def serve(self, request: Request, connection: "Connection") -> bool:
        """Answer one request; tell whether the connection lives on."""
        ...


class Server(socketserver.ThreadingTCPServer):
    """Not `ThreadingHTTPServer`, which looks this machine's name up in DNS when it binds."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    server_address: tuple[str, int]

    def __init__(
        self,
        address: tuple[str, int],
        owner: HttpService,
        connection: "type[Connection] | None" = None,
    ) -> None:
        self.owner = owner
        self.open: dict[socket.socket, threading.Thread] = {}
        self.closed = False
        super().__init__(address, connection or Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client went away: some are killed on purpose."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def cut_connections(self) -> None:
        """Close what is open, and wait until no thread holds a socket any more."""
        self.closed = True
        for connection, thread in list(self.open.items()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(2)


class Connection(socketserver.StreamRequestHandler):
    """One keep-alive connection, in a thread of its own."""

    disable_nagle_algorithm = True
    server: Server
    request: socket.socket

    def setup(self) -> None:
        """Make the connection known, so that a stop can cut it."""
        super().setup()
        self.server.open[self.request] = threading.current_thread()
        if self.server.closed:  # accepted just before the port was shut
            self.request.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Forget it."""
        self.server.open.pop(self.request, None)
        super().finish()

    def handle(self) -> None:
        """Serve one request after the other."""
        while request := self._read():
            if not self.server.owner.serve(request, self):
                return

    def _read(self) -> Request | None:
        words = self.rfile.readline(LONGEST_LINE).decode("latin-1").split()
        if len(words) != 3:  # noqa: PLR2004
            return None
        headers: dict[str, str] = {}
        while line := self.rfile.readline(LONGEST_LINE).decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        authorization = headers.pop("authorization", None)
        path, _, query = words[1].partition("?")
        return Request(
            time.monotonic(),
            words[0],
            words[1],
            unquote(path),
            parse_qs(query, keep_blank_values=True),
            headers,
            None if authorization is None else fingerprint(authorization),
            self._read_body(headers),
        )

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        return read_chunked(self.rfile)

    def send(self, method: str, response: Response, fault: Fault | None) -> bool:
        """Send an answer as FAULT spoils it; tell whether the connection lives on."""
        if fault and fault.kind is FaultKind.LOST_RESPONSE:
            return False
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        body, lives_on = response.body, True
        if fault and fault.kind is FaultKind.GZIP:
            body = gzip.compress(body, mtime=0)
            lines.append("Content-Encoding: gzip")
        if response.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Type: {response.content_type}")
            framing, body, lives_on = framed(body, fault)
            lines.append(framing)
        head = "\r\n".join([*lines, "", ""])
        if fault and fault.kind is FaultKind.DRIP:
            self.drip(head, body, fault)
        else:
            self.send_raw(head, b"" if method == "HEAD" else body)
        return lives_on

    def drip(self, head: str, body: bytes, fault: Fault) -> None:
        """Send a message as FAULT has it, until whoever reads it goes away."""
        part = int(len(body) * fault.share)
        self.send_raw(head, body[:part])
        for at in range(part, len(body)):
            time.sleep(fault.delay)
            self.request.sendall(body[at : at + 1])

    def send_raw(self, head: str, body: bytes) -> None:
        """Send a message that is ready."""
        first = head.encode("latin-1")
        if len(body) < ONE_SEND:
            self.request.sendall(first + body)
        else:
            self.request.sendall(first)
            self.request.sendall(body)


def framed(body: bytes, fault: Fault | None) -> tuple[str, bytes, bool]:
    """Give the header that tells where BODY ends, what is sent, and whether more may follow."""
    kind = fault.kind if fault else None
    part = body[: int(len(body) * fault.share)] if fault and kind in PARTS else body
    match kind:
        case FaultKind.SHORT | FaultKind.CHUNKED:
            return "Transfer-Encoding: chunked", chunked(part), True
        case FaultKind.CLOSED:
            return "Connection: close", part, False
        case FaultKind.TRUNCATE:
            return f"Content-Length: {len(body)}", part, False
    return f"Content-Length: {len(part)}", part, True


def chunked(body: bytes) -> bytes:
    """Word BODY as one chunk and the end."""
    return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def read_chunked(stream: BufferedIOBase) -> bytes:
    """Read chunks up to the last, without trailers."""
    body = b""
    while size := int(stream.readline(LONGEST_LINE).partition(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
