"""Everything that a case may ask of the services, as data, and what it gets back.

The runner interprets these in production, the simulator in the tests: what is proven is what
runs. Each effect answers with its result or with a `Failure`; it never raises into a case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reccli.core.errors import Failure
    from reccli.core.model import Recording, Ref, Row, Step, StoredObject
    from reccli.core.rows import Cell


@dataclass(frozen=True, slots=True)
class ObserveRecording:
    """Ask Twilio → `Recording`."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class ObserveSiblings:
    """Ask Twilio for the recordings of calls and conferences → `Ref`s in order of creation.

    In the region where they are, if that is known.
    """

    of: tuple[str, ...]
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ObserveRows:
    """Ask Airtable for every row about a recording → `Rows`."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class ObserveObject:
    """Ask S3 → `StoredObject`. `read_back`: hash the bytes if its checksum does not count."""

    key: str
    sid: str
    read_back: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """Bring the audio from Twilio to S3 → `Copied`.

    `accept_length`: a person has listened, and takes it although it is shorter than Twilio says.
    """

    recording: Recording
    extension: str
    key: str
    accept_length: bool = False


@dataclass(frozen=True, slots=True)
class WriteLinks:
    """Write one link into cells that were seen at `seen_at` → `Rows` (the read-back) or `Stale`.

    `Stale` where a cell no longer holds what was decided on. `key` names the object to link to;
    None links to the recording at Twilio.
    """

    recording: Ref
    extension: str
    key: str | None
    cells: tuple[Cell, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AskGuard:
    """Wait until the whole run knows how much it would delete → None, or `Refused`."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the Twilio copy → None, `Unproven`, or `Stale` if the last look is too long ago.

    Only yielded right after everything was observed again, at `seen_at` or later. `key` is that of
    the object which the rows link to.
    """

    recording: Recording
    key: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """Tell an event → None."""

    name: str
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


Effect = (
    ObserveRecording
    | ObserveSiblings
    | ObserveRows
    | ObserveObject
    | Copy
    | WriteLinks
    | AskGuard
    | Delete
    | Record
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they were at a time (UTC, our clock)."""

    rows: tuple[Row, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Copied:
    """The object that stands at the key now, and what was streamed from Twilio.

    That is how many bytes, and how many seconds of audio where they could be counted.
    """

    stored: StoredObject
    size: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stale:
    """What was decided on has changed, or was seen too long ago: observe again."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """Twilio was asked to delete, and does not say that it is gone: why not."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is deleted in this run, by the guard's word or a person's; where the case ends."""

    step: Step
