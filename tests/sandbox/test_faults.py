"""Faults over real connections, the same for every stand-in."""

import time
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioException

from reccli.sandbox import audio
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.standin import Request, stopped
from reccli.sandbox.twilio_api import TwilioStandIn
from tests.sandbox.samples import AUTH, media_url


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


@pytest.mark.parametrize(
    ("kind", "share", "served", "length"),
    [
        (FaultKind.HALF, 0.8, 0.8, True),
        (FaultKind.SHORT, 0.8, 0.8, False),
        (FaultKind.CLOSED, 0.8, 0.8, False),
        (FaultKind.CLOSED, 1.0, 1.0, False),
        (FaultKind.CHUNKED, 0.5, 1.0, False),
    ],
)
def test_a_share_of_a_body_that_nothing_in_http_gives_away(
    twilio: TwilioStandIn,
    http: httpx.Client,
    kind: FaultKind,
    share: float,
    served: float,
    length: bool,  # noqa: FBT001
) -> None:
    twilio.media_separate_origin = False
    made = twilio.add()
    whole = audio.wav(made.sid, made.duration)
    twilio.faults.add(Fault(kind, share=share))
    answer = http.get(media_url(twilio, made), auth=AUTH)
    assert answer.status_code == 200
    assert answer.content == whole[: int(len(whole) * served)]
    assert ("Content-Length" in answer.headers) is length
    chunked = kind in {FaultKind.SHORT, FaultKind.CHUNKED}
    assert (answer.headers.get("Transfer-Encoding") == "chunked") is chunked
    assert (answer.headers.get("Connection") == "close") is (kind is FaultKind.CLOSED)
    assert http.get(media_url(twilio, made), auth=AUTH).content == whole


def test_the_share_of_a_body_that_breaks_off(twilio: TwilioStandIn, http: httpx.Client) -> None:
    twilio.media_separate_origin = False
    made = twilio.add()
    size = len(audio.wav(made.sid, made.duration))
    twilio.faults.add(Fault(FaultKind.TRUNCATE, share=0.75))
    with pytest.raises(httpx.RemoteProtocolError, match=f"received {size * 3 // 4} bytes"):
        http.get(media_url(twilio, made), auth=AUTH)


def test_the_world_changes_before_a_request_is_carried_out(
    twilio: TwilioStandIn, http: httpx.Client
) -> None:
    made = twilio.add()
    seen: list[str] = []

    def delete_first(request: Request) -> None:
        seen.append(request.method)
        if request.method == "DELETE":
            twilio.delete(made.sid)

    twilio.on_request = delete_first
    twilio.faults.add(Fault(FaultKind.STATUS, status=503))
    url = media_url(twilio, made, ".json")
    statuses = [http.request(m, url, auth=AUTH).status_code for m in ("GET", "GET", "DELETE")]
    assert statuses == [503, 200, 404]
    assert seen == ["GET", "DELETE"]  # what a fault answered was never carried out


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
