"""The app as a whole: what it says of itself, and of requests that are none of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from structlog.testing import capture_logs
from websockets.sync.client import connect

from reccli.adapters.twilio import Signatures
from reccli.intake.webhook import create_app
from reccli.intake.worker import Worker
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from tests.intake.app import PUBLIC_URL, environment_for, running, serving, settings_for

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = "/api/twilio/recording-status"
FORM = {
    "AccountSid": ACCOUNT_SID,
    "RecordingSid": "RE" + "0b" * 16,
    "RecordingStatus": "completed",
}
SIGNED = {
    "X-Twilio-Signature": Signatures({"main": AUTH_TOKEN}).sign(
        PUBLIC_URL + ROUTE, list(FORM.items())
    ),
    "Content-Type": "application/x-www-form-urlencoded",
}


def post(url: str, path: str, **headers: str) -> httpx.Response:
    sent = {**SIGNED, **headers}
    return httpx.post(url + path, content=urlencode(FORM), headers=sent, trust_env=False)


def test_a_path_that_was_changed_is_told_and_leads_nowhere(tmp_path: Path) -> None:
    with capture_logs() as logs, running(tmp_path) as server:
        for path in (f"{ROUTE}/", "/recording-status", "/"):
            answer = post(server.url, path, Host="evil.example.com")
            assert (answer.status_code, answer.content) == (404, b"")
            assert "location" not in answer.headers
        assert httpx.get(f"{server.url}/favicon.ico", trust_env=False).status_code == 404
    told = [log for log in logs if log["event"] == "no_such_route"]
    assert [log["path"] for log in told] == [f"{ROUTE}/", "/recording-status", "/"]
    assert all(ROUTE in log["hint"] for log in told)


def test_a_mount_without_the_lifespan_takes_callbacks_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    changes = {"RECCLI_WEBHOOK__PUBLIC_URL": f"{PUBLIC_URL}/x"}
    signature = Signatures({"main": AUTH_TOKEN}).sign(f"{PUBLIC_URL}/x{ROUTE}", list(FORM.items()))
    app = Starlette(routes=[Mount("/x", app=create_app(settings_for(tmp_path, **changes)))])
    with capture_logs() as logs, serving(app) as url:
        for _ in range(2):
            answer = post(f"{url}/x", ROUTE, **{"X-Twilio-Signature": signature})
            assert answer.status_code == 204
        assert httpx.get(f"{url}/x/healthz", trust_env=False).status_code == 200
        ready = httpx.get(f"{url}/x/readyz", trust_env=False)
        assert (ready.status_code, ready.json()["worker"]["alive"]) == (200, False)
    assert [log["event"] for log in logs].count("worker_not_started") == 1


@pytest.mark.parametrize("end", ["", ROUTE])
def test_below_a_path_a_proxy_may_pass_it_on_or_take_it_away(tmp_path: Path, end: str) -> None:
    base = f"{PUBLIC_URL}/hooks/a%20b"
    signature = Signatures({"main": AUTH_TOKEN}).sign(base + ROUTE, list(FORM.items()))
    with running(tmp_path, RECCLI_WEBHOOK__PUBLIC_URL=base + end) as server:
        for path in (ROUTE, f"/hooks/a%20b{ROUTE}"):
            answer = post(server.url, path, **{"X-Twilio-Signature": signature})
            assert answer.status_code == 204
            assert post(server.url, path).status_code == 403  # signed for another path
        assert post(server.url, f"/hooks{ROUTE}").status_code == 404
        for path in ("/stream", "/hooks/a%20b/stream"):
            url = f"{server.url.replace('http', 'ws')}{path}"
            stream = Signatures({"main": AUTH_TOKEN}).sign(
                f"{base.replace('https', 'wss')}/stream", []
            )
            with connect(url, additional_headers={"X-Twilio-Signature": stream}, proxy=None):
                pass


def test_without_settings_it_reads_them_and_says_what_is_odd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment_for(tmp_path, RECCLI_ENGINE__WORKERS="3").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("reccli.watch.logs.configure", lambda **_how: None)
    monkeypatch.setattr("reccli.watch.logs.unblock", lambda: None)
    with capture_logs() as logs:
        create_app()
    assert [log["problem"] for log in logs if log["event"] == "config_warning"] == [
        "engine.workers: has no effect in this version (env RECCLI_ENGINE__WORKERS)"
    ]


def test_a_worker_that_has_died_asks_for_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "_drive", lambda _worker: None)
    with running(tmp_path) as server:
        deadline = time.monotonic() + 10
        while httpx.get(f"{server.url}/healthz", trust_env=False).status_code != 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert post(server.url, ROUTE).status_code == 204  # what comes in is kept all the same
