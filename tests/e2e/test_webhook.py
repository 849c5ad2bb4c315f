"""The webhook end to end: a callback is kept before it is answered, and taken to its end after."""

from __future__ import annotations

import json
import signal
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.sync.client import connect

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, TRANSFER
from tests.e2e.serving import PUBLIC_URL, ROUTE, Server, parameters, signed, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Lab


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with Server(lab.environment(), lab.home) as running:
        yield running


def pending(lab: Lab) -> int:
    with sqlite3.connect(lab.home / "state" / "ledger.sqlite3") as db:
        ((count,),) = db.execute("SELECT count(*) FROM callbacks WHERE finished_us IS NULL")
    db.close()
    return int(count)


def test_a_callback_ends_as_an_object_a_link_and_nothing_pending(lab: Lab, server: Server) -> None:
    row, (recording,) = lab.sandbox.call()
    answer = server.callback(recording)
    assert (answer.status_code, answer.content) == (204, b"")
    wait_until(lambda: lab.holds(row, recording) == "s3")
    assert lab.archived(recording)
    wait_until(lambda: pending(lab) == 0)
    assert not lab.deleted()
    services = server.http.get("/readyz").json()["services"]
    assert all(service["last_contact"] for service in services.values())
    assert all(service["failing_since"] is None for service in services.values())
    names = {event["event"] for event in server.events}
    assert names >= {
        "recording_status_callback",
        "recording_transfer_scheduled",
        "recording_download_success",
        "recording_s3_upload_success",
        "recording_saved_to_airtable_s3",
        "twilio_deletion_scheduled",
    }


def test_duplicates_and_the_wrong_order_converge(lab: Lab, server: Server) -> None:
    row, recordings = lab.sandbox.call(recordings=2)
    for status in ("completed", "in-progress", "completed"):
        for recording in (*recordings, *reversed(recordings)):
            assert server.callback(recording, status).status_code == 204
    first, second = recordings
    wait_until(lambda: lab.holds(row, first) == "s3")
    wait_until(lambda: lab.holds(row, second, TRANSFER) == "s3")
    wait_until(lambda: pending(lab) == 0)
    assert all(lab.archived(recording) for recording in recordings)
    assert len([write for write in lab.writes() if write.startswith("s3 PUT")]) == 2
    done = lab.json("purge-twilio", "--retention", "0")
    assert done.summary["deleted"] == 2


def test_s3_down_leaves_the_fallback_and_heals_by_itself(lab: Lab, server: Server) -> None:
    lab.tap.cut = True
    row, (recording,) = lab.sandbox.call()
    assert server.callback(recording).status_code == 204
    server.wait_for_event("recording_saved_to_airtable_twilio", recording_sid=recording.sid)
    assert lab.holds(row, recording) == "twilio"
    server.wait_for_event("recording_s3_fallback_to_twilio", recording_sid=recording.sid)
    server.wait_for_event("twilio_recording_preserved", recording_sid=recording.sid)
    assert pending(lab) == 1


def test_airtable_down_leaves_the_callback_pending(lab: Lab, server: Server) -> None:
    lab.sandbox.airtable.down = True
    row, (recording,) = lab.sandbox.call()
    assert server.callback(recording).status_code == 204
    wait_until(lambda: "failing_since" in server.http.get("/readyz").text)
    assert pending(lab) == 1
    server.stop()
    assert pending(lab) == 1
    lab.sandbox.airtable.down = False
    done = lab.json("process")
    assert (done.code, done.summary["relinked"]) == (0, 1)
    assert lab.holds(row, recording) == "s3"
    assert pending(lab) == 0


def test_a_row_that_comes_later_gets_its_link(lab: Lab, server: Server) -> None:
    recording = lab.sandbox.twilio.add(duration=5)
    assert server.callback(recording).status_code == 204
    server.wait_for_event("call_log_not_found", recording_sid=recording.sid)
    row = lab.sandbox.airtable.add_row(CallSid=recording.call_sid)
    wait_until(lambda: lab.holds(row, recording) == "s3")
    wait_until(lambda: pending(lab) == 0)


@pytest.mark.parametrize("status", ["absent", "failed"])
def test_nothing_recorded_is_told_and_finished(lab: Lab, server: Server, status: str) -> None:
    recording = lab.sandbox.twilio.add(duration=0)
    recording.status = status
    assert server.callback(recording, status).status_code == 204
    told = server.wait_for_event("recording_status_callback", recording_sid=recording.sid)
    assert (told["level"], told["status"]) == ("warning", status)
    wait_until(lambda: pending(lab) == 0)
    report = lab.json("report").doc["report"]
    assert report["callbacks"] == {status: 1}


