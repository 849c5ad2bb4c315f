"""The media of the local Twilio: redirects, channels, what is not there."""

import struct
from typing import Any

import httpx

from reccli.sandbox import audio
from reccli.sandbox.twilio import ENCRYPTION_DETAILS, TwilioStandIn
from tests.sandbox.samples import AUTH, BASIC, media_url


def test_media_redirects_to_another_origin(twilio: TwilioStandIn, http: httpx.Client) -> None:
    made = twilio.add(duration=3, channels=2)
    assert http.get(media_url(twilio, made)).status_code == 401
    hop = http.get(media_url(twilio, made), auth=AUTH)
    assert hop.status_code == 302
    assert hop.headers["Location"].startswith(twilio.media.url)
    assert http.get(hop.headers["Location"][:-1]).status_code == 403
    assert http.get(hop.headers["Location"], auth=AUTH).status_code == 400
    answer = http.get(media_url(twilio, made), auth=AUTH, follow_redirects=True)
    assert answer.content == audio.wav(made.sid, 3, 2)
    assert answer.headers["Content-Type"] == "audio/x-wav"
    assert [r.authorization for r in twilio.media.requests] == [None, BASIC, None]
    twilio.media_separate_origin = False
    answer = http.get(media_url(twilio, made, ".mp3"), auth=AUTH)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/mpeg")
    assert answer.content == audio.mp3(made.sid, 3, 2)


def test_a_signed_address_dies_with_the_recording(
    twilio: TwilioStandIn, http: httpx.Client
) -> None:
    made = twilio.add()
    hop = http.get(media_url(twilio, made), auth=AUTH)
    twilio.delete(made.sid)
    assert http.get(hop.headers["Location"]).status_code == 404


def test_channels_of_a_conference(twilio: TwilioStandIn, http: httpx.Client) -> None:
    twilio.media_separate_origin = False
    made = twilio.add(channels=2, conference_sid="CF" + "3" * 32)

    def channels(query: str) -> int:
        wav = http.get(media_url(twilio, made) + query, auth=AUTH).content
        return int(struct.unpack_from("<H", wav, 22)[0])

    assert [channels(q) for q in ("", "?RequestedChannels=2", "?RequestedChannels=1")] == [1, 2, 1]
    mono = http.get(media_url(twilio, twilio.add()) + "?RequestedChannels=2", auth=AUTH)
    assert (mono.status_code, "<Code>16113</Code>" in mono.text) == (400, True)


def test_media_that_is_not_there(twilio: TwilioStandIn, http: httpx.Client) -> None:
    late = twilio.add(media_404_times=2)
    statuses = [http.get(media_url(twilio, late), auth=AUTH).status_code for _ in range(3)]
    assert statuses == [404, 404, 302]
    absent = http.get(media_url(twilio, twilio.add(status="processing"), ".mp3"), auth=AUTH)
    assert (absent.status_code, absent.headers["Content-Type"]) == (404, "application/xml")
    assert b"<Code>20404</Code>" in absent.content


def test_encrypted(twilio: TwilioStandIn, sdk: Any, http: httpx.Client) -> None:  # noqa: ANN401
    twilio.media_separate_origin = False
    made = twilio.add(encryption_details=ENCRYPTION_DETAILS)
    refused = http.get(media_url(twilio, made, ".mp3"), auth=AUTH)
    assert (refused.status_code, "<Code>16109</Code>" in refused.text) == (400, True)
    content = http.get(media_url(twilio, made), auth=AUTH).content
    assert len(content) > 60_000
    assert not content.startswith(b"RIFF")
    assert sdk.recordings(made.sid).fetch().encryption_details == ENCRYPTION_DETAILS
