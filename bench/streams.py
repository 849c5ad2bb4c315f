"""Measure media streams from outside: what idle ones cost, and that audio leaves nothing behind.

Real processes: `reccli serve` with its worker, and this one, which opens many streams as Twilio
does. Over a few of them it sends audio as fast as it is taken, while the others are silent. In the
end the server is told to stop with all of them open, and the call of every stream has to be in its
ledger. Nothing else runs: Twilio, S3 and Airtable are all away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from bench.intake import NOWHERE, server, stored, usage
from bench.migrate import BenchError
from reccli.adapters.twilio import Signatures

if TYPE_CHECKING:
    import subprocess

ACCOUNT_SID, AUTH_TOKEN = "AC" + "5a" * 16, "bench-auth-token"
PUBLIC_URL = "https://calls.example.com"
SIGNATURE = Signatures({"main": AUTH_TOKEN}).sign("wss://calls.example.com/stream")
WARM_UP = 50
"""Streams before the first look at the memory: some of it is taken once, by whoever comes first."""
TALKING = 8
OPENING = 64
"""Handshakes under way at the same time."""
SETTLED_S = 2.0
GOOD_KB, FLAT_MB = 100.0, 4.0
STOP_LIMIT = 60
SPARE_FILES = 200
AUDIO = "f" * 216
"""20 ms of it, in base64."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement; memory is resident (RSS) and the server's alone."""

    streams: int
    opened_per_second: float
    server_mb: float
    with_idle_streams_mb: float
    kb_per_stream: float
    frames: int
    frames_per_second: float
    cpu_us_per_frame: float
    after_audio_mb: float
    stop_seconds: float
    exit_code: int
    scheduled: int
    lost: int

    @property
    def good(self) -> bool:
        """Whether every call is kept, idle streams are cheap, and audio costs no memory."""
        grown = self.after_audio_mb - self.with_idle_streams_mb
        return (
            self.lost == 0
            and self.exit_code == 0
            and self.kb_per_stream < GOOD_KB
            and grown < FLAT_MB
        )


def call_sid(number: int) -> str:
    """Name the call of a stream."""
    return f"CA{number:032x}"


def start(number: int) -> str:
    """Write what Twilio says first of a stream."""
    told = {
        "accountSid": ACCOUNT_SID,
        "callSid": call_sid(number),
        "streamSid": f"MZ{number:032x}",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {},
    }
    sid = told["streamSid"]
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": told, "streamSid": sid})


def media(number: int, count: int) -> str:
    """Write a piece of audio."""
    piece = {"track": "inbound", "chunk": str(count), "timestamp": str(20 * count)}
    message = {
        "event": "media",
        "sequenceNumber": str(count + 2),
        "media": {**piece, "payload": AUDIO},
        "streamSid": f"MZ{number:032x}",
    }
    return json.dumps(message, separators=(",", ":"))


