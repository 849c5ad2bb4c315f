"""What a reader of a format says of a body, and how the meter talks to it.

Here so that the readers, which import it, need not know the meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
