"""Measure `reccli migrate-fallbacks` from outside, against services with real latencies.

Airtable takes 5 requests a second, so the figure to beat is not the machine's but the pace's:
one request lists 100 rows and one writes 10. How to read the output: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).resolve().parent.parent
PACE = 4.5
"""Requests a second: reccli's default, a little below Airtable's limit."""
LISTED, WRITTEN = 100, 10
"""Rows in one request of each kind."""
LARGE = 1_000_000_000
FLAT_MB = 200
GOOD_SHARE, JUDGED_FROM = 0.9, 1000
"""In fewer rows, the time that the first copies take weighs more than the pace."""
TIME_LIMIT = 540
STOP_LIMIT = 60
DOCUMENT = dict[str, Any]


class BenchError(RuntimeError):
    """The benchmark itself did not work."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of reccli, as the system accounts for it; times are monotonic seconds."""

    started: float
    ended: float
    exit_code: int
    user_s: float
    system_s: float
    peak_rss_mb: float
    result: DOCUMENT


class Services:
    """The process of `services.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready = self._answer()

    def figures(self) -> DOCUMENT:
        """Ask what the logs say."""
        _open(self._process.stdin).write("figures\n")
        _open(self._process.stdin).flush()
        return self._answer()

    def _answer(self) -> DOCUMENT:
        line = _open(self._process.stdout).readline()
        if not line:
            raise BenchError("the services have ended; see above")
        answer: DOCUMENT = json.loads(line)
        return answer


def _open(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise BenchError("no pipe")
    return stream


@contextmanager
def services(rows: int, large: int, *, unlinked: bool = False) -> Iterator[Services]:
    """Start the services, and see that they are gone afterwards.

    `unlinked`: the rows have no links yet.
    """
    process = subprocess.Popen(  # noqa: S603 - a script of ours
        [
            *(sys.executable, "-m", "bench.services", f"--rows={rows}", f"--large={large}"),
            *(["--unlinked"] if unlinked else []),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which then ends that one in order
    )
    try:
        yield Services(process)
    finally:
        _open(process.stdin).close()  # it stops at the end of its input
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _open(process.stdout).close()


def run_reccli(environment: dict[str, str]) -> Run:
    """Run the command as cron would, and let the system account for that one process.

    Linux counts the memory that a child has before it becomes another program: it is this
    script's, which therefore imports next to nothing.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        started = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "reccli", "migrate-fallbacks", "--json"],
            env={**kept, **environment},
            cwd=environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        watch = threading.Timer(TIME_LIMIT, child.kill)
        watch.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            watch.cancel()
        ended = time.monotonic()
        child.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
        result = _document(child.returncode, stdout, stderr)
    return Run(started, ended, child.returncode, usage.ru_utime, usage.ru_stime, peak, result)


def _document(exit_code: int, stdout: IO[bytes], stderr: IO[bytes]) -> DOCUMENT:
    stdout.seek(0)
    stderr.seek(0)
    try:
        result: DOCUMENT = json.load(stdout)
    except ValueError as error:
        end = stderr.read().decode(errors="replace")[-3000:]
        raise BenchError(f"reccli left with {exit_code} and no result:\n{end}") from error
    return result


def assess(rows: int, run: Run, told: DOCUMENT) -> DOCUMENT:
    """Put what was measured beside what the pace allows."""
    airtable = told["airtable"]
    first, last = airtable.pop("first"), airtable.pop("last")
    answered = last + told["latencies"]["airtable"]
    # Each row is listed, looked at once more before it is written, and written.
    floor = (2 * math.ceil(rows / LISTED) + math.ceil(rows / WRITTEN)) / PACE
    wall = run.ended - run.started
    verified, summary = told["verified"], run.result["summary"]
    return {
        "rows": rows,
        "latencies_s": told["latencies"],
        "exit_code": run.exit_code,
        "wall_s": wall,
        "floor_s": floor,
        "share_of_process": floor / wall,
        "airtable_s": last - first,
        "share_of_airtable": floor / (answered - first),
        "before_airtable_s": first - run.started,
        "after_airtable_s": run.ended - answered,
        "rows_per_s": rows / wall,
        "cpu_s": run.user_s + run.system_s,
        "cpu_user_s": run.user_s,
        "cpu_system_s": run.system_s,
        "peak_rss_mb": run.peak_rss_mb,
        "airtable": airtable,
        "twilio": told["twilio"],
        "s3": told["s3"],
        "services_cpu_s": told["services_cpu_s"],
        "summary": summary,
        "verified": verified,
        "correct": run.exit_code == 0
        and summary["relinked"] == verified["good_links"] == verified["kept_on_twilio"] == rows,
    }


