"""A recording too large to hold in memory: made while it is sent."""

from __future__ import annotations

import hashlib
import struct
import time
from typing import TYPE_CHECKING

from reccli.sandbox.audio import SAMPLE_RATE
from reccli.sandbox.recordings import MediaOrigin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.sandbox.messages import Request
    from reccli.sandbox.wire import Connection

CHANNELS = 2
BYTES_PER_SECOND = SAMPLE_RATE * CHANNELS * 2
BLOCK = 1 << 20


class LargeMedia(MediaOrigin):
    """The media origin of an account whose every recording is a WAV of `size` bytes."""

    def __init__(self, size: int) -> None:
        """SIZE is in bytes, and below the 4 GB that a WAV can say of itself."""
        super().__init__()
        self.size = size
        self.served = 0

    @property
    def seconds(self) -> int:
        """How long it plays."""
        return self.size // BYTES_PER_SECOND

    @property
    def sha256(self) -> str:
        """Its digest, worked out anew."""
        digest = hashlib.sha256()
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def serve(self, _request: Request, connection: Connection) -> bool:
        """Send the whole of it, to whoever was redirected here."""
        self.served += 1
        time.sleep(self.latency)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: {self.size}\r\n"
        connection.request.sendall(f"{head}\r\n".encode())
        for block in self._blocks():
            connection.request.sendall(block)
        return True

    def _blocks(self) -> Iterator[bytes]:
        """Make its bytes: a WAV's head, and then blocks that differ from each other."""
        frame = 2 * CHANNELS
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", self.size - 8, b"WAVE"),
            *(b"fmt ", 16, 1, CHANNELS, SAMPLE_RATE, BYTES_PER_SECOND, frame, 16),
            *(b"data", self.size - 44),
        )
        yield head
        left = self.size - len(head)
        number = 0
        while left:
            block = (number.to_bytes(8, "little") * (BLOCK // 8))[:left]
            left -= len(block)
            number += 1
            yield block
