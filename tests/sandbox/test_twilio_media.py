"""The media of the local Twilio: redirects, channels, what is not there."""

import struct
from typing import Any

import httpx

from reccli.sandbox import audio
from reccli.sandbox.twilio_api import ENCRYPTION_DETAILS, TwilioStandIn
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


def channels_of(wav: bytes) -> int:
    return int(struct.unpack_from("<H", wav, 22)[0])


def test_mono_media_of_a_recording_said_to_have_two_channels(
    twilio: TwilioStandIn, http: httpx.Client
) -> None:
    twilio.media_separate_origin = False
    made = twilio.add(channels=2)
    made.served_channels = 1
    assert http.get(media_url(twilio, made, ".json"), auth=AUTH).json()["channels"] == 2
    for query in ("", "?RequestedChannels=2"):
        answer = http.get(media_url(twilio, made) + query, auth=AUTH)
        assert (answer.status_code, channels_of(answer.content)) == (200, 1)
    assert channels_of(made.media("wav", made.channels)) == 2


def test_metadata_that_tells_nothing_of_whole_audio(
    twilio: TwilioStandIn, http: httpx.Client
) -> None:
    twilio.media_separate_origin = False
    made = twilio.add(channels=1, duration=3)
    made.metadata = {"channels": None, "duration": "-1"}
    shown = http.get(media_url(twilio, made, ".json"), auth=AUTH).json()
    assert (shown["channels"], shown["duration"]) == (None, "-1")
    url = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Recordings.json"
    (listed,) = http.get(url, auth=AUTH).json()["recordings"]
    assert (listed["channels"], listed["duration"]) == (None, "-1")
    assert http.get(media_url(twilio, made), auth=AUTH).content == audio.wav(made.sid, 3)
    asked = http.get(media_url(twilio, made) + "?RequestedChannels=2", auth=AUTH)
    assert (asked.status_code, "<Code>16113</Code>" in asked.text) == (400, True)


def test_a_conference_belongs_to_no_call(twilio: TwilioStandIn, http: httpx.Client) -> None:
    of_call, made = twilio.add(), twilio.add_conference(channels=2)
    url = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}"

    def listed(query: str) -> list[tuple[str, str | None]]:
        found = http.get(f"{url}/{query}", auth=AUTH).json()["recordings"]
        return [(recording["sid"], recording["call_sid"]) for recording in found]

    assert set(listed("Recordings.json")) == {(made.sid, None), (of_call.sid, of_call.call_sid)}
    assert listed(f"Recordings.json?ConferenceSid={made.conference_sid}") == [(made.sid, None)]
    assert listed(f"Recordings.json?CallSid={of_call.call_sid}") == [
        (of_call.sid, of_call.call_sid)
    ]
    shown = http.get(media_url(twilio, made, ".json"), auth=AUTH).json()
    assert (shown["call_sid"], shown["conference_sid"]) == (None, made.conference_sid)
    assert shown["source"] == "Conference"


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
