"""A server that answers what a test says: what neither a service nor its stand-in ever would."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request as it arrived; `connection` is the client's port."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    connection: int

    @property
    def auth(self) -> str | None:
        header = self.headers.get("authorization")
        return header and base64.b64decode(header.removeprefix("Basic ")).decode()


@dataclass
class Reply:
    """One answer: `cut` hangs up after so many bytes of the body, `drop` without a word.

    `length` is what is said instead of the right Content-Length; with None only the end of the
    connection ends the body, as in HTTP/1.0.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False
    delay: float = 0.0
    chunked: bool = False
    length: str | None = "right"


class Server(ThreadingHTTPServer):
    """Records every request and asks `answer` what to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], Reply] = always(Reply(500))
        self.url = f"http://127.0.0.1:{self.server_port}"

    def secure(self, certificate: Path) -> None:
        """Speak TLS as "localhost"."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, url.path, query, headers, self.client_address[1])
        self.server.seen.append(seen)
        reply = self.server.answer(seen)
        time.sleep(reply.delay)
        self.close_connection = reply.drop or reply.cut is not None or reply.length is None
        if not reply.drop:
            self._send(reply)

    do_DELETE = do_GET  # noqa: N815

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        body = reply.body[: reply.cut]
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            end = b"" if reply.cut is not None else b"0\r\n\r\n"
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end)
        if reply.length not in {None, "right"}:
            self.send_header("Content-Length", str(reply.length))
        elif reply.length and reply.status != 204 and not reply.chunked:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def always(reply: Reply) -> Callable[[Seen], Reply]:
    """Answer every request alike."""
    return lambda _: reply


def by_method(**replies: Reply) -> Callable[[Seen], Reply]:
    """Answer by the method of the request."""
    return lambda seen: replies[seen.method]


def as_json(payload: object, status: int = 200, **headers: str) -> Reply:
    """Word an answer in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(payload).encode()
    return Reply(status, body, {"Content-Type": "application/json", **named})


def to(location: str, status: int = 302, **headers: str) -> Reply:
    """Redirect."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, b"moved", {"Location": location, **named})
