"""The server's worker when something under it breaks: nobody's callback is held up or forgotten."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa
import structlog
from twilio.request_validator import RequestValidator
from websockets.sync.client import connect

from reccli.adapters.ledger import connect as connect_module
from reccli.adapters.s3 import bucket
from reccli.config import load
from reccli.flow import checks
from reccli.flow import waiting as rules
from reccli.intake import arrivals, webhook, worker
from reccli.intake.webhook import create_app
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, TRANSFER
from tests.e2e.lab import Gate
from tests.e2e.serving import PUBLIC_URL, ROUTE, parameters, signed, wait_until
from tests.intake.app import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab


@contextmanager
def served(lab: Lab) -> Iterator[str]:
    settings = load(None, env=lab.environment(RECCLI_WEBHOOK__PUBLIC_URL=PUBLIC_URL))
    with serving(create_app(settings)) as url:
        yield url


def call(url: str, recording: FakeRecording) -> None:
    form = parameters(recording)
    headers = {**signed(form), "Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(url + ROUTE, content=urlencode(form), headers=headers, trust_env=False)
    assert answer.status_code == 204


def stream(url: str, call_sid: str) -> None:
    wss = PUBLIC_URL.replace("https", "wss") + "/stream"
    headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(wss, {})}
    sids = {"accountSid": ACCOUNT_SID, "callSid": call_sid, "streamSid": "MZ" + "0e" * 16}
    with connect(url.replace("http", "ws") + "/stream", additional_headers=headers) as socket:
        socket.send(json.dumps({"event": "start", "start": sids}))
        socket.send(json.dumps({"event": "stop", "stop": sids}))


def callbacks(lab: Lab) -> list[tuple[Any, ...]]:
    """Read SID, attempts, fence, and whether it is finished, of every callback."""
    engine = sa.create_engine(f"sqlite:///{lab.home}/state/ledger.sqlite3", poolclass=sa.NullPool)
    with closing(engine.connect()) as db:
        query = "SELECT sid, attempts, fence, finished_us IS NOT NULL FROM callbacks"
        return [tuple(row) for row in db.execute(sa.text(query))]


def settled(lab: Lab) -> bool:
    """Tell whether there are callbacks and all are finished, by one look."""
    rows = callbacks(lab)
    return bool(rows) and all(row[-1] for row in rows)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REST", 0.3)
    monkeypatch.setattr(arrivals, "POLL", 0.2)


def test_a_runner_that_dies_holds_no_callback(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that gives no more threads: once, in the middle of everything."""
    made = [lab.sandbox.call() for _ in range(4)]
    submit, died = ThreadPoolExecutor.submit, threading.Event()

    def fail_once(
        pool: ThreadPoolExecutor, work: Callable[..., object], *arguments: object
    ) -> Future[Any]:
        if pool._thread_name_prefix == "reccli-worker" and not died.is_set():  # noqa: SLF001
            died.set()
            raise RuntimeError("can't start new thread")
        return submit(pool, work, *arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", fail_once)
    with structlog.testing.capture_logs() as logs, served(lab) as url:
        for _, (recording,) in made:
            call(url, recording)
            time.sleep(0.1)
        wait_until(lambda: all(lab.holds(row, one) == "s3" for row, (one,) in made))
        wait_until(lambda: settled(lab))
        assert died.is_set()
        assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"alive": True}
    assert [log["event"] for log in logs].count("worker_failed") == 1


def test_a_slow_look_at_a_call_holds_up_no_other_and_is_not_begun_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "CLAIMED_FOR", timedelta(seconds=1))
    (_, (slow,)), (row, (recording,)) = lab.sandbox.call(), lab.sandbox.call()
    lab.sandbox.twilio.faults.add(
        Fault(
            FaultKind.STATUS,
            status=429,
            path=r"Recordings\.json",
            times=1,
            headers={"Retry-After": "20"},
            body=b'{"code": 20429}',
        )
    )
    with served(lab) as url:
        stream(url, slow.call_sid)
        wait_until(lambda: bool(lab.sandbox.twilio.requests))
        call(url, recording)
        wait_until(lambda: lab.holds(row, recording) == "s3", 10)
        before = len(lab.sandbox.twilio.requests)
        wait_until(lambda: callbacks(lab)[0][2] >= 3)  # its claim ran out twice
        assert len(lab.sandbox.twilio.requests) == before


