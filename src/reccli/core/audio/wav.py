"""Counts the seconds of a WAV by its format and the bytes of its data; imported by the meter.

A file that says of itself that it is larger than what came has been cut, whatever Twilio says.
"""

from __future__ import annotations

import struct

from reccli.core.audio.reading import Reading, slack

MOST_CHUNKS = 1_000
"""Chunks before the data, after which there is none."""
_UNKNOWN_FROM = 0x7FFFF000
"""Writers of streams do not know the size and write 0, or one of several numbers from here on."""
_RIFF_BYTES = 12
_CHUNK_BYTES = 8
_FORMAT_BYTES = 16
_SUBFORMAT_AT = 24
_EXTENSIBLE = 0xFFFE
_SAMPLED = frozenset({1, 6, 7})
"""PCM, A-law and mu-law: a sample has a size, so the byte rate follows."""


class Wav:
    """A walk over the chunks of a RIFF file up to its data."""

    def __init__(self) -> None:
        self._size = 0
        self._rest = b""
        self._skip = 0
        self._chunks = 0
        self._riff: int | None = None
        self._format = b""
        self._data: tuple[int, int] | None = None  # where it begins, and how long it says it is
        self._ended = False

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes; those of the audio are only counted."""
        start = self._size - len(self._rest)
        self._size += len(chunk)
        if self._ended:
            return
        if len(chunk) < self._skip:
            self._skip -= len(chunk)
            return
        data = self._rest + chunk
        at = self._read(data, self._skip, start)
        self._rest, self._skip = data[at:], max(0, at - len(data))

    def _read(self, data: bytes, at: int, start: int) -> int:
        """Read chunks while they are there; returns where the first begins that is not."""
        if self._riff is None:
            if len(data) < _RIFF_BYTES:
                return at
            name, self._riff, form = struct.unpack_from("<4sI4s", data)
            at = _RIFF_BYTES
            self._ended = (name, form) != (b"RIFF", b"WAVE")
            self._riff = None if self._ended else self._riff
        while at + _CHUNK_BYTES <= len(data) and not self._ended:
            name, length = struct.unpack_from("<4sI", data, at)
            body = at + _CHUNK_BYTES
            if name == b"data":
                self._data = start + body, length
            elif name == b"fmt ":
                self._format = data[body : body + min(length, _SUBFORMAT_AT + 2)]
                if len(self._format) < min(length, _SUBFORMAT_AT + 2):
                    return at
            self._chunks += 1
            self._ended = self._data is not None or self._chunks >= MOST_CHUNKS
            at = body + length + length % 2
        return len(data) if self._ended else at

    def close(self) -> Reading:
        """Return how much audio came, and whether it is less than the file says."""
        if self._riff is None:
            return Reading(0.0, None, "the body is not a WAV file")
        whole = None if _unknown(self._riff) else self._riff + _CHUNK_BYTES
        if self._data is None:
            if whole is not None and whole > self._size:
                return Reading(0.0, None, f"the WAV says {whole} bytes and {self._size} came")
            return Reading(0.0, None, "the WAV has no audio in it")
        channels, rate = _format(self._format)
        if not rate:
            return Reading(0.0, None, "the WAV does not say how its audio is sampled")
        start, declared = self._data
        came = self._size - start
        missing = 0
        complaint = None
        if not _unknown(declared):
            missing, total = declared - came, declared
            complaint = f"the WAV says {declared} bytes of audio and {came} came"
        elif whole is not None:
            missing, total = whole - self._size, whole - start
            complaint = f"the WAV says {whole} bytes and {self._size} came"
        if missing <= 0 or missing / rate <= slack(total / rate):
            complaint = None
        counted = came if _unknown(declared) else min(came, declared)
        return Reading(counted / rate, channels, complaint)


def _unknown(size: int) -> bool:
    return size == 0 or size >= _UNKNOWN_FROM


def _format(body: bytes) -> tuple[int, int]:
    """Read a format chunk: channels and bytes a second, both 0 where it is too short."""
    if len(body) < _FORMAT_BYTES:
        return 0, 0
    tag, channels, hertz, rate, block, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _SUBFORMAT_AT + 2:
        (tag,) = struct.unpack_from("<H", body, _SUBFORMAT_AT)
    if tag in _SAMPLED:
        return channels, hertz * max(block, channels * -(-bits // 8))
    return channels, rate
