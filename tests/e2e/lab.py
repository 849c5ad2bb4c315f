"""What the end-to-end tests share: a sandbox made clean, and commands checked as they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

from reccli.sandbox.faults import Fault, FaultKind, Faults
from reccli.sandbox.running import API_KEY, AUTH_TOKEN, CALL, LINK, TRANSFER, Ended, Sandbox
from tests import prefork

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from reccli.sandbox.s3_proxy import S3Proxy
    from reccli.sandbox.standin import StandIn
    from tests.prefork import Forked

SECRETS = (AUTH_TOKEN, API_KEY, "sandbox-admin-secret", "sandbox-reader-secret")
SUMMARY = {
    *("seen", "copied", "relinked", "fallback", "resigned", "deleted"),
    *("waiting", "held", "lost", "failed", "done", "bytes"),
}
ENDS = ("waiting", "deleted", "done", "held", "lost", "failed")
STEPS = {"Copy", "LinkTwilio", "Relink", "Resign", "Delete", "Wait", "Hold", "Done", "Lost"}
CODES = {0, 1, 2, 3, 4, 5, 6, 11, 130}
DOCUMENT = {
    "schema": int,
    "command": str,
    "run_id": str,
    "dry_run": bool,
    "ok": bool,
    "exit_code": int,
    "started_at": str,
    "finished_at": str,
    "summary": dict,
    "recordings": list,
    "errors": list,
}


class Told(Ended):
    """How a command ended, and what its document and its events say."""

    @property
    def code(self) -> int:
        return self.exit_code

    @cached_property
    def doc(self) -> dict[str, Any]:
        return self.document

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    @property
    def names(self) -> Counter[str]:
        return Counter(event["event"] for event in self.events)

    @property
    def summary(self) -> dict[str, int]:
        """The counts that are not nought."""
        return {name: n for name, n in self.doc["summary"].items() if n and name != "bytes"}

    def of(self, recording: FakeRecording) -> dict[str, Any]:
        (found,) = [entry for entry in self.doc["recordings"] if entry["sid"] == recording.sid]
        return dict(found)

    def event(self, name: str) -> dict[str, Any]:
        (found,) = [event for event in self.events if event["event"] == name]
        return found

    @property
    def error_codes(self) -> set[str]:
        return {entry["code"] for entry in self.doc["errors"]}


@dataclass
class Running:
    """A command that has not ended yet."""

    process: Forked | subprocess.Popen[bytes]
    said: list[Path]
    """Its standard output, and its standard error."""
    as_json: bool

    def end(self, *, killed: bool = False) -> Told:
        code = self.process.wait(90)
        told = Told(code, *(file.read_text() for file in self.said))
        no_secrets(told)
        if not killed:
            check(told, as_json=self.as_json)
        return told


@dataclass
class Tripwire(Faults):
    """Sends a signal to a process as the `at`-th request of it arrives, wherever that is.

    `lost`: this request has no effect any more; else it has, and nobody hears of it.
    """

    at: int
    lost: bool = False
    method: str = ""
    """A pattern of method and path: only such requests count."""
    signal: signal.Signals = signal.SIGKILL
    process: Forked | subprocess.Popen[bytes] | None = None
    seen: int = 0
    tripped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()

    def take(self, method: str, path: str) -> Fault | None:
        if not re.search(self.method, f"{method} {path}"):
            return None
        with self._lock:
            self.seen += 1
            mine = self.seen == self.at
        if not mine or self.process is None:
            return None
        self.tripped.set()
        self.process.send_signal(self.signal)
        if self.signal is signal.SIGKILL:
            self.process.wait(10)
        return Fault(FaultKind.REFUSE) if self.lost else None


class Gate(Faults):
    """Holds every request until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.open = threading.Event(), threading.Event()

    def take(self, method: str, path: str) -> Fault | None:
        self.arrived.set()
        self.open.wait(60)
        return None


