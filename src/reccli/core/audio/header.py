"""The four bytes before every MPEG layer III frame, as tables; imported by the MP3 reader alone.

Bits of a header: 11 sync, 2 version, 2 layer, 1 protection, 4 bit rate, 2 sampling rate,
1 padding, 1 private, 2 mode, 2 mode extension, 1 copyright, 1 original, 2 emphasis. Free format
(bit rate 0) has no length to go by and no encoder in use writes it; emphasis 2 is reserved, but
every decoder plays it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADER_BYTES = 4
MONO = 0xC0
"""Fourth bytes from here on say mode 3, which is one channel."""
NOT_MONO = bytes(range(MONO))
_KBPS_V1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_V2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SIDE_V1 = (32, 17)
_SIDE_V2 = (17, 9)
"""Bytes of side information by "is mono", behind which an encoder's Xing header begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Frames of one version and sampling rate; headers agree when they are of one kind.

    `lengths` has a frame's bytes by the third byte of its header, 0 where that byte is not of this
    kind. `allowed` has the values that each of the first three bytes may take.
    """

    hertz: int
    samples: int
    side: tuple[int, int]
    lengths: tuple[int, ...]
    allowed: tuple[bytes, bytes, bytes]

    def begins(self, data: bytes, at: int) -> bool:
        """Whether a header of this kind is there, as far as the bytes go."""
        seen = data[at : at + len(self.allowed)]
        return all(byte in values for byte, values in zip(seen, self.allowed, strict=False))

    def is_index(self, frame: bytes) -> bool:
        """Whether a frame holds an encoder's notes (Xing, Info or VBRI) and no audio."""
        xing = HEADER_BYTES + self.side[frame[3] >= MONO]
        return frame[xing : xing + 4] in {b"Xing", b"Info"} or frame[36:40] == b"VBRI"


def _kinds() -> dict[tuple[int, int], Kind]:
    kinds = {}
    rates = {0xFA: (44100, 48000, 32000), 0xF2: (22050, 24000, 16000), 0xE2: (11025, 12000, 8000)}
    for second, hertzes in rates.items():
        newest = second == 0xFA  # noqa: PLR2004 - MPEG-1
        samples, side = (1152, _SIDE_V1) if newest else (576, _SIDE_V2)
        for number, hertz in enumerate(hertzes):
            lengths = [0] * 256
            for index, kbps in enumerate(_KBPS_V1 if newest else _KBPS_V2, 1):
                for padding in (0, 1):
                    third = index << 4 | number << 2 | padding << 1
                    length = samples // 8 * kbps * 1000 // hertz + padding
                    lengths[third] = lengths[third | 1] = length
            thirds = bytes(third for third in range(256) if lengths[third])
            allowed = (b"\xff", bytes((second, second | 1)), thirds)
            kind = Kind(hertz, samples, side, tuple(lengths), allowed)
            kinds[second, number << 2] = kind
    return kinds


_KINDS = _kinds()
_SECONDS = b"".join(kind.allowed[1] for kind in _KINDS.values())
_THIRDS = b"".join(kind.allowed[2] for kind in _KINDS.values())
HEADER = re.compile(
    b"\xff[" + re.escape(bytes(set(_SECONDS))) + b"][" + re.escape(bytes(set(_THIRDS))) + b"].",
    re.DOTALL,
)
"""Finds the next header of any kind."""


def kind_of(header: bytes) -> Kind:
    """Return the kind of a header that `HEADER` has found."""
    return _KINDS[header[1] & 0xFE, header[2] & 0x0C]
