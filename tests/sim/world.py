"""A world in memory: Twilio, S3 and Airtable as far as reccli knows them, and the invariants.

Each system has a clock of its own and keeps its past, so that a read can be answered with what
was true before. The invariants are checked after every call of a port against the whole truth,
which no run ever sees:

I1  A recording that is gone from Twilio has its original bytes in S3, in an object that is there
    for keeps and opens, every row that names it refers to that object, Twilio told how long it
    is, and its retention was over by S3's clock when it was deleted. Every row of its call or
    conference named the object then, whether or not the row's cell tells whose it is.
I2  Nothing in S3 is ever overwritten or lies under the key of another recording.
I3  A link that a person or another recording has put into a cell is never replaced.
I4  All bytes in S3 are the whole original audio of the recording that the key names.
I5  No recording fills a second cell of a row that names it already, at whatever address.
I6  No link to Twilio is written by a run to which Twilio has just said that it has no audio.

Airtable has no conditional write and no lock: what changes between the last look at a cell and
the write can be lost. I1 and I3 allow exactly that, for a look of at most `FRESH` (I3), or
`LOOK` (I1, rows and object before a delete). `lost` tells what got lost so, and `late` in which
row which recording lost its link, or got one to Twilio when it was gone from there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from reccli.core.links import Link, LinkBook, ObjectLink, TwilioLink
from reccli.core.model import Recording, Row, TwilioState
from reccli.core.naming import Naming
from reccli.sandbox.audio import mp3, wav
from tests.core.samples import ACCOUNT, BUCKET, MAIN, TRANSFER, make_book

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

S = TypeVar("S")

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIELDS = (MAIN, TRANSFER)
FRESH = 3.0
"""Seconds for which a look at a cell is good enough to write into it."""
LOOK = 60.0
"""Seconds for which the last look before a delete counts: reading an object back takes time."""
NEVER = float("inf")
NAMING = Naming("call-recordings/", "{call_sid}/{recording_sid}.{ext}", "mp3")
SECONDS = 4
"""Of audio in each recording: enough for a tenth of it to be refused as cut."""

_SID = re.compile(r"RE[0-9a-f]{32}")


def re_sid(number: int) -> str:
    return f"RE{number:032x}"


def ca_sid(number: int) -> str:
    return f"CA{number:032x}"


def cf_sid(number: int) -> str:
    return f"CF{number:032x}"


class Book(LinkBook):
    """Reads the same links over and over: remembers them, which makes schedules cheap."""

    _links: ClassVar[dict[str, Link | None]] = {}

    def parse(self, text: str) -> Link | None:
        if text not in self._links:
            self._links[text] = super().parse(text)
        return self._links[text]


class Past(Generic[S]):
    """The state of one system, and every state before it; states are never changed in place."""

    def __init__(self, first: S) -> None:
        self.versions = [first]

    @property
    def now(self) -> S:
        return self.versions[-1]

    @now.setter
    def now(self, state: S) -> None:
        self.versions.append(state)

    @property
    def number(self) -> int:
        return len(self.versions) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One object in S3. `sha256` is what S3 has computed itself; `at` is on S3's clock.

    `unfit`: it lies in an archive class, or is about to go.
    """

    body: bytes
    metadata: Mapping[str, str]
    sha256: str
    at: datetime
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class Skew:
    """How wrong each clock is."""

    twilio: timedelta = timedelta()
    s3: timedelta = timedelta()
    ours: timedelta = timedelta()