@dataclass
class Lab:
    """One test's world: the sandbox, a bucket of its own, and the wire to it."""

    sandbox: Sandbox
    s3: S3Client
    tap: S3Proxy
    bucket: str
    home: Path
    tampered: set[str] = field(default_factory=set)
    """Recordings whose object the test itself has spoiled."""
    patches: dict[str, float] = field(default_factory=dict)
    """Constants that commands are to have, by "module:NAME", so that nobody waits for them."""

    # Commands

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        mine = {"AWS_S3_BUCKET": self.bucket, "RECCLI_S3__ENDPOINT_URL": self.tap.url}
        # Where nothing is refused for its pace, nobody waits for it.
        elsewhere = "RECCLI_AIRTABLE__ENDPOINT_URL" in changes
        if self.sandbox.airtable.requests_per_second is None and not elsewhere:
            mine["RECCLI_AIRTABLE__REQUESTS_PER_SECOND"] = "50"
        settings = self.sandbox.environment(**{**mine, **changes})
        return {**kept, "HOME": str(self.home), **{k: v for k, v in settings.items() if v}}

    def run(self, *arguments: str, **changes: str) -> Told:
        """Run a command to its end, and check what holds for every one."""
        done = prefork.run(arguments, self.environment(**changes), self.home, self.patches)
        told = Told(done.exit_code, done.stdout, done.stderr)
        no_secrets(told)
        check(told, as_json="--json" in arguments)
        return told

    def json(self, *arguments: str, **changes: str) -> Told:
        return self.run(*arguments, "--json", **changes)

    def start(self, *arguments: str, anew: bool = False, **changes: str) -> Running:
        """Start a command and leave it running; `anew` in an interpreter of its own, as cron does.

        It writes into files: nobody has to read along.
        """
        said = [Path(mkstemp(dir=self.home, suffix=".log")[1]) for _ in range(2)]
        environment = self.environment(**changes)
        with ExitStack() as stack:
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            stdout, stderr = (stack.enter_context(file.open("wb")) for file in said)
            process = (
                subprocess.Popen(
                    [sys.executable, "-m", "reccli", *arguments],
                    env=environment,
                    cwd=self.home,
                    stdin=nothing,
                    stdout=stdout,
                    stderr=stderr,
                )
                if anew
                else prefork.start(arguments, environment, self.home, (nothing, stdout, stderr))
            )
        return Running(process, said, "--json" in arguments)

    def trip(self, wire: Tripwire, *arguments: str, **changes: str) -> Told:
        """Run a command that a tripwire signals on its way."""
        twilio, airtable = self.sandbox.twilio, self.sandbox.airtable
        services: tuple[StandIn | S3Proxy, ...] = (twilio, twilio.media, airtable, self.tap)
        before = [service.faults for service in services]
        for service in services:
            service.faults = wire
        try:
            running = self.start(*arguments, anew=True, **changes)
            wire.process = running.process
            return running.end(killed=wire.signal is signal.SIGKILL)
        finally:
            for service, faults in zip(services, before, strict=True):
                service.faults = faults

    # The world

    def call(self, **how: Any) -> tuple[FakeRow, FakeRecording]:  # noqa: ANN401 - as Sandbox.call
        """Let a call with one recording come in."""
        row, (recording,) = self.sandbox.call(**{"duration": 2, **how})
        return row, recording

    def row(self, call_sid: str, **cells: str) -> FakeRow:
        named = {"link": LINK, "transfer": TRANSFER}
        filled = {named.get(name, name): text for name, text in cells.items()}
        return self.sandbox.airtable.add_row(**{CALL: call_sid, **filled})

    def link(self, row: FakeRow, name: str = LINK) -> str:
        return str(row.fields.get(name, ""))

    def holds(self, row: FakeRow, recording: FakeRecording, name: str = LINK) -> str:
        """Tell whether a cell links to S3, to Twilio, or to something else, or to nothing."""
        link = self.link(row, name)
        if not link:
            return "empty"
        if recording.sid not in link:
            return "other"
        return "twilio" if "/2010-04-01/Accounts/" in link else "s3"

    def keys(self) -> list[str]:
        pages = self.s3.list_objects_v2(Bucket=self.bucket)
        return [item["Key"] for item in pages.get("Contents", [])]

    def objects(self, recording: FakeRecording) -> list[str]:
        return [key for key in self.keys() if recording.sid in key]

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def archived(self, recording: FakeRecording, extension: str = "mp3") -> bool:
        """Tell whether S3 has exactly the bytes that Twilio recorded."""
        keys = self.objects(recording)
        original = recording.media(extension, recording.channels)
        return len(keys) == 1 and self.read(keys[0]) == original

    def deleted(self) -> set[str]:
        return {deletion.sid for deletion in self.sandbox.twilio.deletions}

    def writes(self) -> list[str]:
        """List the requests that change something, anywhere."""
        sent = [("twilio", r.method, r.path) for r in self.sandbox.twilio.requests]
        sent += [("airtable", r.method, r.path) for r in self.sandbox.airtable.requests]
        sent += [("s3", *request) for request in self.tap.requests]
        looks = {"GET", "HEAD"}
        return [
            " ".join(request)
            for request in sent
            if request[1] not in looks and not request[2].endswith("/listRecords")
        ]

    def check_nothing_lost(self) -> None:
        """Hold what must be true at any time: what is gone from Twilio is whole in S3."""
        for sid in self.deleted() - self.tampered:
            recording = self.sandbox.twilio.recordings[sid]
            found = [self.read(key) for key in self.objects(recording)]
            kinds = [recording.media(kind, recording.channels) for kind in ("mp3", "wav")]
            assert any(body in kinds for body in found), f"{sid} is lost"


