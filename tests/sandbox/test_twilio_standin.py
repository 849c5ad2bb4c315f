"""The local Twilio, through the official SDK and httpx: metadata, lists, deletions and limits."""

import base64
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException

from reccli.sandbox.twilio_api import TwilioStandIn
from tests.sandbox.samples import ACCOUNT, AUTH, BASIC, KEY, NOON, Clock, media_url

SCHEMA_KEYS = {
    *("account_sid", "api_version", "call_sid", "conference_sid", "date_created", "date_updated"),
    *("start_time", "duration", "sid", "price", "price_unit", "status", "channels", "source"),
    *("error_code", "uri", "encryption_details", "subresource_uris", "media_url"),
}
"""The properties of `api.v2010.account.recording` in twilio-oai."""


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


def test_requests_are_kept_without_credentials(twilio: TwilioStandIn, http: httpx.Client) -> None:
    http.get(media_url(twilio, twilio.add(), ".json"), auth=AUTH)
    shown = json.dumps([repr(r) for r in twilio.requests])
    assert base64.b64encode(f"{ACCOUNT}:token".encode()).decode() not in shown
    twilio.clear_requests()
    assert twilio.requests == []
