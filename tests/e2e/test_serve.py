"""`reccli sandbox --serve`: any command can be pointed at it, and it leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    printed = tmp_path / "environment"
    with printed.open("wb") as out:
        serving = subprocess.Popen(
            [sys.executable, "-m", "reccli", "sandbox", "--serve"],
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
        )
    try:
        environment = wait_for(printed)
        done = subprocess.run(
            [sys.executable, "-m", "reccli", "migrate-fallbacks"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, "3 relinked" in done.stdout) == (0, True)
    finally:
        serving.send_signal(number)
        assert serving.wait(timeout=30) == 0
    store = urlsplit(environment["RECCLI_S3__ENDPOINT_URL"])
    with pytest.raises(ConnectionRefusedError):  # SeaweedFS is a process of its own
        socket.create_connection((store.hostname, store.port), timeout=5)


def wait_for(printed: Path) -> dict[str, str]:
    """Read the exports once they are all there."""
    deadline = time.monotonic() + 60
    while "STATE_DIRECTORY" not in (text := printed.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    words = [word for line in text.splitlines() for word in shlex.split(line) if "=" in word]
    return dict(word.split("=", 1) for word in words)
