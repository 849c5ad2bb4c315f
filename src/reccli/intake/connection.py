"""How large a request may be, and how long it may take to come: whoever may connect can send it.

uvicorn sets no bound to either, so a few hundred half-sent heads would hold every descriptor, and
one endless head all memory, before any signature could be asked for. For `server` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD = 16 * 1024
"""Bytes of a request line with its headers; Twilio's have about one thousand."""
HEAD_WITHIN = 10.0
"""Seconds for the head, from the connection on or from the answer before."""
REST = 256 * 1024
"""Bytes behind the head: a body of 64 KiB, whatever it is cut into."""
REST_WITHIN = 30.0
"""Seconds for them."""

_TOO_LARGE = b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection, which is dropped when a request passes a bound."""

    _left = HEAD
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Wait for a first head."""
        super().connection_made(transport)
        self._expect(HEAD, HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed no more at once than may come: the parser keeps a head that has no end."""
        while data and not self.transport.is_closing() and self.transport.get_protocol() is self:
            piece, data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            super().data_received(piece)
            if self._left <= 0:
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Wait for the end of a head."""
        if self._due is None:
            self._expect(HEAD, HEAD_WITHIN)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        self._expect(REST, REST_WITHIN)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing: what comes now is the application's to answer."""
        self._expect_nothing()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave it to the WebSocket's own bounds."""
        self._expect_nothing()
        super().handle_websocket_upgrade()

    def _expect(self, size: int, within: float) -> None:
        self._expect_nothing()
        self._left = size
        self._due = self.loop.call_later(within, self.transport.abort)

    def _expect_nothing(self) -> None:
        self._left = HEAD
        if self._due is not None:
            self._due.cancel()
            self._due = None
