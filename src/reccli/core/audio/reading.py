"""What a reader of a format says of a body, and how much of its audio may be missing.

Here so that the readers, which import it, need not know the meter. Twilio gives durations in whole
seconds and an MP3 ends with a whole frame, so some slack is due: one tolerance, for the check of a
copy and for the delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

_SLACK_SECONDS = 2.0
_SLACK_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """The audio in a body: the fewest channels it has at any time, None if that is unknown.

    `complaint` says why it is not the format at all, or that it is a part of a larger file.
    """

    seconds: float
    channels: int | None
    complaint: str | None = None


class Reader(Protocol):
    """Reads one format from chunks of any size, in little memory."""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes."""

    def close(self) -> Reading:
        """Return what the bytes so far are; may be called again, but not followed by `feed`."""


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
