"""`reccli serve` among others: readers that hang, signals, connections that stay, a broken file."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from tests.e2e.serving import PUBLIC_URL, ROUTE, Server, wait_until
from tests.intake.app import environment_for, running

if TYPE_CHECKING:
    from pathlib import Path

FORM = {"X-Twilio-Signature": "x", "Content-Type": "application/x-www-form-urlencoded"}


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """A pipe takes 64 KiB, and each refused request is a line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(
        [sys.executable, "-m", "reccli", "serve", "--port", url.rpartition(":")[2]],
        env={"RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL, **environment_for(tmp_path)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
                wait_until(lambda: answers(http))
                for _ in range(600):
                    assert http.post(ROUTE, content="a=b", headers=FORM).status_code == 403
                assert http.get("/healthz").status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0  # nobody has read a line by now
        finally:
            process.kill()
        assert process.stderr
        assert process.stderr.read().count(b"callback_refused") > 100


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_hangup_ends_it_in_order_and_connections_stay_as_long_as_configured(
    tmp_path: Path,
) -> None:
    environment = {**environment_for(tmp_path), "RECCLI_WEBHOOK__KEEP_ALIVE": "1"}
    with Server(environment, tmp_path, ("env", "--default-signal=HUP")) as server:
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname or "", where.port or 0), 10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            with client.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200 OK")  # to the end, after a second
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(30) == 0
        assert server.events[-1]["event"] == "stopped"


def test_who_was_asked_to_survive_a_hangup_does(tmp_path: Path) -> None:
    with Server(environment_for(tmp_path), tmp_path, ("nohup",)) as server:
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert server.http.get("/healthz").status_code == 200


def test_a_ledger_that_can_keep_no_callback_is_not_ready(tmp_path: Path) -> None:
    """Its head, its indexes and its version are well; the page where callbacks go is not."""
    with running(tmp_path) as server:
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200
    with closing(sqlite3.connect(server.ledger)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'callbacks'")
        ((size,),) = db.execute("PRAGMA page_size")
    with server.ledger.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with running(tmp_path) as server:
        answer = httpx.get(f"{server.url}/readyz", trust_env=False)
        assert (answer.status_code, answer.json()["ledger"]["code"]) == (503, "SQLITE_CORRUPT")