def judge(found: DOCUMENT) -> list[str]:
    """Say which targets were missed."""
    missed = []
    if not found["correct"]:
        missed.append("not every row ended with a good link and a kept recording")
    if found["airtable"]["throttled"]:
        missed.append(f"{found['airtable']['throttled']} requests were refused with 429")
    if found["peak_rss_mb"] >= FLAT_MB:
        missed.append(f"memory is not flat: {found['peak_rss_mb']:.0f} MB")
    if found["rows"] >= JUDGED_FROM and found["share_of_airtable"] < GOOD_SHARE:
        missed.append(f"less than {GOOD_SHARE:.0%} of what the pace allows")
    return missed


def told_in_words(found: DOCUMENT) -> Iterator[str]:
    """Word the figures, a line each."""
    airtable, s3, twilio = found["airtable"], found["s3"], found["twilio"]
    late = ", ".join(f"{name} {1000 * s:.0f} ms" for name, s in found["latencies_s"].items())
    yield f"{found['rows']:,} rows; {late}; Airtable takes 5 requests/s"
    yield ""
    yield f"floor       {found['floor_s']:6.1f} s   what {PACE} requests/s allow"
    yield (
        f"process     {found['wall_s']:6.1f} s   {found['share_of_process']:.0%} of the pace, "
        f"{found['rows_per_s']:.1f} rows/s, interpreter included"
    )
    yield (
        f"Airtable    {found['airtable_s']:6.1f} s   {found['share_of_airtable']:.0%} of the pace, "
        f"first to last request ({found['before_airtable_s']:.1f} s before, "
        f"{found['after_airtable_s']:.1f} s after)"
    )
    yield (
        f"CPU         {found['cpu_s']:6.1f} s   user {found['cpu_user_s']:.1f}, "
        f"system {found['cpu_system_s']:.1f}"
    )
    yield f"peak RSS    {found['peak_rss_mb']:6.0f} MB"
    yield ""
    sizes = ", ".join(f"{n} x {size}" for size, n in airtable["rows_per_patch"].items())
    gaps = ", ".join(f"{gap} s at {at} s" for at, gap in airtable["idle"]) or "none"
    yield (
        f"Airtable    {airtable['lists']} lists, {airtable['patches']} PATCHes (of rows: {sizes}), "
        f"{airtable['others']} others"
    )
    yield (
        f"            {airtable['throttled']} answered 429, at most "
        f"{airtable['most_in_a_second']} in a second, idle over 0.5 s: {gaps}"
    )
    yield (
        f"Twilio      {twilio['fetches']} fetches, {twilio['redirects']} media redirects, "
        f"{twilio['media']} media GETs"
    )
    yield f"S3          {s3['head']} HEAD, {s3['put']} PUT, {s3['errors']} errors"
    verified = found["verified"]
    yield (
        f"verified    {verified['good_links']} of {verified['rows']} links open to the same bytes, "
        f"{verified['kept_on_twilio']} recordings still on Twilio, exit code {found['exit_code']}"
    )


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--memory", action="store_true", help="copy one WAV of 1 GB instead")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    rows, large = (1, LARGE) if asked.memory else (asked.rows, 0)
    if rows < 1:
        parser.error("--rows must be at least 1")
    try:
        with services(rows, large) as running:
            run = run_reccli(running.ready["environment"])
            told = {**running.figures(), "latencies": running.ready["latencies"]}
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = assess(rows, run, told)
    missed = found["missed"] = judge(found)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(told_in_words(found)))
        print("\n".join(f"MISSED      {line}" for line in missed))
    if missed and not found["correct"]:
        print(json.dumps(run.result["errors"][:5], indent=2), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
