"""The brake on mass deletes: every delete may be proven safe and the batch still be a mistake.

A wrong table, a wrong bucket or a wrong retention looks like "everything may go".
"""

from __future__ import annotations

from dataclasses import dataclass

FRACTION_COUNTS_FROM = 20
"""Below this many recordings a large share is ordinary."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`[safety]` of the configuration."""

    max_deletes: int
    max_delete_fraction: float


def refusal(deletes: int, listed: int, limits: Limits, *, complete: bool) -> str | None:
    """Say why this many deletes are unsafe, with the figures and the way out; None when safe.

    `listed` is how many recordings the run saw, `complete` whether it saw all that there are.
    """
    if deletes == 0:
        return None
    if not complete:
        return (
            f"{deletes} deletes were due, but the listing broke off, "
            "so their share of all recordings is not known: run again"
        )
    if deletes > limits.max_deletes:
        return (
            f"{deletes} or more deletes are due, and safety.max_deletes allows "
            f"{limits.max_deletes}: raise it, or narrow the run with --limit or --until"
        )
    if listed >= FRACTION_COUNTS_FROM and deletes > limits.max_delete_fraction * listed:
        return (
            f"{deletes} of {listed} recordings would be deleted "
            f"({deletes / listed:.0%}), and safety.max_delete_fraction allows "
            f"{limits.max_delete_fraction:.0%}: raise it if that is meant"
        )
    return None