def memory(pid: int) -> float:
    """Tell what a process has in memory now, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def open_streams(url: str, stack: AsyncExitStack, count: int) -> list[ClientConnection]:
    """Open streams that have not started."""
    address = url.replace("http", "ws", 1) + "/stream"
    turns = asyncio.Semaphore(OPENING)

    async def one() -> ClientConnection:
        async with turns:
            stream = await connect(
                address,
                additional_headers={"X-Twilio-Signature": SIGNATURE},
                compression=None,
                ping_interval=None,
                open_timeout=60,
                close_timeout=1,
                proxy=None,
            )
        stack.push_async_callback(stream.close)
        await stream.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        return stream

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def talk(stream: ClientConnection, number: int, frames: int) -> None:
    """Send audio, and wait until the server has read it."""
    for count in range(frames):
        await stream.send(media(number, count))
    await (await stream.ping())


async def play(
    url: str, process: subprocess.Popen[bytes], count: int, frames: int
) -> dict[str, float]:
    """Open the streams, talk over some of them, and tell the server to stop."""
    async with AsyncExitStack() as warm_up:
        await open_streams(url, warm_up, WARM_UP)
    async with AsyncExitStack() as stack:
        await asyncio.sleep(SETTLED_S)
        before = memory(process.pid)
        began = time.monotonic()
        streams = await open_streams(url, stack, count)
        for number, stream in enumerate(streams):
            await stream.send(start(number))
        await asyncio.gather(*[await stream.ping() for stream in streams])
        opened = time.monotonic() - began
        await asyncio.sleep(SETTLED_S)
        idle, (cpu, _) = memory(process.pid), usage(process.pid)
        began = time.monotonic()
        share = frames // TALKING
        await asyncio.gather(
            *(talk(stream, number, share) for number, stream in enumerate(streams[:TALKING]))
        )
        talked = time.monotonic() - began
        await asyncio.sleep(SETTLED_S)
        after, (cpu_after, _) = memory(process.pid), usage(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, STOP_LIMIT)
    return {
        "opened_per_second": round(count / opened),
        "server_mb": round(before, 1),
        "with_idle_streams_mb": round(idle, 1),
        "kb_per_stream": round((idle - before) * 1024 / count, 1),
        "frames_per_second": round(frames / talked),
        "cpu_us_per_frame": round((cpu_after - cpu) * 1e6 / frames, 1),
        "after_audio_mb": round(after, 1),
        "stop_seconds": round(time.monotonic() - began, 1),
    }


def measure(count: int, frames: int) -> Figures:
    """Run all of it against a new server with a new ledger."""
    with TemporaryDirectory(prefix="reccli-streams-") as directory:
        url = f"sqlite:///{directory}/ledger.sqlite3"
        environment = {
            "HOME": directory,
            "STATE_DIRECTORY": directory,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "RECCLI_TWILIO__API_BASE": NOWHERE,
            "AWS_S3_BUCKET": "recordings",
            "RECCLI_S3__ENDPOINT_URL": NOWHERE,
            "RECCLI_S3__ACCESS_KEY_ID": "AKIABENCH",
            "RECCLI_S3__SECRET_ACCESS_KEY": "bench-secret-key",
            "AIRTABLE_API_KEY": "patBench.secret",
            "AIRTABLE_BASE_ID": "appBench",
            "RECCLI_AIRTABLE__ENDPOINT_URL": NOWHERE,
            "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL,
            "RECCLI_LEDGER__URL": url,
        }
        with server(environment, Path(directory)) as (process, address):
            told = uvloop.run(play(address, process, count, frames))
            code = process.wait(STOP_LIMIT)
        kept = stored(url)
    wanted = {call_sid(number) for number in range(count)}
    return Figures(
        streams=count,
        frames=frames,
        exit_code=code,
        scheduled=len(kept & wanted),
        lost=len(wanted - kept),
        **told,
    )


def allow_files(count: int) -> None:
    """Have as many open files as streams, also in the server, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed, and {hard} are allowed: see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def main() -> int:
    """Measure; 1 if a target was missed or anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    allow_files(asked.streams + SPARE_FILES)
    one = measure(asked.streams, asked.frames)
    print(json.dumps(asdict(one)) if asked.json else _text(one))
    return 0 if one.good else 1


def _text(one: Figures) -> str:
    return (
        f"{one.streams} idle streams: {one.server_mb} -> {one.with_idle_streams_mb} MB, "
        f"{one.kb_per_stream} KB each, {one.opened_per_second:,.0f} opened a second\n"
        f"{one.frames} media frames: {one.after_audio_mb} MB after them, "
        f"{one.frames_per_second:,.0f}/s, {one.cpu_us_per_frame} CPU us each\n"
        f"stop: exit code {one.exit_code} after {one.stop_seconds} s, "
        f"{one.scheduled} calls scheduled, {one.lost} lost"
    )


if __name__ == "__main__":
    raise SystemExit(main())
