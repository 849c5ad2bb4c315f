"""The audio that is made for recordings is what it says it is."""

import struct

import pytest

from reccli.sandbox import audio


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_is_consistent(channels: int) -> None:
    data = audio.wav("RE1", 2, channels)
    riff, size, wave = struct.unpack_from("<4sI4s", data)
    form, made, rate, per_second, align, bits = struct.unpack_from("<HHIIHH", data, 20)
    assert (riff, size, wave) == (b"RIFF", len(data) - 8, b"WAVE")
    assert (form, made, rate, bits) == (1, channels, 8000, 16)
    assert (per_second, align) == (16_000 * channels, 2 * channels)
    assert struct.unpack_from("<4sI", data, 36) == (b"data", 32_000 * channels)
    assert len(data) == 44 + 32_000 * channels
    assert audio.wav("RE1", 2, channels) == data != audio.wav("RE2", 2, channels)


@pytest.mark.parametrize(("channels", "mode"), [(1, 3), (2, 0)])
def test_mp3_frames_follow_one_another(channels: int, mode: int) -> None:
    data = audio.mp3("RE1", 36, channels)
    at = frames = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4])
        assert head >> 21 == 0x7FF  # sync
        assert (head >> 19 & 3, head >> 17 & 3, head >> 16 & 1) == (0, 1, 1)  # 2.5, III, no CRC
        bitrate = [0, 8, 16, 24, 32][head >> 12 & 15] * 1000
        rate = [11025, 12000, 8000][head >> 10 & 3]
        assert (head >> 6 & 3) == mode
        at += 72 * bitrate // rate + (head >> 9 & 1)
        frames += 1
    assert at == len(data)
    assert frames == 36 * 8000 // 576
    assert b"\xff" not in data.replace(data[:3], b"")
    assert audio.mp3("RE1", 36, channels) == data != audio.mp3("RE2", 36, channels)
