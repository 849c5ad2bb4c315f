"""Real audio, cheap to make and different for each recording.

WAV is PCM as Twilio stores it: 8 kHz, 16 bit, one or two channels (128 kbps a channel). MP3 is what
it transcodes to: 32 kbps, here MPEG-2.5 layer III at 8 kHz, so that
a frame is 576 samples = 72 ms = 288 bytes. Every byte follows from the seed.
"""

import hashlib
import math
import random
import struct

SAMPLE_RATE = 8_000
MP3_FRAME_BYTES = 288
"""72 times 32,000 bit/s by 8,000 Hz, with nothing to pad."""
MP3_FRAME_SAMPLES = 576
_FRAMES_PER_BLOCK = 16


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


def ciphertext(seed: str, seconds: float, channels: int = 1) -> bytes:
    """Make what an encrypted recording looks like: random bytes, as many as its WAV plus a tag."""
    size = 44 + int(seconds * SAMPLE_RATE) * 2 * channels + 16
    return random.Random(seed).randbytes(size)
