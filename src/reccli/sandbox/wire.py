"""HTTP/1.1 on this machine: a port, and connections that can be spoiled on purpose.

It parses requests itself: the head of one costs a fraction of what `BaseHTTPRequestHandler` takes,
and the benchmark shares its two cores with the services that sit on this.
"""

import gzip
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import responses
from io import BufferedIOBase
from typing import ClassVar, Self
from urllib.parse import parse_qs, unquote

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.messages import Request, Response, fingerprint

LONGEST_LINE = 1 << 20
ONE_SEND = 1 << 18
"""Above this size, joining head and body costs more than a second system call."""
PARTS = {FaultKind.SHORT, FaultKind.HALF, FaultKind.CLOSED, FaultKind.TRUNCATE}


class Server(socketserver.ThreadingTCPServer):
    """Not `ThreadingHTTPServer`, which looks this machine's name up in DNS when it binds."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    server_address: tuple[str, int]

    def __init__(self, port: int, owner: "Listener") -> None:
        self.owner = owner
        self.open: dict[socket.socket, threading.Thread] = {}
        self.closed = False
        super().__init__(("127.0.0.1", port), owner.connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing when a client went away: some are killed on purpose."""
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
        """Send an answer as FAULT spoils it; return whether the connection lives on."""
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


class Listener:
    """A port on 127.0.0.1, for `with`. Subclasses answer in `serve`."""

    connection: ClassVar[type[Connection]] = Connection

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def serve(self, request: Request, connection: Connection) -> bool:
        """Answer one request; return whether the connection lives on."""
        raise NotImplementedError

    def start(self) -> Self:
        """Listen; after a `stop`, on the same port as before."""
        self._stopping = threading.Event()
        self._server = Server(self._port, self)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=type(self).__name__, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection. A new start serves the same state."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._stopping.set()
        server.shutdown()
        self._thread.join()
        server.server_close()
        server.cut_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"


def framed(body: bytes, fault: Fault | None) -> tuple[str, bytes, bool]:
    """Return the header that says where BODY ends, what is sent, and whether more may follow."""
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
    """Return BODY as one chunk and the end."""
    return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def read_chunked(stream: BufferedIOBase) -> bytes:
    """Read chunks up to the last, without trailers."""
    body = b""
    while size := int(stream.readline(LONGEST_LINE).partition(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
