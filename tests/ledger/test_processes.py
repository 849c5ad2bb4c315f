"""Many processes on one ledger, some of which are killed, or wake up late."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reccli.adapters.ledger import Ledger
from tests.ledger.samples import add_all, callback, execute, sid

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.dialect

WORKER = Path(__file__).with_name("worker.py")
LONGEST = 60.0


class Workers:
    """Processes that are all gone when the test has ended."""

    def __init__(self, url: str, said: Path) -> None:
        self.url, self.said = url, said
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        what, *more = words
        command = [sys.executable, str(WORKER), what, self.url, str(self.said), *more]
        process = subprocess.Popen(command)
        self.running.append(process)
        return process

    @property
    def lines(self) -> list[str]:
        """All that was said and is whole: the last line of the dead may not be."""
        if not self.said.exists():
            return []
        return [line for line in self.said.read_text().split("\n")[:-1] if line]

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + LONGEST
        while len(self.lines) < count:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def workers(url: str, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(url, tmp_path / "said")
    yield made
    for process in made.running:
        process.kill()
        process.wait(LONGEST)


def acknowledged(lines: list[str]) -> set[str]:
    return {line for line in lines if not line.startswith("!")}


def test_processes_make_and_write_one_ledger_at_once(workers: Workers, url: str) -> None:
    count = 25
    for name in ("a", "b", "c"):
        workers.start("add", name, str(count))
    assert [process.wait(LONGEST) for process in workers.running] == [0, 0, 0]
    stored = {row[0] for row in execute(url, "SELECT sid FROM callbacks")}
    assert acknowledged(workers.lines) == stored
    assert len(stored) == 3 * (3 * count + 1)


def test_what_was_acknowledged_survives_a_kill(workers: Workers, url: str) -> None:
    for round_ in range(3):
        said = len(workers.lines)
        process = workers.start("add", f"round{round_}", "100000")
        workers.wait_for(said + 40)
        process.send_signal(signal.SIGKILL)
        process.wait(LONGEST)
    stored = {row[0] for row in execute(url, "SELECT sid FROM callbacks")}
    assert acknowledged(workers.lines) <= stored
    assert len(stored) >= 120
    if url.startswith("sqlite"):
        assert execute(url, "PRAGMA integrity_check") == [("ok",)]
    with Ledger.open(url) as ledger:
        assert ledger.callbacks_pending() == len(stored)


def test_claims_are_neither_lost_nor_settled_twice(workers: Workers, url: str) -> None:
    count, dice = 500, random.Random(4)
    with Ledger.open(url) as ledger:
        add_all(ledger, [callback(n) for n in range(count)])
        started = [workers.start("claim", f"w{n}") for n in range(3)]
        killed = paused = 0
        while ledger.callbacks_pending():
            goal = len(workers.lines) + dice.randrange(10, 40)
            while len(workers.lines) < goal and ledger.callbacks_pending():
                time.sleep(0.01)
            victim = dice.choice(started)
            if killed <= paused:
                victim.kill()
                victim.wait(LONGEST)
                started.remove(victim)
                killed += 1
                started.append(workers.start("claim", f"w{killed + 2}"))
            else:  # asleep for longer than its claims last, like a machine that was suspended
                victim.send_signal(signal.SIGSTOP)
                time.sleep(0.6)
                victim.send_signal(signal.SIGCONT)
                paused += 1
        for process in started:
            assert process.wait(LONGEST) == 0
    assert killed >= 3
    assert paused >= 3
    said = Counter(line.split()[0] for line in workers.lines)
    assert set(said.values()) == {1}  # nobody was told that he had finished what another had
    rows = execute(url, "SELECT sid, reason, fence, finished_us FROM callbacks")
    assert {row[0] for row in rows} == {sid(n) for n in range(count)}
    assert all(row[3] for row in rows)
    stale = [row for row in rows if row[1].split()[1] != str(row[2])]
    assert stale == []  # the last fence is the one that finished it
    told = set(workers.lines)
    unsaid = [row for row in rows if f"{row[0]} {row[1]}" not in told]
    assert len(unsaid) <= killed * 12  # only what was settled in the instant of a kill
