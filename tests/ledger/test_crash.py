"""Kill -9, a full disk and a broken one at every single system call that writes to the ledger.

A process adds callbacks through an inbox and says which were acknowledged; strace makes its n-th
write fail, or kills it there, for n = 1, 2, 3 … until there is no n-th. What was acknowledged has
to be in the file each time, the file has to be sound, and the next process has to go on with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from types import TracebackType

STRACE = shutil.which("strace") or "strace"
WORKER = Path(__file__).with_name("worker.py")
EACH = 1
"""Callbacks that each of the three threads adds; one more follows when all are there."""
CALLS = ("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "?unlink", "?unlinkat")
EVERY_THIRD = 3
"""Where all that follows fails too, the points lie close enough to take one of three."""
LONGEST = 30.0


class RefusedError(Exception):
    """The kernel does not let strace attach, as in some containers; says what strace said."""


class Nursery:
    """Children that wait for something to be attached to them, and then do their work."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process as process:
            process.kill()

    def child(self, home: Path, name: str) -> int:
        """Make a child that is stopped before its work, and give its id."""
        assert self._process.stdin
        url = f"sqlite:///{home / 'ledger.sqlite3'}"
        self._process.stdin.write(f"{url} {home / 'said'} {name} {EACH}\n")
        return self._read()

    def end(self) -> int:
        """Wait until the child has ended, and give its exit code; negative for a signal."""
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the n-th call of one kind on the ledger's files."""

    what: str
    then_on: bool = False

    def __str__(self) -> str:
        return f"{self.what}{' from then on' if self.then_on else ''}"

    def inject(self, call: str, number: int) -> str:
        return f"inject={call}:{self.what}:when={number}{'+' if self.then_on else ''}"


def attach(child: int, home: Path, inject: str) -> subprocess.Popen[str]:
    """Attach strace to a child that is stopped; returns when it is."""
    ledger = home / "ledger.sqlite3"
    files = [word for file in (ledger, f"{ledger}-journal", home) for word in ("-P", str(file))]
    what = inject.partition(":")[0].replace("inject", "trace")
    tracing = subprocess.Popen(
        [STRACE, "-f", "-o", home / "trace", "-p", str(child), *files, "-e", what, "-e", inject],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracing.stderr
    said = ""
    for line in tracing.stderr:
        said += line
        if "attached" in line:
            return tracing
    tracing.wait(LONGEST)
    raise RefusedError(said.strip())


def run(nursery: Nursery, home: Path, name: str, inject: str) -> tuple[int, bool]:
    """Let a child work under a fault; gives its exit code, and whether the fault came to pass."""
    child = nursery.child(home, name)
    try:
        tracing = attach(child, home, inject)
    finally:
        os.kill(child, signal.SIGCONT)
    with tracing:
        code = nursery.end()
        tracing.communicate(timeout=LONGEST)
    trace = (home / "trace").read_text()
    return code, "INJECTED" in trace or "killed by SIGKILL" in trace


def said(home: Path) -> set[str]:
    """Tell which were acknowledged."""
    file = home / "said"
    lines = file.read_text().splitlines() if file.exists() else []
    return {line for line in lines if not line.startswith("!")}


def stored(home: Path) -> set[str]:
    """Tell which are in the file, which has to be sound after what has to be rolled back."""
    file = home / "ledger.sqlite3"
    if not file.exists():
        return set()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        if "callbacks" not in tables:
            return set()
        return {sid for (sid,) in db.execute("SELECT sid FROM callbacks")}


def one(nursery: Nursery, home: Path, fault: Fault, call: str, number: int) -> bool:
    """Try one fault, and go on after it; False if there is no such call any more."""
    home.mkdir()
    code, hit = run(nursery, home, "first", fault.inject(call, number))
    assert code == (-signal.SIGKILL if hit and "SIGKILL" in fault.what else 0)
    before = said(home)
    assert before <= stored(home)
    everything = 3 * EACH + 1
    if not hit:
        assert len(before) == everything
    elif fault.what.startswith("error") and not fault.then_on:
        assert before & {"first-last", "first-again"}  # it has got over it
    if hit:  # and who comes next goes on, with all that was there
        os.kill(nursery.child(home, "second"), signal.SIGCONT)
        assert nursery.end() == 0
        assert said(home) - before == {name for name in said(home) if name.startswith("second")}
        assert len(said(home) - before) == everything
        assert said(home) <= stored(home)
    shutil.rmtree(home)
    return hit


def every(fault: Fault, home: Path) -> Counter[str]:
    """Try a fault at every call, on two processors; tells how many there were of each kind."""
    tried: Counter[str] = Counter()
    step = EVERY_THIRD if fault.then_on else 1

    def some(first: int) -> None:
        with Nursery() as nursery:
            for call in CALLS:
                for number in count(first * step + 1, 2 * step):
                    where = home / f"{call.strip('?')}-{number}"
                    if not one(nursery, where, fault, call, number):
                        break
                    tried[call] += 1

    with ThreadPoolExecutor(2) as both:
        list(both.map(some, range(2)))
    return tried


@pytest.fixture(scope="module")
def _tracing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip what cannot be tried here."""
    if not shutil.which(STRACE):
        pytest.skip("strace is not installed")
    try:
        with Nursery() as nursery:
            run(
                nursery,
                tmp_path_factory.mktemp("probe"),
                "probe",
                "inject=pwrite64:error=EIO:when=1",
            )
    except RefusedError as refused:
        pytest.skip(f"strace may not attach to a process here: {refused}")


@pytest.mark.usefixtures("_tracing")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("signal=SIGKILL"),
        Fault("error=ENOSPC"),
        pytest.param(Fault("error=EIO"), marks=pytest.mark.exhaustive),
        pytest.param(Fault("error=ENOSPC", then_on=True), marks=pytest.mark.exhaustive),
        Fault("error=EIO", then_on=True),
    ],
    ids=str,
)
def test_nothing_acknowledged_is_lost(fault: Fault, tmp_path: Path) -> None:
    tried = every(fault, tmp_path)
    enough = {"pwrite64": 60, "fdatasync": 12, "ftruncate": 3}
    for call, least in enough.items():
        assert tried[call] * (EVERY_THIRD if fault.then_on else 1) >= least
