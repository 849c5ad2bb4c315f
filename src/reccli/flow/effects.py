"""Everything that a case may ask of the services, as data: each effect names its reply's type.

The runner carries these out in production, the simulator in the tests: what is proven is what
runs. The reply to an effect is its result or a `Failure`; nothing is raised into a case.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar, cast

from reccli.core.errors import Failure
from reccli.core.model import Recording, Ref, Row, Step, StoredObject
from reccli.core.rows import Cell

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Effect(Generic[R_co]):
    """A request whose reply is an `R_co`, or a `Failure`."""

    __slots__ = ()


Routine = Generator[Effect[object], object, R]
"""Yields effects, is sent their replies, and returns an `R`."""


def ask(effect: Effect[R]) -> Routine[R | Failure]:
    """Yield one effect, and return its reply."""
    return cast("R | Failure", (yield effect))


# Replies


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


# Effects


@dataclass(frozen=True, slots=True)
class ObserveRecording(Effect[Recording]):
    """Fetch a recording from Twilio."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class ObserveSiblings(Effect[tuple[Ref, ...]]):
    """List the recordings of calls and conferences at Twilio, in order of creation.

    In the region where they are, if that is known.
    """

    of: tuple[str, ...]
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ObserveRows(Effect[Rows]):
    """Find every row about a recording in Airtable."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class ObserveObject(Effect[StoredObject]):
    """Look at a key in S3. `read_back`: hash the bytes if its checksum does not count."""

    key: str
    sid: str
    read_back: bool


@dataclass(frozen=True, slots=True)
class Copy(Effect[Copied]):
    """Copy the audio from Twilio to S3.

    `accept_length`: a person has listened, and takes it although it is shorter than Twilio says.
    """

    recording: Recording
    extension: str
    key: str
    accept_length: bool = False


@dataclass(frozen=True, slots=True)
class WriteLinks(Effect[Rows | Stale]):
    """Write one link into cells that were seen at `seen_at`; the reply is the read-back.

    `Stale` where a cell no longer holds what was decided on. `key` names the object to link to;
    None links to the recording at Twilio.
    """

    recording: Ref
    extension: str
    key: str | None
    cells: tuple[Cell, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AskGuard(Effect[Refused | None]):
    """Wait until the whole run knows how much it would delete."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Delete(Effect[Unproven | Stale | None]):
    """Delete the Twilio copy, or nothing (`Stale`) if the last look is too long ago.

    Only yielded right after everything was observed again, at `seen_at` or later. `key` is that of
    the object which the rows link to.
    """

    recording: Recording
    key: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Record(Effect[None]):
    """Record an event."""

    name: str
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
