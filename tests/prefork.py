"""Commands in processes of their own, forked from one that has imported everything already.

Starting Python and importing the SDKs takes most of a second of CPU, more than most commands need;
there are hundreds of them in these tests. Apart from that a command is what cron starts: its own
arguments, environment, directory, streams and exit code. The tests of start-up, of the contract
and of kills start `python -m reccli`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, NoReturn

from reccli.sandbox.running import Ended, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
LONGEST = 90.0
"""Seconds that any command may take, on a machine that has other things to do."""


@dataclass
class Forked:
    """A command under way, to be handled as a `subprocess.Popen`."""

    pid: int
    report: int
    """Where its exit code arrives."""
    returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._read(0)

    def wait(self, timeout: float = LONGEST) -> int:
        """Return the exit code; raises TimeoutExpired if it takes too long."""
        if self._read(timeout) is None or self.returncode is None:
            raise subprocess.TimeoutExpired("reccli", timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self.report], [], [], timeout)[0]:
            self.returncode = int(os.read(self.report, 16))
            os.close(self.report)
        return self.returncode


def run(
    arguments: tuple[str, ...],
    env: Mapping[str, str],
    cwd: Path,
    patches: Mapping[str, float] | None = None,
    stdin: str = "",
) -> Ended:
    """Run one command to its end."""
    with TemporaryFile() as given, TemporaryFile() as stdout, TemporaryFile() as stderr:
        given.write(stdin.encode())
        given.seek(0)
        code = start(arguments, env, cwd, (given, stdout, stderr), patches).wait()
        said = []
        for stream in (stdout, stderr):
            stream.seek(0)
            said.append(stream.read().decode())
        return Ended(code, *said)


def start(
    arguments: tuple[str, ...],
    env: Mapping[str, str],
    cwd: Path,
    streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
    patches: Mapping[str, float] | None = None,
) -> Forked:
    """Start one command; `patches` are other constants, by "module:NAME"."""
    asked = {
        "arguments": arguments,
        "env": dict(env),
        "cwd": str(cwd),
        "patches": patches or {},
    }
    report, theirs = os.pipe()
    numbers = [*(stream.fileno() for stream in streams), theirs]
    socket.send_fds(_forker(), [json.dumps(asked).encode()], numbers)
    os.close(theirs)
    if not (pid := os.read(report, 4)):
        raise RuntimeError("nothing was forked")
    return Forked(int.from_bytes(pid), report)


class ForkedSandbox(Sandbox):
    """A sandbox whose commands are forked; `patches` are other constants for all of them."""

    patches: Mapping[str, float] | None = None

    def reccli(self, *arguments: str, **changes: str) -> Ended:
        """Run a command to its end, with some of the environment changed."""
        home = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        return run(arguments, {**home, **self.environment(**changes)}, self.home, self.patches)


@cache
def _forker() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.prefork", str(number)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        pass_fds=[number],
    )
    theirs.close()

    def end() -> None:
        asked.close()
        process.wait(10)

    atexit.register(end)
    return asked


def _serve(asked: socket.socket) -> NoReturn:
    for name in ("app", "cli", "intake.server", "watch.document", "watch.text"):
        importlib.import_module(f"reccli.{name}")
    gc.collect()
    gc.freeze()  # so that no child copies every page by looking for garbage
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        words, numbers, _, _ = socket.recv_fds(asked, 1 << 20, 4)
        if not words:
            os._exit(0)
        if os.fork() == 0:
            asked.close()
            _wait_for(json.loads(words), *numbers)
        for number in numbers:
            os.close(number)


def _wait_for(
    asked: dict[str, object], stdin: int, stdout: int, stderr: int, report: int
) -> NoReturn:
    """Fork the command, and report its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        for number, stream in enumerate((stdin, stdout, stderr)):
            os.dup2(stream, number)
        os.closerange(3, max(stdin, stdout, stderr, report) + 1)
        _become(asked)
    for stream in (stdin, stdout, stderr):
        os.close(stream)
    os.write(report, child.to_bytes(4))
    _, status = os.waitpid(child, 0)
    os.write(report, b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, object]) -> NoReturn:
    """Be the command from here on, in the child."""
    code = 1
    try:
        os.chdir(str(asked["cwd"]))
        os.environ.clear()
        os.environ.update(asked["env"])  # type: ignore[call-overload]
        for name, value in asked["patches"].items():  # type: ignore[attr-defined]
            module, _, constant = name.partition(":")
            setattr(importlib.import_module(module), constant, value)
        sys.argv = ["reccli", *asked["arguments"]]  # type: ignore[misc]
        from reccli.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
