"""How long a WAV plays, whatever stands before its data and whatever it says of its size."""

from __future__ import annotations

import struct

import pytest

from reccli.core.audio import Expected, Meter
from reccli.sandbox.audio import mp3, wav
from tests.core.audio_bodies import FILLER, FORMAT, chunk, judge, riff, seconds, verdict

FMT = chunk(b"fmt ", FORMAT)
TEN_SECONDS = bytes(160_000)
UNKNOWN = [0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFF024, 0x80000024, 0xFFFFFFFF]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("known", [1, None])
def test_good(channels: int, known: int | None) -> None:
    body = wav("a", 10, channels)
    assert verdict(body, "wav", channels=known and channels) is None
    assert seconds(body, "wav") == 10


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("duration", [None, 1, 100])
@pytest.mark.parametrize("accept", [False, True])
def test_cut(share: float, duration: int | None, *, accept: bool) -> None:
    body = wav("a", 100)[: int(1_600_044 * share)]
    judgement = judge(body, "wav", duration=duration, accept=accept)
    said = f"the WAV says 1600000 bytes of audio and {len(body) - 44} came"
    assert (judgement.refusal, judgement.length_alone) == (said, False)


@pytest.mark.parametrize(("length", "may"), [(10, 2), (199, 2), (400, 4)])
def test_a_little_may_be_missing(length: int, may: int) -> None:
    body = wav("a", length)
    spare = len(body) - may * 16_000
    assert verdict(body[:spare], "wav", duration=None) is None
    assert "the WAV says" in (verdict(body[: spare - 2], "wav", duration=None) or "")


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_sizes_of_a_stream(unknown: int) -> None:
    whole = riff(FMT, chunk(b"data", TEN_SECONDS, unknown), length=unknown)
    assert judge(whole, "wav", duration=10).refusal is None
    assert seconds(whole, "wav") == 10
    half = judge(whole[: len(whole) // 2], "wav")
    assert half.refusal == "it holds 5 s of audio, and Twilio recorded 10 s"
    assert half.length_alone


def test_a_size_that_is_only_large_is_no_stream() -> None:
    body = riff(FMT, chunk(b"data", TEN_SECONDS, 0x7FFFEFFF))
    assert verdict(body, "wav") == "the WAV says 2147479551 bytes of audio and 160000 came"


def test_only_the_riff_knows_its_size() -> None:
    whole = riff(FMT, chunk(b"data", TEN_SECONDS, 0))
    assert verdict(whole, "wav") is None
    cut = judge(whole[: len(whole) // 2], "wav", accept=True)
    assert cut.refusal == f"the WAV says 160044 bytes and {len(whole) // 2} came"
    assert not cut.length_alone


def test_the_data_is_there_and_what_follows_is_not() -> None:
    body = riff(FMT, chunk(b"data", TEN_SECONDS), length=10**9)
    assert verdict(body, "wav") is None


def test_what_follows_the_data_is_no_audio() -> None:
    body = riff(FMT, chunk(b"data", TEN_SECONDS), chunk(b"LIST", TEN_SECONDS))
    assert seconds(body, "wav") == 10


@pytest.mark.parametrize("size", [3, 4, 400_001])
@pytest.mark.parametrize("step", [1_000, 4_096, 10**6])
def test_other_chunks_come_first(size: int, step: int) -> None:
    pad = b"\0" * (size % 2)
    listed = chunk(b"LIST", b"d" * size) + pad
    body = riff(listed, FMT, listed, chunk(b"data", TEN_SECONDS))
    assert judge(body, "wav", step=step).refusal is None
    assert seconds(body, "wav", step=step) == 10


@pytest.mark.parametrize(
    "body",
    [
        *(riff(FMT), riff(), riff(FMT, chunk(b"LIST", bytes(9_000))), riff(chunk(b"x", b""))),
        riff(FMT, chunk(b"data", b"")),
        riff(FMT, chunk(b"junk", b"") * 1_000, chunk(b"data", TEN_SECONDS)),
    ],
)
def test_no_audio_in_it(body: bytes) -> None:
    assert verdict(body, "wav") == "the WAV has no audio in it"
    assert verdict(body, "wav", accept=True, duration=None) == "the WAV has no audio in it"


def test_many_chunks_may_come_first() -> None:
    body = riff(FMT, chunk(b"junk", b"") * 900, chunk(b"data", TEN_SECONDS))
    assert verdict(body, "wav") is None


def test_cut_before_the_data() -> None:
    assert verdict(wav("a", 10)[:40], "wav") == "the WAV says 160044 bytes and 40 came"


@pytest.mark.parametrize(
    "body", [mp3("a", 10), FILLER, b"RIFF", b"RIFF" + FILLER, b"RIFX" + wav("a", 10)[4:]]
)
def test_no_wav(body: bytes) -> None:
    assert verdict(body, "wav") == "the body is not a WAV file"


def fmt(tag: int, channels: int, told: int, block: int, bits: int, more: bytes = b"") -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, 8_000, told, block, bits) + more)


def extensible(tag: int) -> bytes:
    return struct.pack("<HHIH", 22, 16, 0, tag) + bytes(14)


@pytest.mark.parametrize(
    ("head", "counted"),
    [
        (fmt(1, 1, 1, 2, 16), 10),  # a byte rate that lies
        (fmt(1, 2, 10**6, 4, 16), 5),
        (fmt(1, 2, 1, 1, 16), 5),  # a block that is smaller than its samples
        (fmt(1, 1, 1, 4, 24), 5),  # 24 bits in 32
        (fmt(1, 1, 1, 1, 12), 10),
        (fmt(6, 1, 1, 1, 8), 20),
        (fmt(7, 1, 1, 1, 8), 20),
        (fmt(7, 1, 1, 1, 8, b"\0\0"), 20),
        (fmt(0xFFFE, 2, 1, 4, 16, extensible(1)), 5),
        (fmt(0xFFFE, 1, 1, 1, 8, extensible(7)), 20),
        (fmt(0xFFFE, 1, 16_000, 4, 16), 10),  # extensible by name only
        (fmt(2, 1, 4_000, 256, 4), 40),  # ADPCM: its byte rate is all that there is
        (fmt(0xFFFE, 1, 4_000, 256, 4, extensible(2)), 40),
    ],
)
def test_the_rate(head: bytes, counted: float) -> None:
    for step in (7, 10**6):
        assert seconds(riff(head, chunk(b"data", TEN_SECONDS)), "wav", step=step) == counted


@pytest.mark.parametrize(
    "head", [b"", chunk(b"fmt ", FORMAT[:14]), fmt(1, 1, 16_000, 0, 0), fmt(2, 1, 0, 2, 4)]
)
def test_no_rate(head: bytes) -> None:
    body = riff(head, chunk(b"data", TEN_SECONDS))
    said = "the WAV does not say how its audio is sampled"
    assert verdict(body, "wav", channels=None, accept=True) == said


@pytest.mark.parametrize("step", range(1, 30))
def test_any_chunks(step: int) -> None:
    body = riff(chunk(b"LIST", bytes(41)) + b"\0", FMT, chunk(b"data", bytes(1_600)))
    assert seconds(body, "wav", step=step) == 0.1


def test_little_is_kept() -> None:
    meter = Meter(Expected("wav", 10, 1))
    for part in (b"RIFF", bytes(4) + b"WAVE" + chunk(b"LIST", b"", 900_000), bytes(900_000)):
        meter.feed(part)
    meter.feed(FMT + chunk(b"data", bytes(100_000), 160_000))
    meter.feed(bytes(60_000))
    assert meter.judge("audio/wav", framed=True).seconds == 10
