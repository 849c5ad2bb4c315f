"""What the flow needs from the services: the Protocols that the adapters implement.

Every method may raise `ServiceError`, and nothing else, for whatever goes wrong outside; a
method never retries by itself. Methods are called from several threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime, timedelta

    from reccli.core.errors import Failure, ServiceError
    from reccli.core.model import Recording, Ref, Row, StoredObject

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which recordings to list in one region; `since` and `until` (UTC) bound the creation.

    `size` is how many a page may hold: 1000 at most, by Twilio's spec.
    """

    region: str
    since: datetime | None = None
    until: datetime | None = None
    call_sid: str | None = None
    conference_sid: str | None = None
    size: int = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; `cursor` asks for the next one and is None on the last.

    `odd` says what else was in it, and could not be read.
    """

    items: Sequence[T]
    cursor: str | None = None
    odd: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a listing of the bucket names, and when (UTC) its object was stored, if listed."""

    name: str
    stored: datetime | None = None


@dataclass(slots=True)
class Media:
    """An answer of status 200, its body unread.

    `length` is the Content-Length in bytes, if one was given. `chunks` raises `ServiceError`
    when the connection breaks; whether a body that ends is the whole recording is checked by
    the caller. `framed` is False where only the end of the connection ends the body, which proves
    nothing. `channels` is what Twilio granted where the metadata names no number of them.
    """

    content_type: str
    length: int | None
    chunks: Iterator[bytes]
    framed: bool = True
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is written beside the bytes: size in bytes and hex SHA-256 as streamed from Twilio.

    `seconds` is how much audio was counted, if it could be; `accepted`: a person has listened and
    takes it although it is shorter than Twilio's duration.
    """

    recording: Recording
    size: int
    sha256: str
    content_type: str
    seconds: float | None = None
    accepted: bool = False


class TwilioPort(Protocol):
    """Recordings in every configured region of one account."""

    @property
    def regions(self) -> Sequence[str]:
        """Name the configured regions, the main one first."""

    def page(self, listing: Listing, cursor: str | None) -> Page[Recording]:
        """List one page, newest first; may hold recordings outside the bounds' exact times.

        A cursor from larger pages goes on where it was; a smaller one may repeat the end of the
        page before.
        """

    def fetch(self, ref: Ref) -> Recording:
        """Fetch the metadata, of a soft-deleted recording too (status "deleted").

        A 404 raises: it proves nothing. With no region given the main one is asked.
        """

    def media(self, recording: Recording, extension: str) -> AbstractContextManager[Media]:
        """Open the audio with all its channels; a 404 is NOT_YET, or GONE if it is old."""

    def delete(self, recording: Recording) -> ServiceError | None:
        """Request its deletion for ever; return a refusal that may be an earlier delete's."""

    def prove_deleted(self, recording: Recording, refusal: ServiceError | None) -> None:
        """Return if Twilio itself says that it is gone; BUSY while it does not show yet."""


class S3Port(Protocol):
    """One bucket. Every write is conditional: nothing is ever overwritten or deleted."""

    def observe(self, key: str, sid: str, *, read_back: bool) -> StoredObject:
        """Look whether the object at `key` is the proven recording `sid`.

        With `read_back`, a store whose checksum does not count has the object read and hashed.
        """

    def require_bucket(self) -> None:
        """Raise a CONFIG failure if there is no such bucket; a request at the first call only."""

    def keys(self, prefix: str, cursor: str | None) -> Page[Key]:
        """List one page of the keys that begin with `prefix`."""

    def put(self, key: str, body: BinaryIO, provenance: Provenance) -> StoredObject:
        """Store unless the key is taken; verified, or conflict if something else is there."""

    def presign(
        self,
        key: str,
        *,
        life: timedelta | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        """Sign a link to the object, for the configured time unless a `life` is given."""

    def signs_temporarily(self) -> bool:
        """Whether links die with temporary credentials, whatever they say of their life."""


class LinkPort(Protocol):
    """Links as the people see them who click on them."""

    def open(self, url: str) -> None:
        """Return if audio comes; no credentials are sent, and the body is not read to its end."""


class AirtablePort(Protocol):
    """The table of calls."""

    @property
    def rows_a_find(self) -> int:
        """For how many recordings one request can find the rows."""

    @property
    def rows_a_look(self) -> int:
        """How many rows can be written within 3 s of a look at them, at the set pace."""

    @property
    def rows_a_write(self) -> int:
        """How many rows one request can write."""

    def field_names(self) -> Mapping[str, str]:
        """Return the names of the table's fields by their IDs; needs schema.bases:read."""

    def require_fields(self) -> None:
        """Raise a CONFIG failure if a link field surely takes no links; one request each time."""

    def fallbacks(self, cursor: str | None) -> Page[Row]:
        """List one page of the rows in which some link field holds a Twilio address."""

    def find(self, refs: Sequence[Ref]) -> Sequence[Row]:
        """Find every row about these recordings, by call, by conference or by mention."""

    def read(self, row_ids: Sequence[str]) -> Sequence[Row]:
        """Read rows by id; those that are gone are missing from the answer."""

    def signed_until(
        self, day: date, cursor: str | None, *, holding: Sequence[str] = ()
    ) -> Page[Row]:
        """List one page of the rows with a presigned link signed on or before that day (UTC).

        And of those with a link that holds one of the texts.
        """

    def write(
        self, cells: Mapping[str, Mapping[str, str]], *, before: Callable[[], None]
    ) -> Sequence[Row]:
        """Write {row id: {field: link}} for at most `rows_a_write` rows in one request.

        Returns the rows as Airtable answered them, which is the read-back. `before` is called
        when the request is about to be sent, after any waiting; what it raises goes up.
        """


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: one name of the contract, and its plain fields."""

    name: str
    at: datetime
    recording_sid: str | None = None
    call_sid: str | None = None
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


class EventSink(Protocol):
    """Where events go: the log, and the ledger where there is one. Never raises."""

    def __call__(self, event: Event) -> None:
        """Write one event."""