def test_a_bucket_that_is_not_there_is_told_and_got_over(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((checks, "REMEMBERED"), (bucket, "ABSENT_FOR")):
        monkeypatch.setattr(module, name, timedelta(seconds=0.2))
    row, (recording,) = lab.sandbox.call()
    late = f"{lab.bucket}-late"
    environment = lab.environment(RECCLI_WEBHOOK__PUBLIC_URL=PUBLIC_URL, AWS_S3_BUCKET=late)
    settings = load(None, env=environment)
    with structlog.testing.capture_logs() as logs, serving(create_app(settings)) as url:
        call(url, recording)
        wait_until(lambda: any(log["event"] == "NoSuchBucket" for log in logs))
        assert lab.holds(row, recording) == "empty"
        lab.s3.create_bucket(Bucket=late)
        wait_until(lambda: lab.holds(row, recording) == "s3")
        wait_until(lambda: settled(lab))
    told = next(log for log in logs if log["event"] == "NoSuchBucket")
    assert (told["log_level"], late in told["error"], bool(told["hint"])) == ("error", True, True)


def test_a_monthly_cap_is_told_and_got_over(lab: Lab) -> None:
    made = [lab.sandbox.call() for _ in range(3)]
    lab.sandbox.airtable.monthly_cap = 0
    with structlog.testing.capture_logs() as logs, served(lab) as url:
        for _, (recording,) in made[:2]:
            call(url, recording)
        wait_until(lambda: any(log["event"] == "service_failing" for log in logs))
        services = httpx.get(f"{url}/readyz", trust_env=False).json()["services"]
        assert services["airtable"]["failing_since"]
        time.sleep(1.5)
        assert max(attempts for _, attempts, _, _ in callbacks(lab)) <= 3
        lab.sandbox.airtable.monthly_cap = None
        row, (recording,) = made[2]
        call(url, recording)
        wait_until(lambda: lab.holds(row, recording) == "s3", 10)
        wait_until(lambda: settled(lab))
        wait_until(lambda: any(log["event"] == "service_answers_again" for log in logs))
    (told,) = [log for log in logs if log["event"] == "service_failing"]
    assert told["service"] == "airtable"
    assert "month" in told["error"]


def test_a_call_is_settled_when_all_its_recordings_are(lab: Lab) -> None:
    row, (first, second) = lab.sandbox.call(recordings=2)
    second.status = "in-progress"
    with served(lab) as url:
        stream(url, first.call_sid)
        wait_until(lambda: lab.holds(row, first) == "s3")
        time.sleep(1)
        ((_, attempts, _, done),) = callbacks(lab)
        assert not done
        assert attempts <= 3  # not in a hot loop either
        second.status = "completed"
        wait_until(lambda: lab.holds(row, second, TRANSFER) == "s3")
        wait_until(lambda: settled(lab))


def test_a_call_waits_for_the_slowest_of_its_recordings(lab: Lab) -> None:
    row, (first, second) = lab.sandbox.call(recordings=2)
    assert lab.run("process", first.sid).code == 0
    gate = lab.sandbox.twilio.media.faults = Gate()
    with served(lab) as url:
        try:
            stream(url, first.call_sid)
            assert gate.arrived.wait(20)
            time.sleep(0.7)  # the first one has come to its end: it is linked, and in retention
            assert not settled(lab)
        finally:
            gate.open.set()
        wait_until(lambda: lab.holds(row, second, TRANSFER) == "s3")
        wait_until(lambda: settled(lab))


def test_a_call_is_asked_for_until_it_has_a_recording(lab: Lab) -> None:
    """Whether Twilio lists none yet, or refuses to tell at first."""
    call_sid = "CA" + "0f" * 16
    row = lab.row(call_sid)
    refusal = Fault(FaultKind.STATUS, status=400, path=r"Recordings\.json", times=1, body=b"{}")
    lab.sandbox.twilio.faults.add(refusal)
    with served(lab) as url:
        stream(url, call_sid)
        wait_until(lambda: len(lab.sandbox.twilio.requests) >= 2)
        assert not settled(lab)
        recording = lab.sandbox.twilio.add(call_sid, duration=2)
        wait_until(lambda: lab.holds(row, recording) == "s3")
        wait_until(lambda: settled(lab))


def test_a_call_without_recordings_is_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "NO_RECORDING", timedelta(seconds=1))
    with structlog.testing.capture_logs() as logs, served(lab) as url:
        stream(url, "CA" + "0f" * 16)
        wait_until(lambda: settled(lab))
    (told,) = [log for log in logs if log["event"] == "callback_given_up"]
    assert (told["call_sid"], told["recording_sid"]) == ("CA" + "0f" * 16, None)


