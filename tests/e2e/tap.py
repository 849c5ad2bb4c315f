"""A wire between reccli and S3 that shows what passes, and can be cut.

SeaweedFS keeps no log of requests, and reccli must send it none but looks in a dry run.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from reccli.sandbox.faults import Faults

if TYPE_CHECKING:
    from types import TracebackType

CHUNK = 1 << 16


class Tap:
    """Passes HTTP/1.1 on to a port of this machine, byte for byte, and logs method and path."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.faults = Faults()
        """Of any kind: the connection is closed before S3 has seen the request."""
        self.cut = False
        """Whether every connection is closed at once, as when S3 is down."""
        self.requests: list[tuple[str, str]] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, name="tap", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(2)
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            if self.cut:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as upstream:
                back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
                back.start()
                self._forward(client, upstream)
                with suppress(OSError):
                    upstream.shutdown(socket.SHUT_RDWR)
                back.join(2)

    def _forward(self, client: socket.socket, upstream: socket.socket) -> None:
        """Pass requests on one by one; their heads are read, their bodies are not."""
        waiting = b""
        while True:
            while b"\r\n\r\n" not in waiting:
                if not (data := client.recv(CHUNK)):
                    return
                waiting += data
            head, _, waiting = waiting.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split()
            self.requests.append((method, path))
            if self.cut or self.faults.take(method, path):
                return
            headers = dict(line.lower().split(": ", 1) for line in lines)
            left = int(headers.get("content-length", 0))
            upstream.sendall(head + b"\r\n\r\n")
            while left > 0:
                if not waiting and not (waiting := client.recv(CHUNK)):
                    return
                upstream.sendall(waiting[:left])
                left, waiting = left - len(waiting[:left]), waiting[left:]


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
