"""What is the recording, and what is a page of HTML, an error, or half of it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.audio import Expected, Meter, long_enough, proves_length
from reccli.sandbox.audio import STEREO, cbr, ciphertext, frame, id3v2, mp3, wav
from tests.core.audio_bodies import FILLER, FORMAT, HTML, KINDS, chunk, judge, riff, verdict

XML = b"<?xml version='1.0'?><TwilioResponse><RestException/></TwilioResponse>" * 1000
JSON = b'{"code": 20404, "message": "not found"}' * 1000
WAV = KINDS["wav"]


class TestDocuments:
    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("accept", [False, True])
    @pytest.mark.parametrize("body", [HTML, XML, JSON, b"\n " + HTML, b" " * 999 + HTML.upper()])
    def test_a_document(
        self, body: bytes, extension: str, *, encrypted: bool, accept: bool
    ) -> None:
        for step in (1, 999, 10**6):
            judgement = judge(body, extension, encrypted=encrypted, accept=accept, step=step)
            assert judgement.refusal == "the body is a text document, not audio"
            assert (judgement.length_alone, judgement.seconds) == (False, None)

    def test_markup_inside_audio_is_no_document(self) -> None:
        assert verdict(id3v2(20) + HTML + mp3("a", 10)) is None

    @pytest.mark.parametrize("kind", ["text/html", "application/json", "application/octet-stream"])
    def test_what_does_not_come_as_audio(self, kind: str) -> None:
        for accept in (False, True):
            said = f"it came as {kind}, not as audio"
            assert verdict(mp3("a", 10), kind=kind, accept=accept) == said

    @pytest.mark.parametrize("kind", ["", " ;"])
    def test_no_content_type(self, kind: str) -> None:
        assert verdict(mp3("a", 10), kind=kind) == "it came as no content type, not as audio"

    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("accept", [False, True])
    def test_empty(self, extension: str, *, encrypted: bool, accept: bool) -> None:
        judgement = judge(b"", extension, encrypted=encrypted, accept=accept)
        assert judgement.refusal == "the body is empty"
        assert not judgement.length_alone


class TestEncrypted:
    @pytest.mark.parametrize("kind", [WAV, "application/octet-stream", "Audio/X-WAV; a=b"])
    def test_is_judged_by_size(self, kind: str) -> None:
        body = ciphertext("a", 10)
        assert verdict(body, "wav", encrypted=True, kind=kind) is None
        judgement = judge(body[:80_000], "wav", encrypted=True, kind=kind)
        assert judgement.refusal == "it holds 5 s of audio, and Twilio recorded 10 s"
        assert judgement.length_alone
        assert judgement.seconds == 5

    @pytest.mark.parametrize(("channels", "counted"), [(None, 20), (1, 20), (2, 10)])
    def test_each_channel_has_its_bytes(self, channels: int | None, counted: int) -> None:
        body = ciphertext("a", 10, 2)
        judgement = judge(body, "wav", channels=channels, encrypted=True, duration=None)
        assert judgement.seconds == pytest.approx(counted, abs=0.01)
        assert judge(body, "wav", channels=2, encrypted=True, duration=13).length_alone

    def test_a_person_may_take_a_short_one(self) -> None:
        body = ciphertext("a", 5)
        assert verdict(body, "wav", encrypted=True, accept=True) is None

    def test_comes_as_no_document(self) -> None:
        assert verdict(ciphertext("a", 10), "wav", encrypted=True, kind="text/html") is not None

    def test_may_look_like_anything(self) -> None:
        for body in (bytes(9_000), b"RIFF" + bytes(9_000), b"\xff\xf1" + bytes(9_000)):
            assert verdict(body, "wav", encrypted=True, duration=2) is None


class TestLength:
    @pytest.mark.parametrize(
        ("counted", "duration", "enough"),
        [
            *((8.0, 10, True), (7.99, 10, False), (0.0, 2, True), (0.0, 3, False)),
            *((198.0, 200, True), (197.99, 200, False), (197.9, 199, True)),
            *((594.0, 600, True), (593.9, 600, False), (462.0, 600, False)),
            *((10.0, 10, True), (10**6, 10, True), (0.0, 0, True)),
        ],
    )
    def test_two_seconds_or_one_percent(
        self, counted: float, duration: int, *, enough: bool
    ) -> None:
        assert long_enough(counted, duration) is enough
        assert proves_length(duration, counted, accepted=False) is enough
        assert proves_length(duration, counted, accepted=True)

    def test_what_a_delete_may_rest_on(self) -> None:
        assert proves_length(600, None, accepted=False)  # stored by an earlier version
        assert not proves_length(None, 600.0, accepted=False)
        assert not proves_length(None, None, accepted=False)
        assert proves_length(None, None, accepted=True)

    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    def test_half(self, extension: str) -> None:
        body = {"mp3": cbr(462), "wav": wav("a", 462)}[extension]
        judgement = judge(body, extension, duration=600)
        assert judgement.refusal == "it holds 462 s of audio, and Twilio recorded 600 s"
        assert judgement.length_alone
        assert judgement.seconds == pytest.approx(462, abs=0.03)

    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    def test_a_person_may_take_it(self, extension: str) -> None:
        body = {"mp3": cbr(5), "wav": wav("a", 5)}[extension]
        judgement = judge(body, extension, accept=True)
        assert (judgement.refusal, judgement.length_alone) == (None, False)
        assert judgement.seconds == pytest.approx(5, abs=0.03)

    @pytest.mark.parametrize("accept", [False, True])
    def test_but_not_what_only_the_end_of_the_connection_ended(self, *, accept: bool) -> None:
        judgement = judge(cbr(5), "mp3", accept=accept, framed=False)
        assert "nothing but the end of the connection" in (judgement.refusal or "")
        assert not judgement.length_alone

    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    def test_longer_has_lost_nothing(self, extension: str) -> None:
        assert verdict({"mp3": mp3, "wav": wav}[extension]("a", 600), extension) is None

    @pytest.mark.parametrize("accept", [False, True])
    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("extension", ["mp3", "wav"])
    def test_no_duration_to_hold_it_against(
        self, extension: str, *, accept: bool, encrypted: bool
    ) -> None:
        body = {"mp3": mp3, "wav": wav}[extension]("a", 10)
        framed = judge(body, extension, duration=None, accept=accept, encrypted=encrypted)
        assert framed.refusal is None
        assert framed.seconds
        torn = judge(
            body, extension, duration=None, accept=accept, encrypted=encrypted, framed=False
        )
        assert torn.refusal == "it may have been cut, and Twilio tells no duration"
        assert not torn.length_alone
        assert verdict(body, extension, encrypted=encrypted, framed=False, duration=1) is None

    NOTHING = (
        (id3v2(20), "mp3", "the MP3 has no audio in it"),
        (frame(32, 22_050)[:50], "mp3", "the body is not an MP3 file"),
        (riff(chunk(b"fmt ", FORMAT), chunk(b"data", b"")), "wav", "the WAV has no audio in it"),
    )

    @pytest.mark.parametrize(("body", "extension", "why"), NOTHING)
    @pytest.mark.parametrize("duration", [None, 0, 1])
    def test_no_audio_at_all_is_taken_by_nobody(
        self, body: bytes, extension: str, why: str, duration: int | None
    ) -> None:
        for accept in (False, True):
            judgement = judge(body, extension, duration=duration, accept=accept)
            assert (judgement.refusal, judgement.length_alone) == (why, False)


class TestChannels:
    MONO = (mp3("a", 10), cbr(10), wav("a", 10))
    DUAL = (mp3("a", 10, 2), cbr(10, mode=STEREO), wav("a", 10, 2))

    @pytest.mark.parametrize("body", MONO)
    @pytest.mark.parametrize("accept", [False, True])
    @pytest.mark.parametrize("duration", [None, 10, 60])
    def test_mono_for_two_channels(
        self, body: bytes, duration: int | None, *, accept: bool
    ) -> None:
        extension = "wav" if body.startswith(b"RIFF") else "mp3"
        judgement = judge(body, extension, channels=2, accept=accept, duration=duration)
        assert judgement.refusal == "it has 1 channel, and Twilio recorded 2"
        assert not judgement.length_alone

    @pytest.mark.parametrize("body", DUAL)
    @pytest.mark.parametrize("channels", [None, 1, 2])
    def test_enough_of_them(self, body: bytes, channels: int | None) -> None:
        extension = "wav" if body.startswith(b"RIFF") else "mp3"
        assert verdict(body, extension, channels=channels) is None

    @pytest.mark.parametrize("body", MONO)
    def test_nobody_says_how_many(self, body: bytes) -> None:
        extension = "wav" if body.startswith(b"RIFF") else "mp3"
        assert verdict(body, extension, channels=None) is None


PIECES = st.sampled_from(
    [
        *(b"RIFF", b"RIFF" + bytes(4) + b"WAVE", b"fmt \x10\0\0\0" + FORMAT, b"LIST\3\0\0\0abc\0"),
        *(b"data\x10\0\0\0", b"data" + b"\xff" * 4, b"ID3", id3v2(5), b"\xff", b"\xff\xfb", b"TAG"),
        *(frame(32, 8_000), frame(8, 22_050, STEREO), frame(8, 22_050), frame(32, 44_100)),
        *(frame(32, 44_100, padded=True), b"{", b"<html", b" ", FILLER[:50]),
    ]
)
BODIES = st.lists(PIECES | st.binary(max_size=40), max_size=30).map(b"".join)
FACTS = st.fixed_dictionaries(
    {
        "extension": st.sampled_from(["mp3", "wav"]),
        "duration": st.none() | st.integers(0, 1000),
        "channels": st.none() | st.integers(0, 3),
        "encrypted": st.booleans(),
        "accept": st.booleans(),
        "framed": st.booleans(),
    }
)


@given(body=BODIES, facts=FACTS, step=st.integers(1, 700))
def test_no_bytes_trouble_it_however_they_come(
    body: bytes, facts: dict[str, object], step: int
) -> None:
    whole = judge(body, **facts)  # type: ignore[arg-type]
    assert whole.refusal is None or whole.refusal
    assert not (whole.length_alone and whole.refusal is None)
    assert judge(body, **facts, step=step) == whole  # type: ignore[arg-type]


@given(seed=st.integers(), count=st.integers(0, 8))
def test_chunks_of_any_sizes(seed: int, count: int) -> None:
    lots = random.Random(seed)
    body = id3v2(lots.randrange(300)) + cbr(2, 32, lots.choice((22_050, 44_100))) + bytes(40)
    cuts = sorted(lots.randrange(len(body)) for _ in range(count))
    meter = Meter(Expected("mp3", 2, 1))
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        meter.feed(body[start:end])
    judgement = meter.judge("audio/mpeg", framed=True)
    assert judgement == judge(body, duration=2)
    assert meter.judge("audio/mpeg", framed=True) == judgement


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 50])
def test_asking_changes_nothing(cut: int) -> None:
    meter = Meter(Expected("mp3", 2, 1))
    meter.feed(cbr(2) + frame(32, 22_050)[:cut])
    judgements = [meter.judge("audio/mpeg", framed=True) for _ in range(3)]
    assert judgements == [judge(cbr(2), duration=2)] * 3
