"""Real audio, cheap to make and different for each recording.

WAV is PCM as Twilio stores it: 8 kHz, 16 bit, one or two channels (128 kbps a channel). MP3 is what
it transcodes to: 32 kbps, here MPEG-2.5 layer III at 8 kHz, so that
a frame is 576 samples = 72 ms = 288 bytes. Every byte follows from the seed. Streams of other
frames (`frames`) are there because Twilio promises no particular ones.
"""

import hashlib
import math
import random
import struct
from collections.abc import Iterable

SAMPLE_RATE = 8_000
MP3_FRAME_BYTES = 288
"""72 times 32,000 bit/s by 8,000 Hz, with nothing to pad."""
MP3_FRAME_SAMPLES = 576
_FRAMES_PER_BLOCK = 16
MPEG1_HERTZ = (44_100, 48_000, 32_000)
MPEG2_HERTZ = (22_050, 24_000, 16_000)
MPEG25_HERTZ = (11_025, 12_000, 8_000)
MPEG1_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of MPEG-2.5 too."""
STEREO, JOINT, DUAL, MONO = range(4)


def wav(seed: str, seconds: float, channels: int = 1) -> bytes:
    """Make a WAV file of quiet noise."""
    frame = 2 * channels
    size = int(seconds * SAMPLE_RATE) * frame
    noise = hashlib.shake_256(f"{seed}/{channels}".encode()).digest(SAMPLE_RATE // 4 * channels)
    block = bytearray(2 * len(noise))
    block[0::2] = noise  # the low byte alone: noise at -42 dB
    data = (bytes(block) * (size // len(block) + 1))[:size]
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE"),
        *(b"fmt ", 16, 1, channels, SAMPLE_RATE, SAMPLE_RATE * frame, frame, 16),
        *(b"data", size),
    )
    return head + data


def mp3(seed: str, seconds: float, channels: int = 1) -> bytes:
    """Make an MP3 stream of silence that carries the seed's bytes as ancillary data.

    All-zero side information says that a frame holds no main data: it decodes as silence, and the
    rest of the frame is free. Hexadecimal digits fill it, so no byte there looks like a sync word.
    """
    head = b"\xff\xe3\x48" + (b"\xc0" if channels == 1 else b"\x00")
    side = bytes(9 if channels == 1 else 17)
    free = MP3_FRAME_BYTES - len(head) - len(side)
    text = hashlib.shake_256(f"{seed}/{channels}".encode()).hexdigest(
        math.ceil(free * _FRAMES_PER_BLOCK / 2)
    )
    filler = text.encode()
    block = b"".join(
        head + side + filler[i * free : (i + 1) * free] for i in range(_FRAMES_PER_BLOCK)
    )
    size = max(1, math.ceil(seconds * SAMPLE_RATE / MP3_FRAME_SAMPLES)) * MP3_FRAME_BYTES
    return (block * (size // len(block) + 1))[:size]


def frame(kbps: int, hertz: int, mode: int = MONO, *, padded: bool = False) -> bytes:
    """Make one layer III frame of silence; the sampling rate decides the MPEG version."""
    newest = hertz in MPEG1_HERTZ
    version = next(
        number
        for number, rates in ((3, MPEG1_HERTZ), (2, MPEG2_HERTZ), (0, MPEG25_HERTZ))
        if hertz in rates
    )
    rate = (MPEG1_HERTZ, MPEG2_HERTZ, MPEG25_HERTZ)[(3, 2, 0).index(version)].index(hertz)
    bit_rate = (MPEG1_KBPS if newest else MPEG2_KBPS).index(kbps) + 1
    head = bytes(
        (0xFF, 0xE3 | version << 3, bit_rate << 4 | rate << 2 | padded << 1, mode << 6 | 0x04)
    )
    return head + bytes((144 if newest else 72) * kbps * 1000 // hertz + padded - len(head))


def frames(bit_rates: Iterable[int], hertz: int, mode: int = MONO, *, padded: bool = True) -> bytes:
    """Make a frame of each bit rate (in kbps), with the padding that keeps to it on average."""
    made = []
    owed = 0
    for kbps in bit_rates:
        owed += (144 if hertz in MPEG1_HERTZ else 72) * kbps * 1000 % hertz if padded else 0
        made.append(frame(kbps, hertz, mode, padded=owed >= hertz))
        owed -= hertz if owed >= hertz else 0
    return b"".join(made)


def cbr(
    seconds: float, kbps: int = 32, hertz: int = 22_050, mode: int = MONO, *, padded: bool = True
) -> bytes:
    """Make an MP3 of one bit rate."""
    return frames([kbps] * math.ceil(seconds / frame_seconds(hertz)), hertz, mode, padded=padded)


def vbr(parts: Iterable[tuple[float, int]], hertz: int = 22_050, mode: int = MONO) -> bytes:
    """Make an MP3 of several stretches of (seconds, kbps), as of talk and of hold."""
    rates = (
        kbps for seconds, kbps in parts for _ in range(math.ceil(seconds / frame_seconds(hertz)))
    )
    return frames(rates, hertz, mode)


def frame_seconds(hertz: int) -> float:
    """Return how long a layer III frame plays."""
    return (1152 if hertz in MPEG1_HERTZ else 576) / hertz


def id3v2(size: int) -> bytes:
    """Make a tag for the beginning of an MP3, of so many bytes behind its own ten."""
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


def id3v1() -> bytes:
    """Make the 128 bytes of a tag for the end of an MP3."""
    return b"TAG" + bytes(125)


def ciphertext(seed: str, seconds: float, channels: int = 1) -> bytes:
    """Make what an encrypted recording looks like: random bytes, as many as its WAV plus a tag."""
    size = 44 + int(seconds * SAMPLE_RATE) * 2 * channels + 16
    return random.Random(seed).randbytes(size)
