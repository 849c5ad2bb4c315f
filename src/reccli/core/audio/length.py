"""How much audio may be missing: one tolerance for the check of a copy and for the delete.

Twilio gives durations in whole seconds and an MP3 ends with a whole frame, so some slack is due.
Imported by the meter, the WAV reader and, through the package, by whoever deletes.
"""

from __future__ import annotations

_SLACK_SECONDS = 2.0
_SLACK_SHARE = 0.01


def slack(seconds: float) -> float:
    """Return how many seconds may be missing of so many."""
    return max(_SLACK_SECONDS, seconds * _SLACK_SHARE)


def long_enough(seconds: float, duration: int) -> bool:
    """Whether so much audio is not shorter than `duration` by more than the slack."""
    return duration - seconds <= slack(duration)


def proves_length(duration: int | None, seconds: float | None, *, accepted: bool) -> bool:
    """Whether a stored copy may count as whole before the original is deleted.

    `accepted`: a person has listened. Copies that an earlier version stored know no `seconds`.
    """
    if accepted:
        return True
    if duration is None:
        return False
    return seconds is None or long_enough(seconds, duration)