def test_a_killed_server_goes_on_where_it_was(lab: Lab) -> None:
    row, (recording,) = lab.sandbox.call()
    lab.sandbox.twilio.media.latency = 20.0
    with Server(lab.environment(), lab.home) as first:
        assert first.callback(recording).status_code == 204
        wait_until(lambda: bool(lab.sandbox.twilio.requests))
        first.kill()
    lab.sandbox.twilio.media.latency = 0.0
    with Server(lab.environment(), lab.home):
        wait_until(lambda: lab.holds(row, recording) == "s3", 60)
        wait_until(lambda: pending(lab) == 0)
    assert lab.archived(recording)


def test_sigterm_finishes_the_step_in_hand_and_leaves_the_rest(lab: Lab, server: Server) -> None:
    made = [lab.sandbox.call() for _ in range(30)]
    lab.sandbox.airtable.latency = 0.3
    for _, (recording,) in made:
        assert server.callback(recording).status_code == 204
    told = server.stop()
    assert told.code == 0
    lab.sandbox.airtable.latency = 0.0
    linked = sum(lab.holds(row, one) == "s3" for row, (one,) in made)
    assert pending(lab) >= len(made) - linked
    done = lab.json("process")
    assert done.code == 0
    assert all(lab.holds(row, one) == "s3" for row, (one,) in made)
    assert pending(lab) == 0


def test_a_second_interrupt_ends_it_at_once(lab: Lab, server: Server) -> None:
    lab.sandbox.twilio.media.latency = 30.0
    _, (recording,) = lab.sandbox.call()
    assert server.callback(recording).status_code == 204
    wait_until(lambda: bool(lab.sandbox.twilio.media.requests))
    server.process.send_signal(signal.SIGINT)
    server.wait_for_event("stopping")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(5) == 130
    assert pending(lab) == 1


def test_process_is_complete_with_every_callback_dropped(lab: Lab) -> None:
    made = [lab.sandbox.call(recordings=n % 2 + 1) for n in range(6)]
    done = lab.json("process")
    assert done.code == 0
    assert all(lab.holds(row, all_[0]) == "s3" for row, all_ in made)
    assert all(lab.archived(recording) for _, all_ in made for recording in all_)


def test_a_full_ledger_is_a_503_and_no_lie(lab: Lab, server: Server) -> None:
    """Another process holds the lock: what cannot be kept is not acknowledged."""
    _, (recording,) = lab.sandbox.call()
    blocker = sqlite3.connect(lab.home / "state" / "ledger.sqlite3", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    answer = server.callback(recording)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert recording.sid not in answer.text
    assert server.http.get("/readyz").status_code == 503
    blocker.execute("ROLLBACK")
    blocker.close()
    assert server.callback(recording).status_code == 204


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 403),
        ({"X-Twilio-Signature": ""}, 403),
        ({"X-Twilio-Signature": "nonsense"}, 403),
        ({"X-Twilio-Signature": "\u00e9" * 9}, 403),
    ],
)
def test_unsigned_requests_are_refused(
    lab: Lab, server: Server, headers: dict[str, str], code: int
) -> None:
    _, (recording,) = lab.sandbox.call()
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = server.http.post(
        ROUTE,
        content=urlencode(parameters(recording)),
        headers=[(b"Content-Type", b"application/x-www-form-urlencoded"), *raw],
    )
    assert (answer.status_code, answer.content) == (code, b"")
    assert pending(lab) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"RecordingSid": "RE123"},
        {"RecordingSid": "../../etc/passwd"},
        {"RecordingSid": ""},
        {"AccountSid": "AC" + "0" * 32},
        {"CallSid": "CA' OR 1=1"},
        {"RecordingStatus": "completed\n"},
    ],
)
def test_signed_but_odd_requests_are_refused(
    lab: Lab, server: Server, changes: dict[str, str]
) -> None:
    _, (recording,) = lab.sandbox.call()
    form = {**parameters(recording), **changes}
    answer = server.post(form)
    assert (answer.status_code, answer.content) == (400, b"")
    assert pending(lab) == 0


