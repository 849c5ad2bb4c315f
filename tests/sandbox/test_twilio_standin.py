"""The local Twilio, through the official SDK and httpx: shapes, limits and faults."""

import base64
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from reccli.sandbox import audio
from reccli.sandbox.standin import Fault, FaultKind, fingerprint, stopped
from reccli.sandbox.twilio import ENCRYPTION_DETAILS, FakeRecording, TwilioStandIn

ACCOUNT = "AC" + "1" * 32
KEY = "SK" + "2" * 32
AUTH = (ACCOUNT, "token")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASIC = fingerprint("Basic " + base64.b64encode(f"{ACCOUNT}:token".encode()).decode())

SCHEMA_KEYS = {
    *("account_sid", "api_version", "call_sid", "conference_sid", "date_created", "date_updated"),
    *("start_time", "duration", "sid", "price", "price_unit", "status", "channels", "source"),
    *("error_code", "uri", "encryption_details", "subresource_uris", "media_url"),
}
"""The properties of `api.v2010.account.recording` in twilio-oai."""


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twilio(clock: Clock) -> Iterator[TwilioStandIn]:
    with TwilioStandIn(ACCOUNT, "token", api_keys={KEY: "secret"}, clock=clock) as service:
        yield service


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5) as client:
        yield client


@pytest.fixture
def connect(twilio: TwilioStandIn) -> Iterator[Callable[..., Any]]:
    clients: list[Any] = []

    def make(user: str = ACCOUNT, word: str = "token") -> Any:  # noqa: ANN401 - twilio has no types
        client = Client(user, word, ACCOUNT)
        client.api.base_url = twilio.url
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.http_client.session.close()


@pytest.fixture
def sdk(connect: Callable[..., Any]) -> Any:  # noqa: ANN401
    return connect()


def media_url(twilio: TwilioStandIn, recording: FakeRecording, extension: str = ".wav") -> str:
    return twilio.recording_url(recording) + extension


def test_sdk_reads_a_recording(twilio: TwilioStandIn, sdk: Any) -> None:  # noqa: ANN401
    made = twilio.add(duration=7, channels=2)
    got = sdk.recordings(made.sid).fetch()
    assert (got.sid, got.call_sid, got.status) == (made.sid, made.call_sid, "completed")
    assert (got.duration, got.channels, got.price) == ("7", 2, "-0.00250")
    assert got.date_created == NOON
    assert got.media_url == f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{made.sid}"
    assert twilio.requests[-1].authorization == BASIC


def test_fields_are_the_vendors(twilio: TwilioStandIn, http: httpx.Client) -> None:
    made = twilio.add(status="processing")
    answer = http.get(media_url(twilio, made, ".json"), auth=AUTH)
    document = answer.json()
    assert document.keys() == SCHEMA_KEYS
    assert document["date_created"] == "Fri, 20 Nov 2026 12:00:00 +0000"
    assert (document["duration"], document["price"]) == (None, None)
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")
    assert answer.headers["Twilio-Concurrent-Requests"] == "1"


def test_list_is_newest_first_and_pages_survive_deletions(twilio: TwilioStandIn, sdk: Any) -> None:  # noqa: ANN401
    made = [twilio.add(created=NOON - timedelta(minutes=i)) for i in range(25)]
    seen = []
    for recording in sdk.recordings.stream(page_size=10):
        seen.append(recording.sid)
        twilio.delete(recording.sid)
    assert seen == [r.sid for r in made]
    pages = [r.query["PageToken"] for r in twilio.requests[1:]]
    assert pages == [[f"PA{made[9].sid}"], [f"PA{made[19].sid}"]]
    assert sdk.recordings.list() == []
    assert [r.status for r in sdk.recordings.list(include_soft_deleted=True)] == ["deleted"] * 25


