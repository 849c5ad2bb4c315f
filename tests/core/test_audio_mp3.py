"""How long an MP3 plays, by every frame in it: none is counted twice, and no junk is."""

from __future__ import annotations

import random
import time
from itertools import accumulate, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.audio import Expected, Meter
from reccli.sandbox import audio
from reccli.sandbox.audio import (
    DUAL,
    JOINT,
    MONO,
    STEREO,
    cbr,
    ciphertext,
    frame,
    frame_seconds,
    frames,
    id3v1,
    id3v2,
    mp3,
    vbr,
    wav,
)
from tests.core.audio_bodies import FILLER, HTML, judge, seconds, verdict

RATES = {
    **dict.fromkeys(audio.MPEG1_HERTZ, audio.MPEG1_KBPS),
    **dict.fromkeys((*audio.MPEG2_HERTZ, *audio.MPEG25_HERTZ), audio.MPEG2_KBPS),
}
APE = b"APETAGEX\xd0\x07\0\0" + bytes(300) + FILLER[:900]
TWO_LIKE = [frame(32, 22_050), frame(32, 22_050)]


@pytest.mark.parametrize(
    ("kbps", "hertz", "length"),
    [(32, 8_000, 288), (32, 22_050, 104), (128, 44_100, 417), (320, 32_000, 1440), (8, 24_000, 24)],
)
def test_the_makers_frames_have_the_standard_length(kbps: int, hertz: int, length: int) -> None:
    assert len(frame(kbps, hertz)) == length
    assert len(frame(kbps, hertz, padded=True)) == length + 1


@pytest.mark.parametrize("hertz", RATES)
@pytest.mark.parametrize("mode", [MONO, STEREO, JOINT, DUAL])
def test_every_frame_that_there_is(hertz: int, mode: int) -> None:
    for kbps, padded in product(RATES[hertz], (False, True)):
        body = frame(kbps, hertz, mode, padded=padded) * 7
        judgement = judge(body, duration=None, channels=2)
        assert judgement.seconds == pytest.approx(7 * frame_seconds(hertz))
        assert (judgement.refusal is None) == (mode != MONO)


@pytest.mark.parametrize("hertz", RATES)
@pytest.mark.parametrize("padded", [False, True])
def test_a_constant_bit_rate(hertz: int, *, padded: bool) -> None:
    for kbps in (RATES[hertz][0], 64, RATES[hertz][-1]):
        body = cbr(60, kbps, hertz, STEREO, padded=padded)
        assert seconds(body) == pytest.approx(60, abs=frame_seconds(hertz))
        assert seconds(body, step=5_000) == pytest.approx(60, abs=frame_seconds(hertz))
        assert verdict(body, duration=60, channels=2) is None


