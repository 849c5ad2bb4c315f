"""Real servers, really killed: what was acknowledged is stored, whatever happens to the process."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest

from reccli.sandbox.running import ACCOUNT_SID
from tests import postgres
from tests.e2e.serving import ROUTE, Server, signed, wait_until
from tests.intake.app import environment_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.lab import Lab

ROUNDS = 25
ANEW = 5
"""So many of them are interpreters of their own, the others forked: a kill is a kill."""
CLIENTS = 4


class Load:
    """Clients that send callbacks as fast as they are answered, and remember what was."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.refused: list[int] = []
        self._over = threading.Event()

    def run(self, url: str, prefix: int) -> list[threading.Thread]:
        self._over.clear()
        threads = [
            threading.Thread(target=self._send, args=(url, prefix * CLIENTS + number))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def wait_for(self, count: int) -> None:
        """Wait until so many more have been acknowledged."""
        enough = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= enough)

    def end(self, threads: list[threading.Thread]) -> None:
        self._over.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()

    def _send(self, url: str, prefix: int) -> None:
        with suppress(httpx.HTTPError), httpx.Client(timeout=15, trust_env=False) as http:
            for number in range(1_000_000):
                if self._over.is_set():
                    return
                sid = f"RE{prefix:016x}{number:016x}"
                form = {
                    "AccountSid": ACCOUNT_SID,
                    "RecordingSid": sid,
                    "RecordingStatus": "completed",
                }
                answer = http.post(
                    url + ROUTE,
                    content=urlencode(form),
                    headers={
                        **signed(form),
                        "Content-Type": "application/x-www-form-urlencoded",
                    },
                )
                if answer.status_code == 204:
                    self.acknowledged.add(sid)
                else:
                    self.refused.append(answer.status_code)
                    time.sleep(0.01)


def stored(ledger: Path) -> set[str]:
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {sid for (sid,) in db.execute("SELECT sid FROM callbacks")}


@pytest.mark.timeout(300)
def test_what_was_acknowledged_survives_being_killed_under_load(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    draw, load = random.Random(7), Load()
    environment = environment_for(tmp_path)
    for number in range(ROUNDS):
        server = Server(environment, tmp_path, () if number < ANEW else None)
        with server:
            threads = load.run(server.url, number)
            load.wait_for(draw.randint(1, 40))
            server.kill()
            load.end(threads)
    lost = load.acknowledged - stored(tmp_path / "ledger.sqlite3")
    record_property("acknowledged", len(load.acknowledged))
    assert len(load.acknowledged) > ROUNDS
    assert not lost


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run([found, "-qq", "-o", "/dev/null", "true"], check=False, timeout=20)
    if tried.returncode:
        pytest.skip("strace may not trace here")
    return found


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_is_a_503_until_it_works_again(
    tmp_path: Path, strace: str, error: str
) -> None:
    ledger, load = tmp_path / "ledger.sqlite3", Load()
    environment = environment_for(tmp_path)
    fault = f"inject=pwrite64,fdatasync,fsync,ftruncate:error={error}:when=120+"
    wrapper = (
        *(strace, "-f", "-qq", "-o", "/dev/null", "-e", fault),
        *("-P", str(ledger), "-P", f"{ledger}-journal"),
    )
    with Server(environment, tmp_path, wrapper) as server:
        threads = load.run(server.url, 1)
        wait_until(lambda: len(load.refused) >= 20)
        ready = httpx.get(f"{server.url}/readyz", timeout=20, trust_env=False)
        assert (ready.status_code, ready.json()["ledger"]["writable"]) == (503, False)
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        load.end(threads)
        server.kill()
    assert load.acknowledged
    assert set(load.refused) == {503}
    assert load.acknowledged <= stored(ledger)
    before = len(load.acknowledged)
    with Server(environment, tmp_path) as server:
        threads = load.run(server.url, 2)
        wait_until(lambda: len(load.acknowledged) > before + 20)
        load.end(threads)
    assert load.acknowledged <= stored(ledger)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.server() as running:
        yield running.url


def test_servers_share_a_ledger_and_one_dies(lab: Lab, database: str) -> None:
    made = [lab.sandbox.call() for _ in range(40)]
    environment = lab.environment(RECCLI_LEDGER__URL=database)
    lab.sandbox.twilio.media.latency = 0.2
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(environment, lab.home)) for _ in range(2)]
        for number, (_, (recording,)) in enumerate(made):
            assert servers[number % 2].callback(recording).status_code == 204
        wait_until(lambda: len(lab.keys()) >= 5)
        servers[0].kill()
        wait_until(lambda: all(lab.holds(row, one) == "s3" for row, (one,) in made), 60)
        wait_until(
            lambda: (
                lab.json("report", RECCLI_LEDGER__URL=database).doc["report"]["callbacks_pending"]
                == 0
            )
        )
    assert all(lab.archived(recording) for _, (recording,) in made)
    puts = [write for write in lab.writes() if write.startswith("s3 PUT")]
    assert len(puts) <= len(made) + 32  # what the dead one had in hand was done again, no more