def test_get_is_taken_too_and_the_query_is_signed(lab: Lab, server: Server) -> None:
    row, (recording,) = lab.sandbox.call()
    query = urlencode(parameters(recording))
    validator = RequestValidator(AUTH_TOKEN)
    signature = validator.compute_signature(f"{PUBLIC_URL}{ROUTE}?{query}", {})
    answer = server.http.get(f"{ROUTE}?{query}", headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 204
    wait_until(lambda: lab.holds(row, recording) == "s3")


def test_a_large_body_is_refused(lab: Lab, server: Server) -> None:
    _, (recording,) = lab.sandbox.call()
    form = {**parameters(recording), "Padding": "x" * 70_000}
    assert server.post(form).status_code == 413
    just = {**parameters(recording), "Padding": "x" * 60_000}
    assert server.post(just).status_code == 204


def test_the_host_header_has_no_say(lab: Lab, server: Server) -> None:
    _, (recording,) = lab.sandbox.call()
    form = parameters(recording)
    headers = {
        **signed(form),
        "Host": "evil.example.com",
        "X-Forwarded-Host": "evil.example.com",
        "X-Forwarded-Proto": "http",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert server.http.post(ROUTE, content=urlencode(form), headers=headers).status_code == 204


def test_twilio_in_trouble_is_waited_for(lab: Lab, server: Server) -> None:
    row, (recording,) = lab.sandbox.call()
    lab.sandbox.twilio.faults.add(Fault(FaultKind.STATUS, status=503, times=3))
    assert server.callback(recording).status_code == 204
    wait_until(lambda: lab.holds(row, recording) == "s3", 60)


def test_a_stream_is_followed_until_its_recordings_are_settled(lab: Lab, server: Server) -> None:
    row, (recording,) = lab.sandbox.call()
    recording.status = "in-progress"
    wss = PUBLIC_URL.replace("https", "wss") + "/stream"
    headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(wss, {})}
    sids = {
        "accountSid": ACCOUNT_SID,
        "callSid": recording.call_sid,
        "streamSid": "MZ" + "0e" * 16,
    }
    address = server.url.replace("http", "ws") + "/stream"
    with connect(address, additional_headers=headers, compression=None) as stream:
        stream.send(json.dumps({"event": "start", "start": sids}))
        stream.send(json.dumps({"event": "stop", "stop": sids}))
    server.wait_for_event("recording_transfer_scheduled", call_sid=recording.call_sid)
    wait_until(lambda: any(recording.call_sid in one.target for one in lab.sandbox.twilio.requests))
    assert pending(lab) == 1
    assert lab.holds(row, recording) == "empty"
    recording.status = "completed"
    wait_until(lambda: lab.holds(row, recording) == "s3")
    wait_until(lambda: pending(lab) == 0)


def test_a_permalink_leads_to_the_very_bytes(lab: Lab) -> None:
    style = {
        "RECCLI_LINKS__STYLE": "permalink",
        "RECCLI_LINKS__BASE_URL": PUBLIC_URL,
        "RECCLI_LINKS__SECRET": "a-secret-of-links-that-is-long-enough",
    }
    row, (recording,) = lab.sandbox.call()
    with Server(lab.environment(**style), lab.home) as server:
        assert server.callback(recording).status_code == 204
        wait_until(lambda: lab.holds(row, recording) == "s3")
        link = lab.link(row)
        assert link.startswith(f"{PUBLIC_URL}/r/")
        local = link.replace(PUBLIC_URL, server.url)
        with httpx.Client(follow_redirects=True, trust_env=False) as http:
            assert http.get(local).content == recording.media("mp3", 1)
            part = http.get(local, headers={"Range": "bytes=0-99"})
            assert (part.status_code, len(part.content)) == (206, 100)
            assert http.head(local).status_code == 200
            assert http.get(f"{local[:-1]}x").status_code == 403


def test_the_callback_url_is_told_and_every_family_is_taken(lab: Lab) -> None:
    url = f"{PUBLIC_URL}{ROUTE}"  # whole, as it stands in the TwiML
    row, recording = lab.call()
    environment = lab.environment(RECCLI_WEBHOOK__PUBLIC_URL=url, RECCLI_WEBHOOK__HOST="::")
    with Server(environment, lab.home) as server:
        assert server.wait_for_event("serving")["callback_url"] == url
        form = parameters(recording)
        headers = {**signed(form), "Content-Type": "application/x-www-form-urlencoded"}
        for host in ("127.0.0.1", "[::1]"):
            to = f"http://{host}:{server.http.base_url.port}{ROUTE}"
            answer = httpx.post(to, content=urlencode(form), headers=headers, trust_env=False)
            assert answer.status_code == 204
        wait_until(lambda: lab.holds(row, recording) == "s3")