def test_talk_and_hold() -> None:
    whole = vbr([(60, 64), (240, 8)])
    assert verdict(whole, duration=300) is None
    assert seconds(whole) == pytest.approx(300, abs=0.06)
    backwards = vbr([(240, 8), (60, 64)])
    assert verdict(backwards, duration=300) is None
    half = judge(backwards[: len(backwards) // 2], duration=300)
    assert half.refusal is not None
    assert half.length_alone


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [9, 10, 11, 600])
def test_frames(channels: int, length: int) -> None:
    assert verdict(mp3("a", length, channels)) is None


class TestRuns:
    """What repeats is counted by stride, and what differs has to be seen all the same."""

    LONG = 2_000

    @pytest.mark.parametrize("place", [0, 1, 48, 49, 50, 98, 99, 700, 1_999])
    @pytest.mark.parametrize("padded", [False, True])
    @pytest.mark.parametrize("hertz", [22_050, 8_000])
    def test_one_frame_is_mono(self, place: int, hertz: int, *, padded: bool) -> None:
        rates = [32] * self.LONG
        before = frames(rates[:place], hertz, STEREO, padded=padded)
        after = frames(rates[place:], hertz, DUAL, padded=padded)
        both = before + frame(32, hertz, MONO) + after
        assert verdict(both, duration=None, channels=2) == "it has 1 channel, and Twilio recorded 2"
        assert verdict(before + after, duration=None, channels=2) is None
        assert seconds(both) == pytest.approx((self.LONG + 1) * frame_seconds(hertz))

    @pytest.mark.parametrize("place", [0, 1, 48, 49, 50, 51, 98, 99, 700, 1_998])
    @pytest.mark.parametrize("kbps", [24, 40, 160])
    @pytest.mark.parametrize("padded", [False, True])
    def test_one_frame_has_another_bit_rate(self, place: int, kbps: int, *, padded: bool) -> None:
        rates = [32] * self.LONG
        rates[place] = kbps
        body = frames(rates, 22_050, padded=padded)
        assert seconds(body) == pytest.approx(self.LONG * frame_seconds(22_050))

    @pytest.mark.parametrize("byte", [0, 1, 2])
    @pytest.mark.parametrize("place", [60, 700, 1_500])
    @pytest.mark.parametrize("padded", [False, True])
    def test_one_header_is_broken(self, byte: int, place: int, *, padded: bool) -> None:
        made = [frame(32, 22_050, padded=padded and number % 2 == 1) for number in range(self.LONG)]
        broken = bytearray(made[place])
        broken[byte] = 0
        body = b"".join([*made[:place], bytes(broken), *made[place + 1 :]])
        assert seconds(body) == pytest.approx((self.LONG - 1) * frame_seconds(22_050))

    def test_bits_that_say_nothing_of_the_sound(self) -> None:
        lots = random.Random(1)
        body = bytearray(frame(32, 8_000, STEREO) * self.LONG)
        for at in range(0, len(body), 288):
            body[at + 1] ^= lots.getrandbits(1)  # protection
            body[at + 2] ^= lots.getrandbits(1)  # private
            body[at + 3] ^= lots.choice((0, 0x30, 0x08, 0x04))
        assert seconds(bytes(body)) == pytest.approx(self.LONG * 0.072)
        assert verdict(bytes(body), duration=144, channels=2) is None

    @pytest.mark.parametrize("step", [1, 103, 104, 105, 5_000, 5_096, 5_121, 9_999])
    @pytest.mark.parametrize("padded", [False, True])
    def test_headers_that_straddle_chunks(self, step: int, *, padded: bool) -> None:
        body = cbr(30, padded=padded)
        assert seconds(body, step=step) == seconds(body) == pytest.approx(30, abs=0.03)


class TestTags:
    MUSIC = cbr(10)

    @pytest.mark.parametrize(
        "before",
        [
            *(id3v2(0), id3v2(1014), id3v2(300_000), id3v2(20) * 3, id3v2(300_000) + id3v2(9)),
            *(bytes(500), id3v2(100) + bytes(1000), FILLER, b"\xff" * 5_000, b"ID3\xff"),
            b"ID3\4\0\x10" + id3v2(30)[6:] + b"3DI\4\0\x10\0\0\0\x1e",
            id3v2(400)[:10] + frame(64, 22_050)[:208] * 2 + bytes(400 - 416 + 16),
        ],
    )
    @pytest.mark.parametrize("step", [1_000, 10**6])
    def test_before_the_audio(self, before: bytes, step: int) -> None:
        assert seconds(before + self.MUSIC, step=step) == seconds(self.MUSIC)

    def test_frames_inside_a_tag_are_no_audio(self) -> None:
        tag = id3v2(2_080)[:10] + frame(32, 22_050) * 20
        assert seconds(tag + self.MUSIC) == seconds(self.MUSIC)
        footed = b"ID3\4\0\x10" + tag[6:] + b"3DI" + bytes(7)
        assert seconds(footed + tag + self.MUSIC) == seconds(self.MUSIC)
        assert seconds(self.MUSIC + tag + self.MUSIC) == pytest.approx(2 * seconds(self.MUSIC))

    def test_a_tag_of_megabytes(self) -> None:
        size = 0x7F + (0x7F << 7) + (0x7F << 14) + (1 << 21)
        assert seconds(id3v2(size) + self.MUSIC) == seconds(self.MUSIC)

    @pytest.mark.parametrize("step", range(1, 12))
    def test_the_first_header_straddles_chunks(self, step: int) -> None:
        assert seconds(b"junk!" + self.MUSIC, step=step) == seconds(self.MUSIC)

    def test_a_tag_of_no_valid_size_hides_nothing(self) -> None:
        tag = b"ID3\4\0\0\x80\x7f\x7f\x7f"
        assert seconds(tag + self.MUSIC) == seconds(self.MUSIC)

    @pytest.mark.parametrize(
        "after", [id3v1(), APE, APE + id3v1(), bytes(9_000), b"\xff", b"\xff\xf3", b"junk", HTML]
    )
    def test_after_the_audio(self, after: bytes) -> None:
        assert seconds(self.MUSIC + after) == seconds(self.MUSIC)
        assert verdict(self.MUSIC + after) is None

    @pytest.mark.parametrize(
        "between", [id3v2(9_000), id3v1() + id3v2(50), bytes(99), FILLER, b"RIFF" + FILLER]
    )
    def test_between_two_recordings(self, between: bytes) -> None:
        other = cbr(5, 32, 44_100)
        joined = self.MUSIC + between + other
        assert seconds(joined) == pytest.approx(seconds(self.MUSIC) + seconds(other))

    def test_another_kind_of_frame_at_once(self) -> None:
        other = cbr(5, 32, 44_100)
        assert seconds(self.MUSIC + other) == pytest.approx(seconds(self.MUSIC) + seconds(other))

    def test_a_lone_frame_of_another_kind_is_junk(self) -> None:
        odd = frame(32, 44_100)
        assert seconds(self.MUSIC + odd + self.MUSIC) == pytest.approx(2 * seconds(self.MUSIC))

    @pytest.mark.parametrize("name", [b"Xing", b"Info", b"VBRI"])
    @pytest.mark.parametrize(
        ("hertz", "mode", "at"),
        [(44_100, STEREO, 36), (44_100, MONO, 21), (22_050, STEREO, 21), (8_000, MONO, 13)],
    )
    def test_an_encoders_notes_are_no_audio(
        self, name: bytes, hertz: int, mode: int, at: int
    ) -> None:
        notes = bytearray(frame(64, hertz, mode))
        at = 36 if name == b"VBRI" else at
        notes[at : at + 4] = name
        music = cbr(10, 64, hertz, mode)
        assert seconds(id3v2(100) + bytes(notes) + music) == seconds(music)
        joined = music + b"junk" + bytes(notes) + music
        assert seconds(joined) == pytest.approx(2 * seconds(music))
        assert verdict(bytes(notes)) == "the MP3 has no audio in it"


class TestCut:
    BODIES = (
        [frame(32, 22_050)] * 6,
        [frame(kbps, 44_100, STEREO) for kbps in (32, 128, 64, 40, 320)],
        [frame(32, 22_050, padded=number % 2 == 1) for number in range(6)],
    )

    @pytest.mark.parametrize("made", BODIES)
    @pytest.mark.parametrize("tag", [b"", id3v2(7)])
    def test_anywhere(self, made: list[bytes], tag: bytes) -> None:
        body, each = tag + b"".join(made), seconds(made[0] * 2) / 2
        ends = list(accumulate(map(len, made), initial=len(tag)))[1:]
        for cut in range(len(body) + 1):
            whole = sum(end <= cut for end in ends)
            assert seconds(body[:cut]) == pytest.approx(whole * each), cut

    def test_in_a_long_run(self) -> None:
        body = cbr(60, padded=False)
        for cut in range(len(body) - 210, len(body)):
            assert seconds(body[:cut]) == pytest.approx(cut // 104 * frame_seconds(22_050))

    @given(
        hertz=st.sampled_from(list(RATES)),
        picks=st.lists(st.tuples(st.integers(0, 13), st.booleans(), st.integers(0, 3)), min_size=2),
        repeat=st.integers(1, 60),
        cut=st.floats(0, 1),
        step=st.integers(1, 5_000),
    )
    def test_any_frames_anywhere(
        self, hertz: int, picks: list[tuple[int, bool, int]], repeat: int, cut: float, step: int
    ) -> None:
        made = [
            frame(RATES[hertz][index], hertz, mode, padded=padded) for index, padded, mode in picks
        ] * repeat
        body = b"".join(made)
        at = int(cut * len(body))
        ends = list(accumulate(map(len, made)))
        whole = sum(end <= at for end in ends)
        assert seconds(body[:at], step=step) == pytest.approx(whole * frame_seconds(hertz))
        judgement = judge(body, duration=None, channels=2, step=step)
        assert judgement.seconds == pytest.approx(len(made) * frame_seconds(hertz))
        assert (judgement.refusal is None) == all(mode != MONO for _, _, mode in picks)


SYNC = b"\xff\xf3\x40\xc0"


@pytest.mark.parametrize(
    "body",
    [
        *(FILLER, bytes(32_000), ciphertext("a", 10), wav("a", 10), b"\xff", b"ID3"),
        b"\x00\xff\xfb\x90\x00" + FILLER,
        b"\xff\xfb\x90\x00" + FILLER,  # one header, and no second
        *(b"\xff\xdb" + FILLER, b"\xff\xe1" + FILLER, b"\xff\xfe" + HTML, b"\xfe\xff" + HTML),
        b"\xef\xbb\xbf" + HTML,
        *(b"OggS" + FILLER, b"OggS" + cbr(10), b"fLaC" + cbr(10), wav("a", 1) + cbr(10)),
        (b"\xff\xfb\xf0\x00" + bytes(413)) * 99,  # reserved bit rate
        (b"\xff\xfb\x00\x00" + bytes(413)) * 99,  # free format
        (b"\xff\xfb\x9c\x00" + bytes(413)) * 99,  # reserved sampling rate
        (b"\xff\xeb\x90\x00" + bytes(413)) * 99,  # reserved version
        (b"\xff\xfd\x90\x00" + bytes(413)) * 99,  # layer II
        (b"\xff\xff\x90\x00" + bytes(413)) * 99,  # layer I
        (b"\xff\xf9\x90\x00" + bytes(413)) * 99,  # reserved layer, or AAC
        SYNC + bytes(100) + b"\xff\xfb\x40\xc0" + bytes(1000),  # the second is of another version
        SYNC + bytes(100) + b"\xff\xf3\x44\xc0" + bytes(1000),  # and of another rate
        SYNC + bytes(100) + b"\xff\xf3\xf0\xc0" + bytes(1000),  # and no header
        SYNC + bytes(100) + b"\xff\xfb",
        SYNC + bytes(100) + b"\xff\xf3\x44",
        SYNC + bytes(101),
    ],
)
@pytest.mark.parametrize("step", [3, 10**6])
def test_no_mp3(body: bytes, step: int) -> None:
    judgement = judge(body, duration=None, channels=None, step=step)
    assert judgement.refusal == "the body is not an MP3 file"


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xf3", b"\xff\xf2\x40", SYNC])
def test_one_frame_that_ends_with_the_body(end: bytes) -> None:
    assert seconds(b"junk" + frame(32, 22_050) + end) == pytest.approx(frame_seconds(22_050))


def test_half_a_frame_hides_no_whole_one() -> None:
    assert seconds(frame(160, 16_000)[:20] + frame(32, 22_050)) == pytest.approx(576 / 22_050)


def test_frames_without_a_pattern_go_on_for_long() -> None:
    lots = random.Random(2)
    block = frames((lots.choice((8, 16)) for _ in range(50)), 24_000)
    assert seconds(block * 10_100) == pytest.approx(10_100 * 50 * 0.024)


def test_samples_that_look_like_syncs() -> None:
    noise = random.Random(5).randbytes(3_000_000)
    assert seconds(noise) < 0.2
    assert seconds(cbr(10) + noise + cbr(10)) == pytest.approx(2 * seconds(cbr(10)), abs=0.2)


BAD_SYNC = SYNC + b"\x01"


@pytest.mark.parametrize(
    "part",
    [
        *(b"\xff", BAD_SYNC, id3v2(0), SYNC * 2 + b"\x01\xff", b"".join(TWO_LIKE) + b"junk"),
        frame(8, 24_000) * 2 + b"\xff",
        frame(8, 24_000) + frame(8, 48_000 // 3),
    ],
)
def test_a_hostile_body_is_given_up(part: bytes) -> None:
    block = part * (1_000_000 // len(part))
    meter = Meter(Expected("mp3", 600, 1))
    begun = time.process_time()
    for _ in range(20):
        meter.feed(block)
    meter.feed(cbr(600))
    judgement = meter.judge("audio/mpeg", framed=True)
    assert time.process_time() - begun < 3
    if part != b"\xff":  # which holds no sync at all, and costs little
        assert judgement.refusal is not None


def test_what_came_before_giving_up_still_counts() -> None:
    music, few, many = cbr(10), b"x" + BAD_SYNC * 900, b"x" + BAD_SYNC * 20_000
    assert seconds(music + many + music) == seconds(music)
    assert seconds(music + few + music) == pytest.approx(2 * seconds(music))
