"""Refuses what is not the recording: pages of HTML, error documents, bodies that were cut.

Pure checks on the head of a body and its size; the bytes are never decoded. Only too *little*
audio is refused: what is longer than Twilio's figure has lost nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""How much of the body's beginning the checks want."""

_SLACK_SECONDS = 2.0
_LEAST_SHARE = 0.75
"""Audio shorter than this share of the duration has been cut. Twilio rounds durations, and
docs and measurements differ on its MP3 bit rate, so the check is coarse."""
_LEAST_BYTES_PER_SECOND = 500
"""A quarter of the lowest MP3 rate seen (about 2 kB/s): the bound where no frame can be read."""
_UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""What a WAV that was written as a stream says of its size."""
_MARKUP = (b"<?xml", b"<!doctype", b"<html", b"<twilioresponse", b"<error", b'{"')
_KBPS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the metadata says of the body: `duration` in seconds, None where Twilio says nothing."""

    extension: str
    duration: int | None
    channels: int | None
    encrypted: bool = False


def refusal(content_type: str, head: bytes, size: int, expected: Expected) -> str | None:
    """Say why a body of `size` bytes that begins with `head` is not the recording; None if it is.

    An encrypted recording is ciphertext, in which no format can be seen.
    """
    if size == 0:
        return "the body is empty"
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if not kind.startswith("audio/") and not (
        expected.encrypted and kind == "application/octet-stream"
    ):
        return f"it came as {kind or 'no content type'}, not as audio"
    if head.lstrip()[:16].lower().startswith(_MARKUP):
        return "the body is a text document, not audio"
    if expected.encrypted:
        return _too_short(size / _LEAST_BYTES_PER_SECOND, expected.duration)
    if expected.extension == "wav":
        return _wav(head, size, expected)
    return _mp3(head, size, expected)


def _too_short(seconds: float, duration: int | None) -> str | None:
    if duration and seconds + _SLACK_SECONDS < duration * _LEAST_SHARE:
        return f"it holds about {seconds:.0f} s of audio, and Twilio recorded {duration} s"
    return None


def _wav(head: bytes, size: int, expected: Expected) -> str | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return "the body is not a WAV file"
    (riff,) = struct.unpack_from("<I", head, 4)
    if riff not in _UNKNOWN_SIZES and riff + 8 > size:
        return f"the WAV says {riff + 8} bytes and {size} came"
    at, rate = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"fmt " and at + 20 <= len(head):
            channels, rate = struct.unpack_from("<H4xI", head, at + 10)
            if expected.channels and channels < expected.channels:
                return f"it has {channels} channel, and Twilio recorded {expected.channels}"
        if name == b"data":
            if length not in _UNKNOWN_SIZES and at + 8 + length > size:
                return f"the WAV says {length} bytes of audio and {size - at - 8} came"
            return _too_short((size - at - 8) / rate, expected.duration) if rate else None
        at += 8 + length + length % 2
    return "the WAV has no audio in it"


def _mp3(head: bytes, size: int, expected: Expected) -> str | None:
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:  # noqa: PLR2004 - an ID3v2 header is 10 bytes
        sizes = head[6:10]
        start = 10 + (sizes[0] << 21 | sizes[1] << 14 | sizes[2] << 7 | sizes[3])
    elif not _synced(head):
        return "the body is not an MP3 file"
    at, seconds = start, 0.0
    while frame := _frame(head, at):
        at, seconds = at + frame[0], seconds + frame[1]
    if seconds < _SLACK_SECONDS / 10:  # a large tag, or frames of no known kind: only size is left
        return _too_short(size / _LEAST_BYTES_PER_SECOND, expected.duration)
    return _too_short(seconds * (size - start) / (at - start), expected.duration)


def _synced(head: bytes) -> bool:
    """Tell whether MPEG audio of any layer may begin here; a mark of UTF-16 looks the same."""
    return head[:1] == b"\xff" and head[1:2] >= b"\xe0" and head[1] & 6 > 0 and head[1] != 0xFE  # noqa: PLR2004


def _frame(head: bytes, at: int) -> tuple[int, float] | None:
    """Read an MPEG layer III frame header: its length in bytes and seconds, None if it is none."""
    if at + 4 > len(head) or head[at] != 0xFF or head[at + 1] & 0xE6 != 0xE2:  # noqa: PLR2004
        return None
    version = head[at + 1] >> 3 & 3
    bit_rate, rate = head[at + 2] >> 4, head[at + 2] >> 2 & 3
    if version == 1 or bit_rate in {0, 15} or rate == 3:  # noqa: PLR2004 - reserved values
        return None
    newest = version == 3  # noqa: PLR2004 - MPEG-1
    kbps = (_KBPS_V1 if newest else _KBPS_V2)[bit_rate]
    hertz = _RATES[version][rate]
    samples = 1152 if newest else 576
    return samples // 8 * kbps * 1000 // hertz + (head[at + 2] >> 1 & 1), samples / hertz