def test_list_filters(twilio: TwilioStandIn, sdk: Any) -> None:  # noqa: ANN401
    old = twilio.add(created=NOON - timedelta(days=2))
    conference = twilio.add(old.call_sid, conference_sid="CF" + "3" * 32, created=NOON)

    def sids(**filters: object) -> list[str]:
        return [r.sid for r in sdk.recordings.list(**filters)]

    assert sids(call_sid=old.call_sid) == [conference.sid, old.sid]
    assert sids(call_sid="CA" + "9" * 32) == []
    assert sids(conference_sid=conference.conference_sid) == [conference.sid]
    assert sids(date_created_after=NOON - timedelta(hours=1)) == [conference.sid]
    assert sids(date_created_before=NOON - timedelta(days=1)) == [old.sid]
    assert sids(date_created=old.created) == [old.sid]
    assert [r.sid for r in sdk.calls(old.call_sid).recordings.list()] == [conference.sid, old.sid]
    twilio.whole_days = True
    assert sids(date_created_after=NOON + timedelta(hours=1)) == [conference.sid]


@pytest.mark.parametrize(
    "query",
    ["Status=completed", "PageSize=1001", "PageSize=0", "DateCreated>=soon", "CallSid=x"],
)
def test_odd_parameters_are_refused(twilio: TwilioStandIn, http: httpx.Client, query: str) -> None:
    url = f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Recordings.json?"
    answer = http.get(url + query, auth=AUTH)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert http.get(f"{url}PageToken=PAx", auth=AUTH).json()["code"] == 21481


def test_credentials(twilio: TwilioStandIn, connect: Callable[..., Any]) -> None:
    made = twilio.add()
    assert connect(KEY, "secret").recordings(made.sid).fetch().sid == made.sid
    with pytest.raises(TwilioRestException) as caught:
        connect(word="wrong").recordings(made.sid).fetch()
    assert (caught.value.status, caught.value.code) == (401, 20003)
    with pytest.raises(TwilioRestException):
        connect(word="wrong").recordings(made.sid).delete()
    assert made.status == "completed"


def test_delete(twilio: TwilioStandIn, clock: Clock, sdk: Any, http: httpx.Client) -> None:  # noqa: ANN401
    made, busy = twilio.add(), twilio.add(status="processing")
    with pytest.raises(TwilioRestException) as caught:
        sdk.recordings(busy.sid).delete()
    assert caught.value.status == 400
    answer = http.delete(media_url(twilio, made, ".json"), auth=AUTH)
    assert (answer.status_code, answer.content) == (204, b"")
    for again in (sdk.recordings(made.sid).delete, sdk.recordings(made.sid).fetch):
        with pytest.raises(TwilioRestException) as caught:
            again()
        assert (caught.value.status, caught.value.code) == (404, 20404)
    assert sdk.recordings(made.sid).fetch(include_soft_deleted=True).status == "deleted"
    assert [(d.sid, d.at) for d in twilio.deletions] == [(made.sid, NOON)]
    assert http.get(media_url(twilio, made), auth=AUTH).status_code == 404
    clock.now += timedelta(days=41)
    with pytest.raises(TwilioRestException):
        sdk.recordings(made.sid).fetch(include_soft_deleted=True)


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


def test_concurrency_limit(twilio: TwilioStandIn, sdk: Any, http: httpx.Client) -> None:  # noqa: ANN401
    twilio.max_concurrent, twilio.latency = 1, 0.3
    slow = threading.Thread(target=sdk.recordings.list)
    slow.start()
    while not twilio.active:
        time.sleep(0.01)
    answer = http.get(media_url(twilio, twilio.add(), ".json"), auth=AUTH)
    slow.join()
    assert (answer.status_code, answer.json()["code"]) == (429, 20429)
    assert sorted(r.status for r in twilio.requests) == [200, 429]


# --- faults (the same for every stand-in)


