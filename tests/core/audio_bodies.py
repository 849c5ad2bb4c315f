"""Bodies for the tests of the audio checks, and a short way to have one judged."""

from __future__ import annotations

import struct

from reccli.core.audio import Expected, Judgement, Meter

KINDS = {"mp3": "audio/mpeg", "wav": "audio/x-wav"}
FILLER = b"0123456789abcdef" * 2_000
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 1000
FORMAT = struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)


def judge(
    body: bytes,
    extension: str = "mp3",
    *,
    duration: int | None = 10,
    channels: int | None = 1,
    encrypted: bool = False,
    accept: bool = False,
    framed: bool = True,
    kind: str | None = None,
    step: int = 256 * 1024,
) -> Judgement:
    meter = Meter(Expected(extension, duration, channels, encrypted, accept))
    for at in range(0, len(body), step):
        meter.feed(body[at : at + step])
    return meter.judge(KINDS[extension] if kind is None else kind, framed=framed)


def verdict(body: bytes, extension: str = "mp3", **facts: object) -> str | None:
    return judge(body, extension, **facts).refusal  # type: ignore[arg-type]


def seconds(body: bytes, extension: str = "mp3", *, step: int = 256 * 1024) -> float:
    """Tell what is counted, whatever the verdict."""
    return judge(body, extension, duration=None, channels=None, step=step).seconds or 0.0


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if length is None else length) + body


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), length)
