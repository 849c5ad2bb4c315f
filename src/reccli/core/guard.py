"""The guard against mass deletes: every delete may be proven safe and the batch still be a mistake.

A wrong table, a wrong bucket or a wrong retention looks like "everything may go".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from reccli.core.model import Recording

FRACTION_COUNTS_FROM = 20
"""Below this many recordings a large share is ordinary."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`[safety]` of the configuration; a `max_delete_fraction` of 1 is off."""

    max_deletes: int
    max_delete_fraction: float


@dataclass(slots=True)
class Due:
    """The deletes of a run that are due: how many, their minutes, and the oldest (UTC)."""

    deletes: int = 0
    minutes: int = 0
    oldest: datetime | None = None

    def add(self, recording: Recording) -> None:
        """Count one more."""
        self.deletes += 1
        self.minutes += recording.minutes
        known = [at for at in (self.oldest, recording.created) if at]
        self.oldest = min(known, default=None)


def refusal(deletes: int, listed: int, limits: Limits, *, complete: bool) -> str | None:
    """Return why this many deletes are unsafe, with the figures and the way out; None when safe.

    `listed` is how many recordings the run saw, `complete` whether it saw all that there are:
    only a share needs to know.
    """
    if deletes == 0:
        return None
    if deletes > limits.max_deletes:
        return (
            f"{deletes} deletes are due, and safety.max_deletes allows {limits.max_deletes}: "
            f"--max-deletes {deletes} allows them for one run"
        )
    if limits.max_delete_fraction >= 1:
        return None
    if not complete:
        return (
            f"{deletes} deletes were due, but the listing broke off, "
            "so their share of all recordings is not known: run again"
        )
    if listed >= FRACTION_COUNTS_FROM and deletes > limits.max_delete_fraction * listed:
        return (
            f"{deletes} of {listed} recordings would be deleted "
            f"({deletes / listed:.0%}), and safety.max_delete_fraction allows "
            f"{limits.max_delete_fraction:.0%}: raise it if that is meant"
        )
    return None