def test_lost_response_has_its_effect(twilio: TwilioStandIn, http: httpx.Client) -> None:
    made = twilio.add()
    twilio.faults.add(Fault(FaultKind.LOST_RESPONSE, method="DELETE"))
    with pytest.raises(httpx.RemoteProtocolError):
        http.delete(media_url(twilio, made, ".json"), auth=AUTH)
    assert made.status == "deleted"
    assert len(twilio.faults) == 0


def test_refused_has_none(twilio: TwilioStandIn, http: httpx.Client) -> None:
    made = twilio.add()
    twilio.faults.add(Fault(FaultKind.REFUSE, path=r"Recordings/RE", after=1, times=2))
    url = media_url(twilio, made, ".json")
    assert http.get(url, auth=AUTH).status_code == 200
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            http.delete(url, auth=AUTH)
    assert [r.status for r in twilio.requests] == [200, 0, 0]
    assert made.status == "completed"
    assert http.delete(url, auth=AUTH).status_code == 204


def test_spoiled_bodies(twilio: TwilioStandIn, http: httpx.Client) -> None:
    twilio.media_separate_origin = False
    made = twilio.add()
    whole = audio.wav(made.sid, made.duration)
    url = media_url(twilio, made)
    twilio.faults.add(Fault(FaultKind.TRUNCATE))
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        http.get(url, auth=AUTH)
    twilio.faults.add(Fault(FaultKind.SHORT))
    short = http.get(url, auth=AUTH)
    assert (short.status_code, short.content) == (200, whole[: len(whole) // 2])
    assert "Content-Length" not in short.headers
    for kind, start in [("empty", b""), ("html", b"<!DOCTYPE html"), ("xml", b"<?xml")]:
        twilio.faults.add(Fault(FaultKind(kind)))
        answer = http.get(url, auth=AUTH)
        assert answer.status_code == 200
        assert answer.content[:14].startswith(start)
        assert bool(start) == bool(answer.content)
    assert http.get(url, auth=AUTH).content == whole


def test_sdk_believes_a_login_page(twilio: TwilioStandIn, sdk: Any) -> None:  # noqa: ANN401
    made = twilio.add()
    twilio.faults.add(Fault(FaultKind.HTML, method="DELETE"))
    assert sdk.recordings(made.sid).delete()
    assert made.status == "completed"


def test_status_and_stall(twilio: TwilioStandIn, http: httpx.Client, sdk: Any) -> None:  # noqa: ANN401
    made = twilio.add()
    twilio.faults.add(Fault(FaultKind.STATUS, status=503, headers={"Retry-After": "1"}, times=None))
    for _ in range(2):
        with pytest.raises(TwilioException):
            sdk.recordings.list()
    twilio.faults.clear()
    twilio.faults.add(Fault(FaultKind.STALL, delay=0.2))
    with pytest.raises(httpx.ReadTimeout):
        http.delete(media_url(twilio, made, ".json"), auth=AUTH, timeout=0.05)
    assert made.status == "completed"
    while twilio.active:
        time.sleep(0.01)
    assert made.status == "deleted"  # the late effect of a request that its client gave up


def test_down_stopped_and_back_on_the_same_port(twilio: TwilioStandIn, http: httpx.Client) -> None:
    url = media_url(twilio, twilio.add(), ".json")
    assert http.get(url, auth=AUTH).status_code == 200
    twilio.down = True
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(url, auth=AUTH)
    twilio.down = False
    assert http.get(url, auth=AUTH).status_code == 200
    with stopped(twilio), pytest.raises(httpx.ConnectError):
        http.get(url, auth=AUTH)
    assert http.get(url, auth=AUTH).status_code == 200


# --- audio


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


def test_requests_are_kept_without_credentials(twilio: TwilioStandIn, http: httpx.Client) -> None:
    http.get(media_url(twilio, twilio.add(), ".json"), auth=AUTH)
    shown = json.dumps([repr(r) for r in twilio.requests])
    assert base64.b64encode(f"{ACCOUNT}:token".encode()).decode() not in shown
    twilio.clear_requests()
    assert twilio.requests == []
