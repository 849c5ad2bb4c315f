"""`reccli serve` as a process of its own, and Twilio's side of a callback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx
from twilio.request_validator import RequestValidator

from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from tests import prefork
from tests.e2e.lab import Told, no_secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from reccli.sandbox.recordings import FakeRecording
    from tests.prefork import Forked

PUBLIC_URL = "https://calls.example.com"
ROUTE = "/api/twilio/recording-status"
LONGEST = 60.0
"""Seconds that a test waits for what should come within one."""


@dataclass
class Server:
    """Started with `with`; ended by SIGTERM unless a test has ended it."""

    environment: dict[str, str]
    home: Path
    wrapper: tuple[str, ...] | None = None
    """What starts it as a new interpreter: nothing else, or a program such as strace."""
    url: str = ""

    def __enter__(self) -> Self:
        self._said = Path(tempfile.mkstemp(dir=self.home, suffix=".log")[1])
        with self._said.open("wb") as said:
            self.process = self._start(said)
        try:
            self.url = str(self.wait_for_event("serving")["url"])
        except BaseException:
            self.kill()
            raise
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        return self

    def _start(self, said: IO[bytes]) -> Forked | subprocess.Popen[bytes]:
        arguments = ("serve", "--port", "0")
        environment = {"RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL, **self.environment}
        with Path(os.devnull).open("rb") as nothing:
            if self.wrapper is None:
                return prefork.start(arguments, environment, self.home, (nothing, said, said))
            return subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "reccli", *arguments],
                env=environment,
                cwd=self.home,
                stdin=nothing,
                stdout=said,
                stderr=said,
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.stop()

    def stop(self) -> Told:
        """End it as systemd would."""
        self.process.send_signal(signal.SIGTERM)
        return self._end()

    def kill(self) -> Told:
        """End it as a power cut would, as far as a process can."""
        for child in self._children() if self.wrapper else ():
            os.kill(child, signal.SIGKILL)
        self.process.kill()
        return self._end()

    def _children(self) -> list[int]:
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def _end(self) -> Told:
        code = self.process.wait(40)
        told = Told(code, "", self._said.read_text())
        no_secrets(told)
        assert "Traceback" not in told.stderr, told.stderr
        return told

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self._said.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_for_event(self, name: str, **wanted: object) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def look() -> bool:
            assert self.process.poll() is None, self._said.read_text()
            found[:] = [
                event
                for event in self.events
                if event["event"] == name and wanted.items() <= event.items()
            ]
            return bool(found)

        wait_until(look)
        return found[0]

    def callback(self, recording: FakeRecording, status: str = "completed") -> httpx.Response:
        """Call as Twilio does when a recording's status changes."""
        return self.post(parameters(recording, status))

    def post(self, form: dict[str, str]) -> httpx.Response:
        return self.http.post(
            ROUTE,
            content=urlencode(form),
            headers={**signed(form), "Content-Type": "application/x-www-form-urlencoded"},
        )


def parameters(recording: FakeRecording, status: str = "completed") -> dict[str, str]:
    return {
        "AccountSid": ACCOUNT_SID,
        "CallSid": recording.call_sid,
        "RecordingSid": recording.sid,
        "RecordingUrl": "https://evil.example.com/2010-04-01/" + recording.sid,  # never asked
        "RecordingStatus": status,
        "RecordingDuration": str(recording.duration),
        "RecordingChannels": "1",
        "RecordingTrack": "both",
        "ErrorCode": "",  # blanks are signed as well
    }


def signed(form: dict[str, str], token: str = AUTH_TOKEN) -> dict[str, str]:
    signature = RequestValidator(token).compute_signature(PUBLIC_URL + ROUTE, form)
    return {"X-Twilio-Signature": signature}


def wait_until(what: Callable[[], bool], longest: float = LONGEST) -> None:
    deadline = time.monotonic() + longest
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
