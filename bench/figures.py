"""What the services' logs say about a run, as plain numbers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reccli.sandbox.messages import Request

IDLE = 0.5
"""Seconds between two requests from which the Airtable lane counts as idle."""
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Lane:
    """How well the one scarce thing, requests to Airtable, was used; times are monotonic seconds.

    `rows_per_patch` counts requests by how many rows they wrote; `idle` has a pair for each gap:
    how long after the first request it began, and how long it was.
    """

    lists: int
    patches: int
    others: int
    throttled: int
    most_in_a_second: int
    rows_per_patch: dict[str, int]
    first: float
    last: float
    idle: list[tuple[float, float]]

    def document(self) -> dict[str, object]:
        """Show it as JSON."""
        return asdict(self)


def lane(requests: Sequence[Request]) -> Lane:
    """Sum up Airtable's log; there is at least one request in it."""
    times = [request.time for request in requests]
    kinds = Counter(_kind(request) for request in requests)
    patches = [request for request in requests if _kind(request) == "PATCH"]
    rows = Counter(len(json.loads(request.body)["records"]) for request in patches)
    gaps = ((before - times[0], after - before) for before, after in pairwise(times))
    return Lane(
        kinds["list"],
        len(patches),
        kinds["other"],
        sum(request.status == TOO_MANY for request in requests),
        max(sum(at - 1 < time <= at for time in times) for at in times),
        {str(size): rows[size] for size in sorted(rows)},
        times[0],
        times[-1],
        [(round(at, 2), round(gap, 2)) for at, gap in gaps if gap > IDLE],
    )


def _kind(request: Request) -> str:
    if request.method == "GET" or request.path.endswith("/listRecords"):
        return "list"
    return "PATCH" if request.method == "PATCH" else "other"
