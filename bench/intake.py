"""Measure the webhook from outside while S3 is down: how many callbacks it takes, and how fast.

Real processes: the stand-ins for Twilio and Airtable, `reccli serve` with its worker busy on what
comes in, and this one, which sends an open loop of signed callbacks. In the end the server is
killed, and every callback that it acknowledged has to be in its ledger. How to read the output:
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa
import uvloop

from bench.migrate import BenchError, services
from bench.open_loop import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PUBLIC_URL = "https://calls.example.com"
ROUTE = "/api/twilio/recording-status"
NOWHERE = "http://127.0.0.1:9"
"""S3 is down: nothing listens there."""
CALLS = 300
"""Recordings that exist; the worker writes their fallback links at the pace of Airtable."""
CONNECTIONS = 256
KEPT = 204
RATE, GOOD_MS = 2000, 50.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One load; milliseconds count from when a request was due."""

    ledger: str
    per_second: int
    sent: int
    accepted: int
    accepted_per_second: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    load_late_ms: float
    lost: int
    stored: int
    server_cpu_s: float
    server_peak_mb: float
    fallback_links: int

    @property
    def good(self) -> bool:
        """Whether nothing was lost, and the target is reached where it applies."""
        fast = self.per_second < RATE or (
            self.accepted_per_second >= RATE * 0.98 and self.p99_ms < GOOD_MS
        )
        return self.lost == 0 and self.accepted == self.sent and fast


def names(known: Sequence[str], load: int, count: int) -> list[str]:
    """Name recordings, other ones for each load: some that are there, and most that are not."""
    made = (f"RE{load:08x}{number:024x}" for number in range(count))
    return [*known, *made][:count]


def callbacks(environment: dict[str, str], sids: Sequence[str]) -> list[bytes]:
    """Write one signed request for each recording."""
    token = environment["TWILIO_AUTH_TOKEN"].encode()
    requests = []
    for number, sid in enumerate(sids):
        form = {
            "AccountSid": environment["TWILIO_ACCOUNT_SID"],
            "CallSid": f"CA{number:032x}",
            "RecordingSid": sid,
            "RecordingUrl": f"https://api.twilio.com/2010-04-01/Recordings/{sid}",
            "RecordingStatus": "completed",
            "RecordingDuration": "42",
            "RecordingChannels": "1",
            "RecordingStartTime": "Tue, 24 Nov 2026 09:15:40 +0000",
            "RecordingSource": "StartCallRecordingTwiML",
            "RecordingTrack": "both",
            "ErrorCode": "0",
        }
        signed = PUBLIC_URL + ROUTE + "".join(name + form[name] for name in sorted(form))
        digest = hmac.new(token, signed.encode(), hashlib.sha1).digest()
        body = urlencode(form).encode()
        head = (
            f"POST {ROUTE} HTTP/1.1\r\nHost: calls.example.com\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {base64.b64encode(digest).decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


@contextmanager
def server(
    environment: dict[str, str], home: Path
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start `reccli serve`; killed in the end, for that is what it has to bear."""
    log = home / "serve.log"
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "reccli", "serve", "--port", "0"],
            env={**kept, **environment},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield process, _url(process, log)
    finally:
        process.kill()
        process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"serving"' in line:
                return str(json.loads(line)["url"])
        time.sleep(0.05)
    raise BenchError(f"the server did not start:\n{log.read_text()[-2000:]}")


def usage(pid: int) -> tuple[float, float]:
    """Tell a process's CPU seconds, and its peak memory in MB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024


def stored(url: str) -> set[str]:
    """Read which recordings the ledger knows."""
    engine = sa.create_engine(url)
    with engine.connect() as db:
        found = {row[0] for row in db.execute(sa.text("SELECT sid FROM callbacks"))}
    engine.dispose()
    return found


def measure(environment: dict[str, str], sids: Sequence[str], ledger: str, rate: int) -> Figures:
    """Run one load against a new server and, with SQLite, a new ledger."""
    with TemporaryDirectory(prefix="reccli-intake-") as directory:
        home = Path(directory)
        url = ledger or f"sqlite:///{home / 'ledger.sqlite3'}"
        environment = {
            **environment,
            "HOME": directory,
            "STATE_DIRECTORY": directory,
            "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL,
            "RECCLI_S3__ENDPOINT_URL": NOWHERE,
            "RECCLI_LEDGER__URL": url,
        }
        requests = callbacks(environment, sids)
        with server(environment, home) as (process, address):
            split = urlsplit(address)
            before, _ = usage(process.pid)
            answers = uvloop.run(
                load(
                    split.hostname or "",
                    split.port or 0,
                    requests,
                    per_second=rate,
                    connections=CONNECTIONS,
                )
            )
            after, peak = usage(process.pid)
        fallbacks = (home / "serve.log").read_text().count('"recording_saved_to_airtable_twilio"')
        kept = stored(url)
    taken = {sid for sid, status in zip(sids, answers.statuses, strict=True) if status == KEPT}
    times = sorted(1000 * second for second in answers.seconds)
    return Figures(
        ledger="PostgreSQL" if ledger else "SQLite",
        per_second=rate,
        sent=len(requests),
        accepted=len(taken),
        accepted_per_second=round(len(taken) / answers.lasted, 1),
        p50_ms=round(times[len(times) // 2], 2),
        p99_ms=round(times[len(times) * 99 // 100], 2),
        longest_ms=round(times[-1], 1),
        load_late_ms=round(1000 * answers.late, 1),
        lost=len(taken - kept),
        stored=len(kept),
        server_cpu_s=round(after - before, 2),
        server_peak_mb=round(peak, 1),
        fallback_links=fallbacks,
    )


def main() -> int:
    """Measure each rate on each ledger; 1 if a target was missed or anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, nargs="+", default=[500, RATE], metavar="PER_SECOND")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--postgres", default="", metavar="URL", help="an empty database; or 'own'")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with ExitStack() as stack:
        ledgers = [""]
        if asked.postgres:
            ledgers.append(_postgres(asked.postgres, stack))
        loads = list(product(ledgers, asked.rate))
        made = stack.enter_context(services(CALLS * len(loads), 0, unlinked=True))
        known = iter(made.ready["recordings"])
        figures = [
            measure(
                made.ready["environment"],
                names(list(islice(known, CALLS)), number, rate * asked.seconds),
                ledger,
                rate,
            )
            for number, (ledger, rate) in enumerate(loads)
        ]
    for one in figures:
        print(json.dumps(asdict(one)) if asked.json else _line(one))
    return 0 if all(one.good for one in figures) else 1


def _postgres(url: str, stack: ExitStack) -> str:
    if url != "own":
        return url
    from tests.postgres import server as own_server

    return stack.enter_context(own_server()).url


def _line(one: Figures) -> str:
    return (
        f"{one.ledger:<10} {one.per_second:>5}/s: {one.accepted}/{one.sent} accepted "
        f"({one.accepted_per_second:,.0f}/s), p50 {one.p50_ms} ms, p99 {one.p99_ms} ms, "
        f"longest {one.longest_ms} ms, {one.lost} lost; server {one.server_cpu_s} CPU s, "
        f"{one.server_peak_mb} MB; {one.fallback_links} fallback links"
    )


if __name__ == "__main__":
    raise SystemExit(main())
