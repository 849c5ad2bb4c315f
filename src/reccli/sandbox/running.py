"""The three services together, and reccli pointed at them.

The commands run as processes of their own, as cron would start them: nothing is shared with
the services but HTTP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from reccli.sandbox.airtable_api import AirtableStandIn
from reccli.sandbox.s3_proxy import S3Proxy
from reccli.sandbox.seaweed import SeaweedFS
from reccli.sandbox.twilio_api import TwilioStandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording

ACCOUNT_SID = "AC" + "5a" * 16
AUTH_TOKEN = "sandbox-auth-token"
API_KEY = "patSandbox.0123456789abcdef"
BASE_ID = "appSandbox0000001"
TABLE = "Call Logs"
BUCKET = "recordings"
PUBLIC_URL = "https://calls.example.com"
CALL, LINK, TRANSFER = "CallSid", "Recording URL (Twilio/S3)", "Transfer Recording URL"
CONFERENCE = "ConferenceSid"
SERVICES = ("s3", "twilio", "airtable")
FIELDS = [CALL, LINK, TRANSFER, "Provider", "Employee", CONFERENCE]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of a command that was run with `--json`."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found


class Sandbox:
    """Twilio, Airtable and S3 on loopback, and a home of its own for what reccli keeps."""

    def __init__(self, *, penalty_s: float = 30.0, verbose: bool = False) -> None:
        """Prepare the services, and start nothing.

        `penalty_s`: how long Airtable refuses everything after one request too many. `verbose`:
        stories show the logs of commands too.
        """
        self.verbose = verbose
        self._stack = ExitStack()
        self.twilio = TwilioStandIn(ACCOUNT_SID, AUTH_TOKEN)
        self.airtable = AirtableStandIn(API_KEY, BASE_ID, TABLE, fields=FIELDS, penalty_s=penalty_s)
        self.s3 = SeaweedFS()
        self.s3_proxy = S3Proxy(self.s3)
        """Another way to `s3`, which logs, misbehaves and plays other stores."""
        self.home = Path()
        self._switching = Lock()
        self.broken: set[str] = set()
        """The services that `switch` took down."""

    def __enter__(self) -> Self:
        """Start all three; S3 takes some seconds."""
        with ExitStack() as stack:
            self.home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reccli-")))
            for service in (self.twilio, self.airtable, self.s3, self.s3_proxy):
                stack.enter_context(service)
            self.s3.create_bucket(BUCKET)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop all three."""
        self._stack.close()

    def switch(self, service: str, *, down: bool) -> None:
        """Take one of `SERVICES` down, or bring it back."""
        with self._switching:
            if service == "s3":
                (self.s3.down if down else self.s3.up)()
            elif service == "airtable":
                self.airtable.down = down
            else:
                self.twilio.down = self.twilio.media.down = down
            (self.broken.add if down else self.broken.discard)(service)

    def record(
        self, *, duration: int = 30, channels: int = 1, recordings: int = 1
    ) -> list[FakeRecording]:
        """Record a call, that no row is about."""
        ended = datetime.now(UTC) - timedelta(minutes=5)
        first = self.twilio.add(duration=duration, channels=channels, created=ended)
        made = [first]
        for number in range(1, recordings):
            later = ended + timedelta(seconds=number)
            made.append(self.twilio.add(first.call_sid, duration=duration, created=later))
        return made

    def call(
        self, *, duration: int = 30, channels: int = 1, recordings: int = 1, linked: bool = False
    ) -> tuple[FakeRow, list[FakeRecording]]:
        """Add a call: its recordings on Twilio, its row in Airtable.

        `linked` puts the Twilio links into the row, as an outage leaves them.
        """
        made = self.record(duration=duration, channels=channels, recordings=recordings)
        cells = dict(zip((LINK, TRANSFER), map(self.twilio.recording_url, made), strict=False))
        row = self.airtable.add_row(**{CALL: made[0].call_sid}, **(cells if linked else {}))
        return row, made

    def environment(self, **changes: str) -> dict[str, str]:
        """Point reccli at the sandbox, whatever the shell says; `changes` come on top."""
        state = str(self.home / "state")
        return {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "RECCLI_TWILIO__API_BASE": self.twilio.url,
            "AWS_S3_BUCKET": BUCKET,
            "AWS_REGION": "us-east-1",
            "RECCLI_S3__ENDPOINT_URL": self.s3.endpoint_url,
            "RECCLI_S3__ACCESS_KEY_ID": self.s3.access_key,
            "RECCLI_S3__SECRET_ACCESS_KEY": self.s3.secret_key,
            "AIRTABLE_API_KEY": API_KEY,
            "AIRTABLE_BASE_ID": BASE_ID,
            "RECCLI_AIRTABLE__ENDPOINT_URL": self.airtable.url,
            "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL,
            "STATE_DIRECTORY": state,
            **changes,
        }

    def reccli(self, *arguments: str, **changes: str) -> Ended:
        """Run a command to its end, with some of the environment changed."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "reccli", *arguments],
            env={**kept, "HOME": str(self.home), **self.environment(**changes)},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


def show(sandbox: Sandbox, say: Callable[[str], None], *arguments: str, **changes: str) -> Ended:
    """Run a command and show what was typed and answered."""
    say(f"$ reccli {' '.join(arguments)}")
    done = sandbox.reccli(*arguments, **changes)
    for line in (done.stderr if sandbox.verbose else "").splitlines() + done.stdout.splitlines():
        say(f"  {line}")
    if done.exit_code:
        say(f"  (exit code {done.exit_code})")
    return done