class World:
    """The truth. `page` is how many items a page of a listing holds.

    `shows_late`: for how many seconds after a delete Twilio still shows what was there.
    """

    def __init__(
        self,
        *,
        skew: Skew | None = None,
        page: int = 2,
        checksums: bool = True,
        naming: Naming = NAMING,
        shows_late: float = 0.0,
    ) -> None:
        book = make_book(apis={"us1": "https://api.twilio.com"}, s3_region="")
        self.book: LinkBook = Book(book.twilio, book.permalinks, book.objects)
        self.skew = skew or Skew()
        self.page = page
        self.checksums = checksums
        self.naming = naming
        self.shows_late = shows_late
        self.deleted_at: dict[str, float] = {}
        self.no_media: set[str] = set()
        self.stands_for: dict[str, str] = {}
        self.elapsed = 0.0
        self.originals: dict[str, dict[str, bytes]] = {}
        self.tapes: Past[dict[str, Recording]] = Past({})
        self.objects: Past[dict[str, Thing]] = Past({})
        self.rows: Past[dict[str, Row]] = Past({})
        self.referred: defaultdict[str, set[str]] = defaultdict(set)
        self.edited: set[tuple[str, str]] = set()
        self.vanished: set[str] = set()
        self.planted: set[str] = set()
        self.lost: list[str] = []
        self.late: set[tuple[str, str]] = set()
        self.violations: list[str] = []
        self.checked = (-1, -1, -1)

    def fork(self) -> World:
        """Make another world that goes on from here."""
        other = copy(self)
        other.tapes, other.objects = Past(self.tapes.now), Past(self.objects.now)
        other.rows = Past(self.rows.now)
        other.referred = defaultdict(set, {k: set(v) for k, v in self.referred.items()})
        other.edited, other.vanished = set(self.edited), set(self.vanished)
        other.late, other.no_media = set(self.late), set(self.no_media)
        other.stands_for, other.deleted_at = dict(self.stands_for), dict(self.deleted_at)
        other.lost, other.violations = list(self.lost), list(self.violations)
        other.checked = (-1, -1, -1)
        other.planted = set(self.objects.now)  # they have been checked
        return other

    # Time

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds

    def clock(self, system: str) -> datetime:
        skew: timedelta = getattr(self.skew, system)
        return START + timedelta(seconds=self.elapsed) + skew

    def now(self) -> datetime:
        return self.clock("ours")

    # Making it

    def record(
        self,
        number: int,
        call: int | None,
        status: str = "completed",
        *,
        duration: int | None = SECONDS,
        conference: int | None = None,
        hours: float = 1,
    ) -> str:
        """Let Twilio have recorded something, an hour ago and in the order of the numbers."""
        sid = re_sid(number)
        self.originals[sid] = _audio(sid)
        created = self.clock("twilio") - timedelta(hours=hours) + timedelta(seconds=number)
        tape = Recording(
            sid,
            ACCOUNT,
            "us1",
            status,
            None if call is None else ca_sid(call),
            None if conference is None else cf_sid(conference),
            duration=duration,
            channels=1,
            created=created,
        )
        self.tapes.now = {**self.tapes.now, sid: tape}
        return sid

    def add_row(
        self,
        row_id: str,
        call: int | None,
        *cells: str,
        conference: int | None = None,
        call_cell: str = "",
        fields: Mapping[str, str | None] | None = None,
    ) -> None:
        """Add a row of a call or a conference; a `call_cell` does not tell which call it is."""
        links = dict(zip(FIELDS, (*cells, *("" for _ in FIELDS)), strict=False))
        told = "" if call is None or call_cell else ca_sid(call)
        its_conference = "" if conference is None else cf_sid(conference)
        self.stands_for[row_id] = its_conference if call is None else ca_sid(call)
        self._set_row(Row(row_id, told, links, fields or {}, its_conference, call_cell))
        self.late |= {(row_id, sid) for sid in self.gone() if row_id in self.dangling(sid)}

    def store(
        self, sid: str, *, hours: float = 0, body: bytes | None = None, unfit: bool = False
    ) -> str:
        """Put an object in place as an earlier run would have; another `body` plants a fake."""
        key = self.key(sid)
        original = self.originals[sid]["mp3"]
        body = original if body is None else body
        if body != original:
            self.planted.add(key)
        metadata = {
            "recording-sid": sid,
            "size": str(len(original)),
            "sha256": sha256(original).hexdigest(),
        }
        at = self.clock("s3") - timedelta(hours=hours)
        thing = Thing(body, metadata, sha256(body).hexdigest(), at, unfit)
        self.objects.now = {**self.objects.now, key: thing}
        return key

    def key(self, sid: str) -> str:
        tape = self.tapes.now[sid]
        return self.naming.key(tape, self.rows_of(tape)) or ""

    def twilio_link(self, sid: str) -> str:
        return self.book.twilio.write(self.tapes.now[sid].ref, "mp3")

    def object_link(self, key: str, *, days: float = 0) -> str:
        """Sign a link, by our clock and so many days ago, for the longest time."""
        date = f"{self.now() - timedelta(days=days):%Y%m%dT%H%M%SZ}"
        query = f"X-Amz-Date={date}&X-Amz-Expires=604800&X-Amz-Signature=0f"
        return f"https://{BUCKET}.s3.ap-southeast-2.amazonaws.com/{key}?{query}"

    # What others do

    def edit(self, row_id: str, field: str, text: str) -> None:
        """Let a person change a cell."""
        row = self.rows.now[row_id]
        self.edited.add((row_id, field))
        self._set_row(replace(row, links={**row.links, field: text}))

    def correct(self, row_id: str, **what: object) -> None:
        """Let a person put right what a row tells of its call, or what keys are made of."""
        self._set_row(replace(self.rows.now[row_id], **what))  # type: ignore[arg-type]

    def complete(self, sid: str) -> None:
        """Let Twilio have the audio of a recording."""
        self.no_media -= {sid}
        tape = replace(self.tapes.now[sid], status="completed")
        self.tapes.now = {**self.tapes.now, sid: tape}

    def delete(self, sid: str) -> None:
        tape = replace(self.tapes.now[sid], status="deleted")
        self.deleted_at[sid] = self.elapsed
        self.tapes.now = {**self.tapes.now, sid: tape}

    def shown(self, tape: Recording) -> Recording:
        """Tell a recording as Twilio shows it now."""
        late = self.elapsed - self.deleted_at.get(tape.sid, -NEVER) < self.shows_late
        return replace(tape, status="completed") if late else tape

    def _set_row(self, row: Row) -> None:
        self.rows.now = {**self.rows.now, row.id: row}
        for text in row.links.values():
            if (sid := self.sid_of(text)) is not None:
                self.referred[sid].add(row.id)

    def write_row(self, row_id: str, cells: Mapping[str, str]) -> Row:
        """Change a row as Airtable does: other cells stay, and the last write wins."""
        row = self.rows.now[row_id]
        self._set_row(replace(row, links={**row.links, **cells}))
        return self.rows.now[row_id]

    def sid_of(self, text: str) -> str | None:
        link = self.book.parse(text)
        return link.sid if isinstance(link, TwilioLink | ObjectLink) else None

    # What is true

    def accuse(self, message: str) -> None:
        """Note a violation and stop: whatever comes after it proves nothing."""
        self.violations.append(message)
        raise AssertionError(message)

    def proven(self, sid: str, objects: Mapping[str, Thing] | None = None) -> set[str]:
        """Tell the keys at which the original bytes of a recording are."""
        things = self.objects.now if objects is None else objects
        originals = self.originals[sid].values()
        return {key for key, thing in things.items() if sid in key and thing.body in originals}

    def dangling(self, sid: str, rows: Mapping[str, Row] | None = None) -> set[str]:
        """Tell the rows that name a recording and none of its proven objects."""
        keys = self.proven(sid)
        found = set()
        for row in (self.rows.now if rows is None else rows).values():
            links = [self.book.parse(text) for text in row.links.values()]
            mine = [x for x in links if isinstance(x, TwilioLink | ObjectLink) and x.sid == sid]
            good = [x for x in mine if isinstance(x, ObjectLink) and x.key in keys]
            if len(good) < len(mine) or (not good and any(sid in t for t in row.links.values())):
                found.add(row.id)
        return found

    def rows_of(self, tape: Recording, rows: Mapping[str, Row] | None = None) -> list[Row]:
        """Tell the rows of a recording's call or conference, whatever their cells say."""
        its = {tape.call_sid, tape.conference_sid}
        found = (self.rows.now if rows is None else rows).values()
        return [row for row in found if self.stands_for[row.id] in its]

    def unnamed(self, sid: str, rows: Mapping[str, Row]) -> set[str]:
        """Tell the rows of a recording's call or conference that name no object of it."""
        found = set()
        for row in self.rows_of(self.tapes.now[sid], rows):
            links = (self.book.parse(text) for text in row.links.values())
            if not any(isinstance(link, ObjectLink) and link.sid == sid for link in links):
                found.add(row.id)
        return found

    def forgotten(self, sid: str) -> set[str]:
        """Tell the rows that referred to a recording once, and do not although nobody edited."""
        edited = {row_id for row_id, _ in self.edited}
        rows = self.rows.now
        return {
            row_id
            for row_id in self.referred[sid]
            if row_id in rows
            and row_id not in edited
            and not any(self.sid_of(text) == sid for text in rows[row_id].links.values())
        }

    def gone(self) -> Iterable[str]:
        return (sid for sid, tape in self.tapes.now.items() if tape.status == "deleted")

    def converged(self) -> list[str]:
        """Tell what is still to do, in words; nothing when all is as it should be."""
        todo = []
        rows = self.rows.now
        for sid, tape in self.tapes.now.items():
            if tape.state is TwilioState.FAILED:
                continue
            if not self.proven(sid):
                todo.append(f"{sid} is not in S3")
            if tape.status != "deleted":
                todo.append(f"{sid} is still on Twilio")
            todo.extend(f"{row_id} dangles for {sid}" for row_id in self.dangling(sid))
            missing = sorted(self.unnamed(sid, rows))
            todo.extend(f"{row_id} does not refer to {sid}" for row_id in missing)
        return todo

    def fingerprint(self) -> tuple[object, ...]:
        """Name the state as far as it matters to what can happen next."""
        objects = tuple(
            (key, thing.sha256, (self.clock("s3") - thing.at) // timedelta(hours=1))
            for key, thing in sorted(self.objects.now.items())
        )
        rows = tuple(
            (row.id, *(text.split("?")[0] for text in row.links.values()))
            for row in sorted(self.rows.now.values(), key=lambda row: row.id)
        )
        return tuple(tape.status for tape in self.tapes.now.values()), objects, rows

    # The invariants that need no knowledge of who did it; the ports check the others

    def check(self) -> None:
        """Check what has changed since the last check."""
        versions = (self.tapes.number, self.objects.number, self.rows.number)
        if versions == self.checked:
            return
        for old, new in zip(
            self.objects.versions[max(self.checked[1], 0) : -1],
            self.objects.versions[max(self.checked[1], 0) + 1 :],
            strict=True,
        ):
            self._check_objects(old, new)
        self.checked = versions
        for sid in self.gone():
            if not self.proven(sid) and sid not in self.vanished:
                self.accuse(f"I1: {sid} is gone from Twilio, and its bytes are not in S3")
            late = {row_id for row_id, victim in self.late if victim == sid}
            if forgotten := self.forgotten(sid) - late:
                self.accuse(f"I1: {sid} is gone from Twilio, and {forgotten} forgot it")
            if dangling := self.dangling(sid) - late:
                self.accuse(f"I1: {sid} is gone from Twilio, and {dangling} still links it there")

    def _check_objects(self, old: Mapping[str, Thing], new: Mapping[str, Thing]) -> None:
        for key, thing in old.items():
            if new.get(key) is not thing and key not in self.vanished:
                self.accuse(f"I2: the object at {key} was overwritten or removed")
        for key in new.keys() - old.keys() - self.planted:
            sids = set(_SID.findall(key))
            owner = sids.pop() if len(sids) == 1 else ""
            audio = self.originals.get(owner, {}).values()
            if new[key].body not in audio:
                self.accuse(f"I4: what lies at {key} is not the whole of {owner}")
            if new[key].metadata["recording-sid"] != owner:
                self.accuse(f"I2: {key} says that it is {new[key].metadata['recording-sid']}")


@cache
def _audio(sid: str) -> dict[str, bytes]:
    return {"mp3": mp3(sid, SECONDS), "wav": wav(sid, SECONDS)}
