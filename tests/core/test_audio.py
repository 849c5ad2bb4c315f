"""What is the recording, and what is a page of HTML, an error, or half of it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.audio import HEAD_BYTES, Expected, refusal
from reccli.sandbox.audio import ciphertext, mp3, wav

MP3, WAV = "audio/mpeg", "audio/x-wav"
FILLER = b"0123456789abcdef" * 2_000
ID3 = b"ID3\x04\x00\x00\x00\x00\x07\x76" + bytes(1014)
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 1000
XML = b"<?xml version='1.0'?><TwilioResponse><RestException/></TwilioResponse>" * 1000
JSON = b'{"code": 20404, "message": "not found"}' * 1000


def verdict(
    body: bytes,
    extension: str = "mp3",
    *,
    duration: int | None = 10,
    channels: int | None = 1,
    encrypted: bool = False,
    kind: str = "",
    size: int | None = None,
) -> str | None:
    expected = Expected(extension, duration, channels, encrypted)
    kind = kind or {"mp3": MP3, "wav": WAV}[extension]
    return refusal(kind, body[:HEAD_BYTES], len(body) if size is None else size, expected)


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if length is None else length) + body


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), length)


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16))
TEN_SECONDS = bytes(160_000)


class TestWav:
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("known", [1, None])
    def test_good(self, channels: int, known: int | None) -> None:
        assert verdict(wav("a", 10, channels), "wav", channels=known and channels) is None

    def test_more_channels_than_twilio_says_have_lost_nothing(self) -> None:
        assert verdict(wav("a", 10, 2), "wav", channels=1) is None

    def test_mono_for_two_channels(self) -> None:
        assert "1 channel" in (verdict(wav("a", 10, 1), "wav", channels=2) or "")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_cut(self, share: float) -> None:
        body = wav("a", 10)
        assert "the WAV says" in (verdict(body[: int(len(body) * share)], "wav") or "")

    def test_half_of_it_whole(self) -> None:
        assert "about 5 s" in (verdict(wav("a", 5), "wav") or "")

    @pytest.mark.parametrize("unknown", [0, 0xFFFFFFFF])
    def test_sizes_of_a_stream(self, unknown: int) -> None:
        whole = riff(FMT, chunk(b"data", TEN_SECONDS, unknown), length=unknown)
        assert verdict(whole, "wav") is None
        assert "about 5 s" in (verdict(whole[: len(whole) // 2], "wav") or "")

    def test_other_chunks_come_first(self) -> None:
        body = riff(FMT, chunk(b"LIST", b"odd") + b"\0", chunk(b"data", TEN_SECONDS))
        assert verdict(body, "wav") is None

    @pytest.mark.parametrize(
        "body",
        [riff(FMT), riff(), riff(FMT, chunk(b"LIST", bytes(9_000))), riff(chunk(b"x", b""))],
    )
    def test_no_audio_in_it(self, body: bytes) -> None:
        assert verdict(body, "wav") == "the WAV has no audio in it"

    def test_data_that_says_more_than_came(self) -> None:
        body = riff(FMT, chunk(b"data", TEN_SECONDS, 320_000))
        assert "the WAV says 320000 bytes of audio" in (verdict(body, "wav") or "")

    @pytest.mark.parametrize("body", [mp3("a", 10), FILLER, b"RIFF", b"RIFF" + FILLER])
    def test_no_wav(self, body: bytes) -> None:
        assert verdict(body, "wav") == "the body is not a WAV file"


class TestMp3:
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("seconds", [9, 10, 11, 600])
    def test_frames(self, channels: int, seconds: int) -> None:
        assert verdict(mp3("a", seconds, channels)) is None

    def test_half(self) -> None:
        assert "about 5 s" in (verdict(mp3("a", 5)) or "")

    def test_frames_behind_a_tag(self) -> None:
        assert verdict(ID3 + mp3("a", 10)) is None
        assert "about 5 s" in (verdict(ID3 + mp3("a", 5)) or "")

    SYNCS = (
        b"\xff\xfb\x90\x00",  # MPEG-1 layer III
        b"\xff\xf3\x48\xc0",  # MPEG-2 layer III
        b"\xff\xe3\x48\xc0",  # MPEG-2.5 layer III
        b"\xff\xfb\xf0\x00",  # with a reserved bit rate: no frame can be read
        b"\xff\xfb\x9c\x00",  # with a reserved sampling rate
        b"\xff\xfb",
        b"\xff\xfd\x90\x00",  # layer II
        b"\xff\xff\x90\x00",  # layer I
    )

    @pytest.mark.parametrize("start", [ID3, *SYNCS])
    @pytest.mark.parametrize("filler", [FILLER, bytes(32_000)])
    def test_frames_that_cannot_be_walked_are_judged_by_size(
        self, start: bytes, filler: bytes
    ) -> None:
        assert verdict(start + filler) is None
        assert verdict(start + filler, duration=None) is None
        assert "about 2 s" in (verdict((start + filler)[:1_100]) or "")
        assert "about 64 s" in (verdict((start + filler)[:32_000], duration=100) or "")

    @pytest.mark.parametrize(
        "body",
        [
            FILLER,
            bytes(32_000),
            ciphertext("a", 10),
            wav("a", 10),
            b"\xff",
            b"\x00\xff\xfb\x90\x00" + FILLER,
            b"\xff\xdb" + FILLER,  # no sync
            b"\xff\xd8\xff\xe0" + FILLER,  # JPEG
            b"\xff\xf1\x50\x80" + FILLER,  # AAC, whose layer is the reserved one
            b"\xff\xe9\x00\x00" + FILLER,
            b"\xff\xfe" + HTML.decode().encode("utf-16-le"),
            b"\xfe\xff" + HTML.decode().encode("utf-16-be"),
            b"\xef\xbb\xbf" + HTML,
            b"ID3",
            b"OggS" + FILLER,
        ],
    )
    def test_neither_tag_nor_sync(self, body: bytes) -> None:
        assert verdict(body, duration=None) == "the body is not an MP3 file"


class TestDocuments:
    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("body", [HTML, XML, JSON, b"\n " + HTML, HTML.upper()])
    def test_a_document(self, body: bytes, extension: str, *, encrypted: bool) -> None:
        assert verdict(body, extension, encrypted=encrypted) == (
            "the body is a text document, not audio"
        )

    @pytest.mark.parametrize("kind", ["text/html", "application/json", "application/octet-stream"])
    def test_what_does_not_come_as_audio(self, kind: str) -> None:
        assert verdict(mp3("a", 10), kind=kind) == f"it came as {kind}, not as audio"

    def test_no_content_type(self) -> None:
        expected = Expected("mp3", 10, 1)
        assert "no content type" in (refusal(" ;", mp3("a", 10), 50_000, expected) or "")

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_empty(self, *, encrypted: bool) -> None:
        assert verdict(b"", encrypted=encrypted) == "the body is empty"


class TestEncrypted:
    @pytest.mark.parametrize("kind", [WAV, "application/octet-stream", "Audio/X-WAV; a=b"])
    def test_is_judged_by_size(self, kind: str) -> None:
        body = ciphertext("a", 10)
        assert verdict(body, "wav", encrypted=True, kind=kind) is None
        assert "about 2 s" in (verdict(body[:1_000], "wav", encrypted=True, kind=kind) or "")

    def test_comes_as_no_document(self) -> None:
        assert verdict(ciphertext("a", 10), "wav", encrypted=True, kind="text/html") is not None

    def test_may_look_like_anything(self) -> None:
        for body in (bytes(9_000), b"RIFF" + bytes(9_000), b"\xff\xf1" + bytes(9_000)):
            assert verdict(body, "wav", encrypted=True) is None


WAVE = b"RIFF" + bytes(4) + b"WAVE"
beginnings = st.sampled_from(
    [
        *(b"", WAVE[:4], WAVE, WAVE + b"fmt ", WAVE + b"fmt \x10\0\0\0", WAVE + b"data"),
        *(b"ID3", b"\xff", b"\xff\xfb", b"\xff\xe3\x48\xc0", b"{", b"<"),
    ]
)


@given(
    beginning=beginnings,
    rest=st.binary(max_size=200),
    beyond=st.integers(0, 10**10),
    extension=st.sampled_from(["mp3", "wav"]),
    duration=st.none() | st.integers(0, 10**6),
    channels=st.none() | st.integers(0, 3),
    encrypted=st.booleans(),
)
def test_no_bytes_trouble_it(
    beginning: bytes,
    rest: bytes,
    beyond: int,
    extension: str,
    duration: int | None,
    channels: int | None,
    *,
    encrypted: bool,
) -> None:
    body = beginning + rest
    why = verdict(
        body,
        extension,
        duration=duration,
        channels=channels,
        encrypted=encrypted,
        size=len(body) + beyond,
    )
    assert why is None or why
