"""The other side of a benchmark: Twilio, Airtable and S3 with real latencies, in their own process.

`migrate.py` starts it. It says on stdout, in one line of JSON, how reccli reaches it; a line on
stdin asks what its logs say and whether all is where it belongs; at the end of stdin it stops, so
that nothing is left behind if whoever started it is killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from bench.delayed_s3 import DelayedS3
from bench.figures import lane
from bench.large import CHANNELS, LargeMedia
from reccli.sandbox.running import BUCKET, LINK, Sandbox

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from reccli.sandbox.seaweed import SeaweedFS

TWILIO_S, MEDIA_S, S3_S, AIRTABLE_S = 0.12, 0.15, 0.06, 0.25
SHORTEST, LONGEST = 20, 60
"""Seconds that a recording lasts."""
TIME_LIMIT = 600
READERS, WRITERS = 8, 32


@dataclass(slots=True)
class Bench:
    """The services, and what was put into them."""

    sandbox: Sandbox
    s3: DelayedS3
    calls: list[tuple[FakeRow, FakeRecording]]
    large: LargeMedia | None

    def ready(self) -> dict[str, object]:
        """Tell how reccli reaches the services."""
        environment = self.sandbox.environment(RECCLI_S3__ENDPOINT_URL=self.s3.url)
        environment |= {"HOME": str(self.sandbox.home), "TMPDIR": str(self.sandbox.home)}
        if self.large:
            environment["RECCLI_TWILIO__MEDIA_FORMAT"] = "wav"
        latencies = {"twilio": TWILIO_S, "media": MEDIA_S, "s3": S3_S, "airtable": AIRTABLE_S}
        recordings = [recording.sid for _, recording in self.calls]
        return {"environment": environment, "latencies": latencies, "recordings": recordings}

    def figures(self) -> dict[str, object]:
        """Tell what the logs say, and then look whether all is where it belongs."""
        twilio = self.sandbox.twilio.requests
        media = self.large.served if self.large else len(self.sandbox.twilio.media.requests)
        fetches = sum(request.path.endswith(".json") for request in twilio)
        passed = list(self.s3.passed)
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "airtable": lane(self.sandbox.airtable.requests).document(),
            "twilio": {"fetches": fetches, "redirects": len(twilio) - fetches, "media": media},
            "s3": {
                "head": sum(one.method == "HEAD" for one in passed),
                "put": sum(one.method == "PUT" for one in passed),
                "errors": sum(one.status not in {200, 206, 404} for one in passed),
            },
            "services_cpu_s": used.ru_utime + used.ru_stime,
            "verified": self._verified(),
        }

    def _verified(self) -> dict[str, int]:
        """Open every row's link, and compare what comes with what Twilio holds."""
        with ThreadPoolExecutor(READERS) as pool:
            good = sum(pool.map(self._is_good, *zip(*self.calls, strict=True)))
        kept = sum(recording.status == "completed" for _, recording in self.calls)
        return {"rows": len(self.calls), "good_links": good, "kept_on_twilio": kept}

    def _is_good(self, row: FakeRow, recording: FakeRecording) -> bool:
        link = str(row.fields.get(LINK, ""))
        if not link.startswith(f"{self.s3.url}/") or recording.sid not in link:
            return False
        if self.large:
            wanted = self.large.sha256
        else:
            wanted = hashlib.sha256(recording.media("mp3", recording.channels)).hexdigest()
        return _digest(link) == wanted


def _digest(link: str) -> str | None:
    """Follow a link as a browser would; None if it leads nowhere."""
    url = urlsplit(link)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
    digest = hashlib.sha256()
    try:
        connection.request("GET", f"{url.path}?{url.query}")
        answer = connection.getresponse()
        while piece := answer.read(1 << 20):
            digest.update(piece)
    finally:
        connection.close()
    return digest.hexdigest() if answer.status == 200 else None  # noqa: PLR2004


def warm_up(s3: SeaweedFS) -> None:
    """Have SeaweedFS make its volumes: until it has some, a first write takes a second."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=WRITERS),
    )

    def write(number: int) -> None:
        client.put_object(Bucket=BUCKET, Key=f"warm-up/{number}", Body=bytes(1000))

    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(write, range(4 * WRITERS)):
            pass
    client.close()


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(1)


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--large", type=int, default=0, metavar="BYTES")
    parser.add_argument("--unlinked", action="store_true", help="the rows have no links yet")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(TIME_LIMIT)
    with ExitStack() as stack:
        sandbox = Sandbox()
        large = LargeMedia(asked.large) if asked.large else None
        if large:
            sandbox.twilio.media = large
        stack.enter_context(sandbox)
        warm_up(sandbox.s3)
        s3 = stack.enter_context(DelayedS3(sandbox.s3.endpoint_url, S3_S))
        sandbox.twilio.latency, sandbox.twilio.media.latency = TWILIO_S, MEDIA_S
        sandbox.airtable.latency = AIRTABLE_S
        draw = random.Random(asked.rows)
        calls = []
        for _ in range(asked.rows):
            duration = large.seconds if large else draw.randint(SHORTEST, LONGEST)
            channels = CHANNELS if large else 1
            linked = not asked.unlinked
            row, made = sandbox.call(duration=duration, channels=channels, linked=linked)
            calls.append((row, made[0]))
        bench = Bench(sandbox, s3, calls, large)
        print(json.dumps(bench.ready()), flush=True)
        for _ in sys.stdin:
            print(json.dumps(bench.figures()), flush=True)


if __name__ == "__main__":
    main()
