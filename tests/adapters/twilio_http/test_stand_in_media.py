"""The adapter against the local Twilio: the audio."""

from collections.abc import Callable

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import FailureKind
from reccli.flow.ports import Listing
from reccli.sandbox.audio import mp3, wav
from reccli.sandbox.recordings import ENCRYPTION_DETAILS
from reccli.sandbox.standin import Fault, FaultKind
from reccli.sandbox.twilio_api import TwilioStandIn

from .samples import delete, download, failure_of, seen, verdict_of


@pytest.fixture
def adapter(twilio: TwilioStandIn, twilio_adapter: Callable[..., TwilioAdapter]) -> TwilioAdapter:
    return twilio_adapter(twilio, read_timeout=5)


@pytest.mark.parametrize("separate", [True, False])
def test_media_comes_whole_and_credentials_stay_at_home(
    twilio: TwilioStandIn, adapter: TwilioAdapter, *, separate: bool
) -> None:
    twilio.media_separate_origin = separate
    fake = twilio.add(duration=60, channels=2)
    with adapter.media(seen(fake), "mp3") as media:
        body = b"".join(media.chunks)
    assert body == mp3(fake.sid, 60, 2)
    assert (media.content_type, media.length) == ("audio/mpeg", len(body))
    assert [request.authorization for request in twilio.media.requests] == [None] * separate


def test_both_channels_of_a_conference_are_copied(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    fake = twilio.add(channels=2, conference_sid="CF" + "c" * 32)
    assert download(adapter, seen(fake)) == wav(fake.sid, fake.duration, 2)


def test_nothing_is_silently_downmixed(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    recording = seen(twilio.add(channels=1), channels=2)
    failure = failure_of(lambda: download(adapter, recording))
    assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "16113")
    assert "with RequestedChannels=2 was answered 400: 16113 Dual-channel" in failure.message


def test_an_encrypted_recording_has_no_mp3(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    recording = seen(twilio.add(encryption_details=ENCRYPTION_DETAILS))
    wanted = (FailureKind.PERMANENT, "16109")
    assert verdict_of(lambda: download(adapter, recording, "mp3")) == wanted


def test_media_that_has_not_arrived_is_asked_for_again_soon(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    recording = seen(twilio.add(media_404_times=1))
    failure = failure_of(lambda: download(adapter, recording))
    assert (failure.kind, failure.code) == (FailureKind.NOT_YET, "media_not_ready")
    assert failure.retry_after == pytest.approx(1.5)
    assert download(adapter, recording) == wav(recording.sid, 4)


@pytest.mark.parametrize("separate", [True, False])
def test_a_body_that_breaks_off_is_an_outage(
    twilio: TwilioStandIn, adapter: TwilioAdapter, *, separate: bool
) -> None:
    twilio.media_separate_origin = separate
    recording = seen(twilio.add(duration=120))
    origin = twilio.media if separate else twilio
    origin.faults.add(Fault(FaultKind.TRUNCATE))
    assert verdict_of(lambda: download(adapter, recording)) == (FailureKind.OUTAGE, "connection")


def test_nothing_is_waited_for_without_end(
    twilio: TwilioStandIn, twilio_adapter: Callable[..., TwilioAdapter]
) -> None:
    adapter = twilio_adapter(twilio, read_timeout=0.1)
    recording = seen(twilio.add())
    twilio.faults.add(Fault(FaultKind.STALL, times=None))
    twilio.media.faults.add(Fault(FaultKind.STALL, times=None))
    for call in (
        lambda: adapter.fetch(recording.ref),
        lambda: adapter.page(Listing("us1"), None),
        lambda: delete(adapter, recording),
        lambda: download(adapter, recording),
    ):
        assert verdict_of(call) == (FailureKind.OUTAGE, "timeout")
    twilio.faults.clear()
    assert verdict_of(lambda: download(adapter, recording)) == (FailureKind.OUTAGE, "timeout")
