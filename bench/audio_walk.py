"""Measure what it costs to see every frame of a recording, beside what its SHA-256 costs.

One process, CPU time, the best of some rounds; the bytes come in chunks as the downloads have them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from reccli.core.audio import Expected, Meter
from reccli.sandbox.audio import MPEG2_KBPS, STEREO, cbr, frame, frame_seconds, frames, wav

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 256 * 1024
GOOD_S_PER_GB = 0.3
"""For a constant bit rate without padding, which is a small share of the hash."""
MIXED_S = 200
"""Seconds of audio that are made of mixed frames, and then repeated: making them is slow."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One kind of body; `walk` and `sha256` are CPU seconds a GB, which is milliseconds a MB."""

    kind: str
    megabytes: float
    walk: float
    sha256: float
    seconds_counted: float


def mixed(seed: int, hertz: int = 22_050) -> bytes:
    """Make frames of any bit rate in any order, of which no two need be alike."""
    lots = random.Random(seed)
    count = int(MIXED_S / frame_seconds(hertz))
    return frames((lots.choice(MPEG2_KBPS) for _ in range(count)), hertz)


def bodies(size: int) -> dict[str, tuple[str, bytes]]:
    """Make one body of about `size` bytes of each kind, with its extension."""
    cycles = {
        "CBR unpadded, 8 kHz 32 kbps mono": frame(32, 8_000),
        "CBR unpadded, 22.05 kHz 32 kbps stereo": frame(32, 22_050, STEREO),
        "CBR unpadded, 48 kHz 320 kbps stereo": frame(320, 48_000, STEREO),
        "CBR padded, 22.05 kHz 32 kbps mono": cbr(MIXED_S, 32, 22_050),
        "CBR padded, 44.1 kHz 32 kbps mono": cbr(MIXED_S, 32, 44_100),
        "CBR padded, 44.1 kHz 128 kbps stereo": cbr(MIXED_S, 128, 44_100, STEREO),
        "VBR, every frame by lot": mixed(1),
    }
    made = {kind: ("mp3", cycle * (size // len(cycle))) for kind, cycle in cycles.items()}
    made["WAV, 8 kHz 16 bit"] = "wav", wav("bench", size / 16_000)
    made["bytes of 0xFF"] = "mp3", b"\xff" * size
    return made


def cpu(work: Callable[[bytes], object], body: bytes, rounds: int) -> float:
    """Tell the CPU seconds a GB of passing a body on in chunks."""
    best = float("inf")
    chunks = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    for _ in range(rounds):
        begun = time.process_time()
        for chunk in chunks:
            work(chunk)
        best = min(best, time.process_time() - begun)
    return best / len(body) * 1e9


def measure(kind: str, extension: str, body: bytes, rounds: int) -> Figures:
    """Measure one body."""
    walk = min(
        cpu(Meter(Expected(extension, None, None)).feed, body, rounds=1) for _ in range(rounds)
    )
    meter = Meter(Expected(extension, None, None))
    meter.feed(body)
    seconds = meter.judge("audio/mpeg", framed=True).seconds or 0.0
    digest = cpu(hashlib.sha256().update, body, rounds)
    size = len(body) / 1e6
    return Figures(kind, round(size, 1), round(walk, 3), round(digest, 3), seconds)


def main() -> int:
    """Measure every kind; fails if a constant bit rate without padding costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64, help="of each kind (64)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (3)")
    parser.add_argument("--json", action="store_true", help="print figures and nothing else")
    options = parser.parse_args()
    figures = []
    for kind, (extension, body) in bodies(options.megabytes * 1_000_000).items():
        figures.append(measure(kind, extension, body, options.rounds))
        if not options.json:
            one = figures[-1]
            print(f"{kind:40} {one.walk:6.3f} CPU s/GB (= ms/MB), SHA-256 {one.sha256:5.3f}")
    if options.json:
        print(json.dumps([asdict(one) for one in figures], indent=2))
    plain = [one.walk for one in figures if one.kind.startswith("CBR unpadded")]
    return 0 if max(plain) <= GOOD_S_PER_GB else 1


if __name__ == "__main__":
    sys.exit(main())
