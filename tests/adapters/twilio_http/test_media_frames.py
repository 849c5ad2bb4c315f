"""What the answer says of itself: where the body ends, and how many channels it has."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import FailureKind
from reccli.core.model import Recording
from reccli.flow.ports import Media
from reccli.sandbox.audio import wav
from reccli.sandbox.twilio_api import TwilioStandIn

from .samples import PATH, RECORDING, REF, download, failure_of, resource, seen, verdict_of
from .scripted import Reply, Seen, Server, always, as_json

BODY = b"RIFF" + bytes(1000)
AUDIO = Reply(200, BODY, {"Content-Type": "audio/x-wav"})
MONO = as_json({"code": 16113, "message": "Dual-channel was requested of a mono recording"}, 400)
UNKNOWN = replace(RECORDING, channels=None)


def opened(adapter: TwilioAdapter, recording: Recording = RECORDING) -> tuple[Media, bytes]:
    with adapter.media(recording, "wav") as media:
        return media, b"".join(media.chunks)


class TestFrames:
    @pytest.mark.parametrize(
        ("reply", "framed", "length"),
        [
            (AUDIO, True, len(BODY)),
            (replace(AUDIO, body=b""), True, 0),
            (replace(AUDIO, chunked=True), True, None),
            (replace(AUDIO, chunked=True, length="7"), True, None),
            (
                replace(AUDIO, headers={"Transfer-Encoding": "Chunked"}, body=b"0\r\n\r\n"),
                True,
                None,
            ),
            (replace(AUDIO, length=None), False, None),
            (replace(AUDIO, length=None, cut=300), False, None),
            (replace(AUDIO, length=None, headers={"S3Clients": "close"}), False, None),
        ],
    )
    def test_what_ends_the_body(
        self,
        server: Server,
        adapter: TwilioAdapter,
        reply: Reply,
        framed: bool,  # noqa: FBT001
        length: int | None,
    ) -> None:
        server.answer = always(reply)
        media, _ = opened(adapter)
        assert (media.framed, media.length) == (framed, length)

    def test_a_redirect_says_nothing_of_the_body(
        self, server: Server, other: Server, adapter: TwilioAdapter
    ) -> None:
        server.answer = always(Reply(302, b"", {"Location": f"{other.url}/x"}))
        other.answer = always(replace(AUDIO, length=None))
        media, body = opened(adapter)
        assert (media.framed, body) == (False, BODY)

    @pytest.mark.parametrize("length", ["ten", "-1", "1e3", "+5", "\u0661\u0662", "", "5, 6"])
    def test_a_length_that_is_none_proves_nothing(
        self, server: Server, adapter: TwilioAdapter, length: str
    ) -> None:
        server.answer = always(replace(AUDIO, length=length))
        assert verdict_of(lambda: opened(adapter)) == (FailureKind.OUTAGE, "connection")


class TestChannels:
    def by_request(self, dual: Reply, plain: Reply) -> Callable[[Seen], Reply]:
        return lambda seen: dual if seen.query.get("RequestedChannels") == "2" else plain

    def test_two_are_asked_for_and_granted(self, server: Server, adapter: TwilioAdapter) -> None:
        server.answer = self.by_request(AUDIO, Reply(500))
        media, body = opened(adapter, UNKNOWN)
        assert (media.channels, body) == (2, BODY)
        assert [seen.query for seen in server.seen] == [{"RequestedChannels": "2"}]

    def test_it_is_mono(self, server: Server, adapter: TwilioAdapter) -> None:
        server.answer = self.by_request(MONO, AUDIO)
        media, body = opened(adapter, UNKNOWN)
        assert (media.channels, body) == (1, BODY)
        assert [seen.query for seen in server.seen] == [{"RequestedChannels": "2"}, {}]

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_of_a_known_number_nothing_is_told(
        self, server: Server, adapter: TwilioAdapter, channels: int
    ) -> None:
        server.answer = always(AUDIO)
        media, _ = opened(adapter, replace(RECORDING, channels=channels))
        asked = [{"RequestedChannels": "2"}] if channels == 2 else [{}]
        assert media.channels is None
        assert [seen.query for seen in server.seen] == asked

    def test_a_known_second_channel_is_not_given_up(
        self, server: Server, adapter: TwilioAdapter
    ) -> None:
        server.answer = self.by_request(MONO, AUDIO)
        dual = replace(RECORDING, channels=2)
        assert verdict_of(lambda: opened(adapter, dual)) == (FailureKind.PERMANENT, "16113")
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("refusal", "verdict"),
        [
            (Reply(404), (FailureKind.NOT_YET, "media_not_ready")),
            (Reply(400), (FailureKind.PERMANENT, "http_400")),
            (as_json({"code": 16114}, 400), (FailureKind.BUSY, "16114")),
            (as_json({"code": 16109}, 400), (FailureKind.PERMANENT, "16109")),
            (Reply(500), (FailureKind.OUTAGE, "http_500")),
            (Reply(403), (FailureKind.DENIED, "http_403")),
        ],
    )
    def test_no_other_refusal_says_that_it_is_mono(
        self,
        server: Server,
        adapter: TwilioAdapter,
        refusal: Reply,
        verdict: tuple[FailureKind, str],
    ) -> None:
        server.answer = self.by_request(refusal, AUDIO)
        assert verdict_of(lambda: opened(adapter, UNKNOWN)) == verdict
        assert len(server.seen) == 1

    def test_what_fails_after_all_is_told_as_it_is(
        self, server: Server, adapter: TwilioAdapter
    ) -> None:
        server.answer = self.by_request(MONO, Reply(404))
        failure = failure_of(lambda: opened(adapter, UNKNOWN))
        assert failure.code == "media_not_ready"
        assert failure.message == f"GET {PATH}.wav was answered 404"

    @pytest.mark.parametrize("conference", [None, "CF" + "c" * 32])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_at_the_stand_in(
        self,
        twilio: TwilioStandIn,
        twilio_adapter: Callable[..., TwilioAdapter],
        channels: int,
        conference: str | None,
    ) -> None:
        adapter = twilio_adapter(twilio, read_timeout=5)
        fake = twilio.add(channels=channels, conference_sid=conference)
        media, body = opened(adapter, seen(fake, channels=None))
        assert media.channels == channels
        assert body == wav(fake.sid, fake.duration, channels)
        assert download(adapter, seen(fake)) == body


@pytest.mark.parametrize("told", [None, "-1", -2, "", "4.5", "four", "\u0664", "1e3", [4], True])
def test_a_duration_or_a_number_of_channels_that_is_none_is_unknown(
    server: Server, adapter: TwilioAdapter, told: object
) -> None:
    server.answer = always(as_json(resource(duration=told, channels=told)))
    found = adapter.fetch(REF)
    assert (found.duration, found.channels) == (None, None)