def no_secrets(told: Told) -> None:
    said = told.stdout + told.stderr
    for secret in SECRETS:
        assert secret not in said
    assert not re.search(r"(?i)x-amz-(signature|credential)(=|%3D)(?!\[redacted)", said)
    assert "Basic " not in said
    assert "Bearer " not in said


def check(told: Told, *, as_json: bool) -> None:
    """Hold what the contract says of every command."""
    assert told.code in CODES, told
    for line in told.stderr.splitlines():
        assert line.startswith(("{", "error: ", "fix: ", "stopping: ", "Usage", "Try", "Error")), (
            line
        )
    for event in told.events:
        assert event["run_id"]
        assert event["level"] in {"debug", "info", "warning", "error", "critical"}
        assert event["timestamp"]
    if not as_json:
        return
    doc = told.doc
    allowed = {**DOCUMENT, "report": dict} if doc["command"] == "report" else DOCUMENT
    assert doc.keys() <= allowed.keys()
    assert {name: type(doc.get(name)) for name in DOCUMENT} == DOCUMENT
    assert (doc["schema"], doc["exit_code"]) == (1, told.code)
    assert doc["ok"] is (told.code == 0)
    assert {event["run_id"] for event in told.events} <= {doc["run_id"]}
    assert doc["summary"].keys() == SUMMARY
    assert all(type(count) is int for count in doc["summary"].values())
    assert doc["summary"]["seen"] == sum(doc["summary"][name] for name in ENDS)
    for entry in doc["recordings"]:
        _check_recording(entry)
    for entry in doc["errors"]:
        assert entry.keys() == {"code", "message", "hint", "sid"}
        assert entry["code"]
        assert entry["message"]
    if doc["errors"]:
        assert told.code != 0  # an error line means a non-zero exit
    if doc["recordings"]:
        assert doc["summary"]["seen"] == len(doc["recordings"])


def _check_recording(entry: dict[str, Any]) -> None:
    named = {"sid", "call_sid", "steps", "step", "reason", "link", "key", "error"}
    assert entry.keys() == named
    assert entry["step"] in STEPS
    assert entry["reason"]
    assert set(entry["steps"]) <= STEPS
    for name in named - {"steps"}:
        assert entry[name] is None or type(entry[name]) is str
