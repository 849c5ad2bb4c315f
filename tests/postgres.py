"""A real PostgreSQL for tests: a server of its own on this machine, that syncs as in earnest.

TEST_POSTGRES_URL names another one instead, with a database that may be emptied.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAMS = "/usr/lib/postgresql/*/bin"
"""Where Debian keeps initdb and pg_ctl, off the PATH."""


def programs() -> Path | None:
    """Find the directory of the newest server that is installed."""
    found = sorted(Path("/").glob(f"{PROGRAMS[1:]}/pg_ctl"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    return Path(on_path).resolve().parent if on_path else None


@dataclass(frozen=True, slots=True)
class Server:
    """One server, in a directory that goes when it ends."""

    url: str
    directory: Path
    programs: Path

    def pg_ctl(self, *words: str) -> None:
        """Start or stop it."""
        log = self.directory / "log"
        command = [str(self.programs / "pg_ctl"), "-D", str(self.directory / "data"), "-w"]
        _as_nobody([*command, "-t", "30", "-l", str(log), *words])

    def start(self) -> None:
        """Start it."""
        self.pg_ctl("start")

    def stop(self) -> None:
        """Stop it as a crash would: nothing is written any more, and connections break."""
        self.pg_ctl("-m", "immediate", "stop")


@contextmanager
def server() -> Iterator[Server]:
    """Start a server; skips the test where none is installed."""
    pytest.importorskip("psycopg")
    if (found := programs()) is None:
        pytest.skip(f"PostgreSQL is not installed: no {PROGRAMS}/pg_ctl, and none on the PATH")
    with socket.socket() as free, TemporaryDirectory(prefix="reccli-postgres-") as name:
        directory = Path(name)
        if os.geteuid() == 0:
            shutil.chown(directory, "nobody", "nogroup")
        data = directory / "data"
        _as_nobody(
            [
                str(found / "initdb"),
                "-D",
                str(data),
                "-A",
                "trust",
                "-U",
                "reccli",
                "-E",
                "UTF8",
                "-N",
            ]
        )
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"port = {port}\nlisten_addresses = '127.0.0.1'\n"
                "unix_socket_directories = ''\n"
                "autovacuum = off\n"  # its transactions would count among ours
                "synchronous_commit = off\n"  # a default that the ledger must not rely on
            )
        free.close()
        url = f"postgresql+psycopg://reccli@127.0.0.1:{port}/postgres"
        running = Server(url, directory, found)
        running.start()
        try:
            yield running
        finally:
            running.stop()


def _as_nobody(command: Sequence[str]) -> None:
    """Run a program that refuses to be run by root; raises with all that it said."""
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if "start" in command else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}")