def test_a_worker_that_gets_nothing_done_is_not_ready(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = lab.sandbox.twilio.media.faults = Gate()
    row, (recording,) = lab.sandbox.call()
    with served(lab) as url:

        def ready() -> tuple[int, bool]:
            answer = httpx.get(f"{url}/readyz", trust_env=False)
            return answer.status_code, answer.json()["worker"]["stuck"]

        try:
            call(url, recording)
            assert gate.arrived.wait(20)
            assert ready() == (200, False)
            monkeypatch.setattr(worker, "STUCK_AFTER", 0.0)
            assert ready() == (503, True)
            assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        finally:
            gate.open.set()
        wait_until(lambda: lab.holds(row, recording) == "s3")
        wait_until(lambda: ready() == (200, False))


def test_a_new_callback_is_not_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "POLL", 30.0)
    row, (recording,) = lab.sandbox.call()
    with served(lab) as url:
        time.sleep(1)  # it has found nothing, and waits
        call(url, recording)
        wait_until(lambda: lab.holds(row, recording) == "s3", 12)


def test_what_is_left_at_the_end_is_free_for_the_next_one(lab: Lab) -> None:
    made = [lab.sandbox.call() for _ in range(6)]
    lab.sandbox.twilio.media.latency = 1.0
    settings = {"RECCLI_ENGINE__CONCURRENCY": "1", "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL}
    with serving(create_app(load(None, env=lab.environment(**settings)))) as url:
        for _, (recording,) in made:
            call(url, recording)
        wait_until(lambda: bool(lab.keys()))
    engine = sa.create_engine(f"sqlite:///{lab.home}/state/ledger.sqlite3", poolclass=sa.NullPool)
    with closing(engine.connect()) as db:
        query = "SELECT due_us, attempts FROM callbacks WHERE finished_us IS NULL"
        left = [tuple(row) for row in db.execute(sa.text(query))]
    assert left
    assert max(due for due, _ in left) <= time.time() * 1e6
    assert max(attempts for _, attempts in left) <= 1


def test_a_ledger_that_hangs_is_a_503_in_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DURABLE_WITHIN", 0.5)
    monkeypatch.setattr(connect_module, "BUSY_SECONDS", 3.0)
    _, (recording,) = lab.sandbox.call()
    form = parameters(recording)
    headers = {**signed(form), "Content-Type": "application/x-www-form-urlencoded"}
    with served(lab) as url, closing(sqlite3.connect(lab.home / "state/ledger.sqlite3")) as other:
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = httpx.post(url + ROUTE, content=urlencode(form), headers=headers, trust_env=False)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert time.monotonic() - began < 2.5

        def ready() -> int:
            return httpx.get(f"{url}/readyz", trust_env=False, timeout=20).status_code

        wait_until(lambda: ready() == 503)
        other.rollback()
        wait_until(lambda: ready() == 200)
