"""Counts the seconds of an MP3 by the header of every frame in it; imported by the meter.

A frame counts when all of it came and its header agrees with the frame before it or after it, or
it ends with the body. Everything else (tags, padding, junk, half a frame) only adds no seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import accumulate
from typing import TYPE_CHECKING

from reccli.core.audio.header import HEADER, HEADER_BYTES, MONO, NOT_MONO, kind_of
from reccli.core.audio.reading import Reading

if TYPE_CHECKING:
    from reccli.core.audio.header import Kind

CYCLE = 49
"""At a constant bit rate the padding of any frames repeats after so many: 44,100 Hz is 49 times
900, and the other rates need less. So these are checked by stride, and not one by one."""
MOST_FAILURES = 10_000
"""Syncs that led nowhere, after which the rest is no audio. Twenty megabytes of noise have about a
thousand; a body made of nothing else shall not cost minutes."""
_TAG_HEADER_BYTES = 10
_OTHER_CONTAINERS = frozenset({b"RIFF", b"OggS", b"fLaC"})
"""Samples look like syncs now and then, so these are known by their names."""
_SAME_BUT_PRIVATE = tuple(bytes((third & 0xFE, third | 1)) for third in range(256))


class Mp3:
    """A walk over the frames of a body; `_kind` is that of the frames it is among, if it is."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._rest = b""  # bytes that cannot be judged before more have come
        self._skip = 0  # bytes of a frame or tag that are still to come
        self._edge = True  # a tag may begin here
        self._ended = False
        self._marked = False  # a tag or an encoder's notes were seen
        self._failures = 0
        self._mono = False
        self._samples: Counter[int] = Counter()  # by sampling rate
        self._thirds: deque[int] = deque(maxlen=CYCLE)  # of the latest headers

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes."""
        if self._ended:
            return
        if len(chunk) <= self._skip:
            self._skip -= len(chunk)
            return
        data, at = (self._rest + chunk if self._rest else chunk), self._skip
        self._rest, self._skip = b"", 0
        self._read(data, at, last=False)

    def close(self) -> Reading:
        """Return how much audio the frames hold."""
        if self._rest:
            data, self._rest = self._rest, b""
            self._read(data, 0, last=True)
        if self._kind and self._skip:  # the body ended inside a frame
            self._samples[self._kind.hertz] -= self._kind.samples
            self._skip = 0
        seconds = sum(samples / hertz for hertz, samples in self._samples.items())
        if seconds:
            return Reading(seconds, 1 if self._mono else 2)
        why = "the MP3 has no audio in it" if self._marked else "the body is not an MP3 file"
        return Reading(0.0, None, why)

    def _read(self, data: bytes, at: int, *, last: bool) -> None:
        while at < len(data) and not self._ended:
            if self._kind:
                at = self._walk(data, at, self._kind)
            elif self._edge:
                at = self._tag(data, at, last=last)
            else:
                at = self._search(data, at, last=last)
        self._skip = max(0, at - len(data))

    def _wait(self, data: bytes, at: int) -> int:
        self._rest = data[at:]
        return len(data)

    def _fail(self) -> None:
        self._failures += 1
        self._ended = self._failures >= MOST_FAILURES

    def _tag(self, data: bytes, at: int, *, last: bool) -> int:
        """Skip an ID3v2 tag, if one begins here."""
        head = data[at : at + _TAG_HEADER_BYTES]
        if len(head) < _TAG_HEADER_BYTES and not last:
            return self._wait(data, at)
        if head[:4] in _OTHER_CONTAINERS:
            self._ended = not self._samples
        if head[:3] == b"ID3" and len(head) == _TAG_HEADER_BYTES and max(head[6:]) < 0x80:  # noqa: PLR2004
            self._marked = True
            self._fail()  # of millions of tags, too, nothing comes
            footer = _TAG_HEADER_BYTES if head[5] & 0x10 else 0
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            return at + len(head) + size + footer
        self._edge = False
        return at

    def _search(self, data: bytes, at: int, *, last: bool) -> int:
        """Find two frames in a row that agree; returns where the first of them begins."""
        while not self._ended:
            match = HEADER.search(data, at)
            if not match:
                return self._wait(data, max(at, len(data) - HEADER_BYTES + 1))
            start, kind = match.start(), kind_of(match[0])
            end = start + kind.lengths[data[start + 2]]
            if end + HEADER_BYTES > len(data) and not last:
                return self._wait(data, start)
            if end <= len(data) and kind.begins(data, end):
                self._kind, self._edge = kind, True
                self._thirds.clear()
                if kind.is_index(data[start:end]):
                    self._marked = True
                    return end
                return start
            self._fail()
            at = start + 1
        return len(data)

    def _walk(self, data: bytes, at: int, kind: Kind) -> int:
        """Walk from header to header until one does not agree, or the data ends."""
        whole = len(data) - HEADER_BYTES + 1
        while at < whole:
            if len(self._thirds) == CYCLE:
                at = self._stride(data, at, kind)
            at, walked = self._step(data, at, kind)
            if walked < CYCLE and at < whole:
                self._kind = None
                self._fail()
                return at
        return self._wait(data, at) if at < len(data) else at

    def _step(self, data: bytes, at: int, kind: Kind) -> tuple[int, int]:
        """Walk some frames one by one: where that ends, and how many there were."""
        whole = len(data) - HEADER_BYTES + 1
        seconds, lengths, note = kind.allowed[1], kind.lengths, self._thirds.append
        walked = 0
        while walked < CYCLE and at < whole:
            third = data[at + 2]
            length = lengths[third]
            if not length or data[at] != 0xFF or data[at + 1] not in seconds:  # noqa: PLR2004
                break
            if data[at + 3] >= MONO:
                self._mono = True
            note(third)
            at += length
            walked += 1
        self._samples[kind.hertz] += walked * kind.samples
        return at, walked

    def _stride(self, data: bytes, at: int, kind: Kind) -> int:
        """Walk on for as long as the latest frames repeat, looking at them column by column."""
        if data[at + 2] not in _SAME_BUT_PRIVATE[self._thirds[0]]:
            return at
        thirds = [third & 0xFE for third in self._thirds]
        if len(set(thirds)) == 1:
            del thirds[1:]
        *offsets, cycle = accumulate((kind.lengths[third] for third in thirds), initial=0)
        times = (len(data) - HEADER_BYTES - offsets[-1] - at) // cycle + 1
        sync, seconds, _ = kind.allowed
        for offset, third in zip(offsets, thirds, strict=True):
            columns = [sync, seconds, _SAME_BUT_PRIVATE[third]]
            if not self._mono:
                columns.append(NOT_MONO)
            for first, allowed in enumerate(columns, at + offset):
                if times <= 0:
                    return at
                column = data[first : first + times * cycle : cycle]
                times -= len(column.lstrip(allowed))
        self._samples[kind.hertz] += times * len(thirds) * kind.samples
        return at + times * cycle
