"""Puts S3 as far away as it is in real life: a forwarder on this machine that waits first.

It leaves heads and bodies as they are, above all Host, which is signed; only `Expect` is answered
here. A body passes in pieces, so a large one costs no memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

CHUNK = 1 << 18
END = b"\r\n\r\n"
_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Passed(NamedTuple):
    """One request that was answered; `time` (monotonic) is its arrival."""

    time: float
    method: str
    status: int


@dataclass(slots=True)
class _Link:
    """A connection from a client, or to the store."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class DelayedS3:
    """Forwards to ENDPOINT_URL after `latency` seconds; for `with`. `passed` is its log."""

    def __init__(self, endpoint_url: str, latency: float) -> None:
        """Take the address of the store behind."""
        target = urlsplit(endpoint_url)
        self._target = (target.hostname or "", target.port or 80)
        self._latency = latency
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="s3", daemon=True)
        self.passed: list[Passed] = []
        self.url = ""

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client, with one connection of its own to the store."""
        client, store = _Link(reader, writer), None
        try:
            while True:
                head = await reader.readuntil(END)
                arrived = time.monotonic()
                await asyncio.sleep(self._latency)
                if store is None or store.reader.at_eof():
                    store = _Link(*await asyncio.open_connection(*self._target, limit=CHUNK))
                method = head.partition(b" ")[0].decode()
                status = await self._exchange(client, store, head, method)
                self.passed.append(Passed(arrived, method, status))
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            pass  # the client is gone, or the benchmark is over
        finally:
            for link in (client, store):
                if link is not None:
                    with suppress(OSError):
                        link.writer.close()

    async def _exchange(self, client: _Link, store: _Link, head: bytes, method: str) -> int:
        """Pass one request on, and its answer back."""
        headers = _headers(head)
        if "expect" in headers:
            client.writer.write(b"HTTP/1.1 100 Continue" + END)
            lines = head.split(b"\r\n")
            head = b"\r\n".join(x for x in lines if not x.lower().startswith(b"expect:"))
        store.writer.write(head)
        await _pass_body(client, store, headers)
        head = await store.reader.readuntil(END)
        status = int(head.split(b" ", 2)[1])
        client.writer.write(head)
        if method != "HEAD" and status not in _BODILESS:
            await _pass_body(store, client, _headers(head))
        await client.writer.drain()
        return status


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


async def _pass_body(source: _Link, target: _Link, headers: dict[str, str]) -> None:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        await _pass_bytes(source, target, int(headers.get("content-length", 0)))
        return
    size = -1
    while size:
        line = await source.reader.readuntil(b"\r\n")
        target.writer.write(line)
        size = int(line.partition(b";")[0], 16)
        await _pass_bytes(source, target, size + 2)


async def _pass_bytes(source: _Link, target: _Link, left: int) -> None:
    while left:
        piece = await source.reader.read(min(left, CHUNK))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        target.writer.write(piece)
        await target.writer.drain()
