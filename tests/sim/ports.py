"""The three ports over the world in memory, as one run sees them.

Every call goes through the run's `Wire`: it is counted, may meet a fault, may be held up while
other runs go on, and is followed by a check of the invariants.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.links import ObjectLink
from reccli.core.model import Recording, Ref, Row, S3State, StoredObject, TwilioState
from reccli.flow.ports import Key, Listing, Media, Page, Provenance

from .faults import BODY, SECONDS, CrashError, Fault, Plan, error
from .world import FRESH, LOOK, Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from .world import Past, World

T = TypeVar("T")
S = TypeVar("S")

CALL_SECONDS = 0.2
CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Glance:
    """What a run has seen last of something: which version of a system, and when.

    `at` is true time, `own` leaves out the time in which the run was held up.
    """

    version: int
    at: float
    own: float


@dataclass(slots=True)
class Wire:
    """What one run does to the world, and what it has seen of it."""

    world: World
    plan: Plan = field(default_factory=Plan)
    pause: Callable[[str], None] = lambda _name: None
    retention: timedelta = timedelta(hours=24)
    calls: list[str] = field(default_factory=list)
    rows_seen: dict[tuple[str, str], Glance] = field(default_factory=dict)
    looked: dict[tuple[str, str], Glance] = field(default_factory=dict)
    without_audio: set[str] = field(default_factory=set)
    held: float = 0.0
    held_in_all: float = 0.0

    def enter(self, name: str, service: Service) -> Fault | None:
        """Begin a call; a fault that has to do with what it carries out is handed back."""
        since = self.world.elapsed
        self.pause(name)
        self.held = self.world.elapsed - since
        self.held_in_all += self.held
        self.calls.append(name)
        number = len(self.calls)
        fault = self.plan.due(number, name)
        self.world.sleep(SECONDS.get(fault, CALL_SECONDS) if fault else CALL_SECONDS)
        match fault:
            case None:
                return None
            case Fault.CRASH_BEFORE:
                self._fire(fault)
                raise CrashError(name)
            case Fault.REFUSED | Fault.BUSY | Fault.BROKEN | Fault.TIMEOUT | Fault.DENIED:
                self._fire(fault)
                raise error(service, fault)
            case _:
                return fault

    def leave(self, service: Service, fault: Fault | None) -> None:
        """End a call whose effect has been carried out."""
        self.world.check()
        match fault:
            case Fault.CRASH_AFTER:
                self._fire(fault)
                raise CrashError(self.calls[-1])
            case Fault.LATE | Fault.LOST:
                self._fire(fault)
                raise error(service, fault)
            case _:
                pass

    def _fire(self, fault: Fault) -> None:
        self.plan.fired.append((len(self.calls), self.calls[-1], fault))

    def fire(self, fault: Fault) -> None:
        """Note a fault that a port carries out by itself."""
        self._fire(fault)

    def read(
        self, name: str, service: Service, past: Past[S], look: Callable[[S], T]
    ) -> tuple[T, int]:
        """Read from a system; answers with which version of it was read, too."""
        fault = self.enter(name, service)
        number = past.number
        answer = look(past.now)
        if fault is Fault.STALE and number:
            old = look(past.versions[number - 1])
            if old != answer:
                self._fire(fault)
                answer, number = old, number - 1
        self.leave(service, fault)
        return answer, number

    def glance(self, version: int) -> Glance:
        return Glance(version, self.world.elapsed, self.own)

    @property
    def own(self) -> float:
        """Tell the time that has passed without the time in which the run was held up."""
        return self.world.elapsed - self.held_in_all


class FakeTwilio:
    """Recordings with their media, until they are deleted: then the metadata alone."""

    regions = ("us1",)

    def __init__(self, wire: Wire) -> None:
        self._wire, self._world = wire, wire.world

    def page(self, listing: Listing, cursor: str | None) -> Page[Recording]:
        world = self._world

        def look(tapes: Mapping[str, Recording]) -> Page[Recording]:
            found = sorted(
                (tape for tape in map(world.shown, tapes.values()) if _listed(tape, listing)),
                key=lambda tape: (tape.created is not None, tape.created, tape.sid),
                reverse=True,
            )
            at = int(cursor or 0)
            end = at + self._world.page
            return Page(found[at:end], str(end) if end < len(found) else None)

        return self._wire.read("twilio.page", Service.TWILIO, self._world.tapes, look)[0]

    def fetch(self, ref: Ref) -> Recording:
        def look(tapes: Mapping[str, Recording]) -> Recording | None:
            tape = tapes.get(ref.sid)
            mine = tape and ref.region in {None, tape.region}
            return self._world.shown(tape) if tape and mine else None

        found, _ = self._wire.read("twilio.fetch", Service.TWILIO, self._world.tapes, look)
        if found is None:
            raise _permanent(Service.TWILIO, "not_found", FailureKind.GONE)
        return found

    @contextmanager
    def media(self, recording: Recording, extension: str) -> Iterator[Media]:
        self._wire.without_audio.discard(recording.sid)
        fault = self._wire.enter("twilio.media", Service.TWILIO)
        there = self._world.tapes.now[recording.sid].state is TwilioState.COMPLETED
        if fault is Fault.NO_MEDIA:
            self._wire.fire(fault)
        if fault is Fault.NO_MEDIA or not there or recording.sid in self._world.no_media:
            self._wire.without_audio.add(recording.sid)
            kind = FailureKind.NOT_YET if fault is Fault.NO_MEDIA else FailureKind.GONE
            raise _permanent(Service.TWILIO, "no_media", kind)
        body = self._world.originals[recording.sid][extension]
        if fault in BODY:
            self._wire.fire(fault)
        self._wire.leave(Service.TWILIO, fault)
        yield _media(body, fault)

    def delete(self, recording: Recording) -> ServiceError | None:
        fault = self._wire.enter("twilio.delete", Service.TWILIO)
        tape = self._world.tapes.now[recording.sid]
        if tape.state is TwilioState.COMPLETED:
            self._check_delete(tape.sid)
            self._world.delete(tape.sid)
        elif tape.state is not TwilioState.DELETED:
            self._wire.leave(Service.TWILIO, fault)
            return _permanent(Service.TWILIO, "not_completed")
        self._wire.leave(Service.TWILIO, fault)
        return None

    def prove_deleted(self, recording: Recording, refusal: ServiceError | None) -> None:
        """Look as `fetch` does: the look may fail, or show what was."""
        if self.fetch(recording.ref).state is not TwilioState.DELETED:
            late = Failure(Service.TWILIO, FailureKind.BUSY, "delete_unconfirmed", "shows late")
            raise refusal or ServiceError(late)

    def _check_delete(self, sid: str) -> None:
        """Hold I1 against the truth, with what this run could not know any more left out."""
        world, wire = self._world, self._wire
        for what in ("rows", "object"):
            seen = wire.looked.get((what, sid))
            if seen is None or wire.own - seen.own > LOOK:
                world.accuse(f"I1: {sid} is deleted on no look or an old look at its {what}")
        keys = world.proven(sid)
        if not keys:
            objects = world.objects.versions[wire.looked["object", sid].version]
            if not world.proven(sid, objects):
                world.accuse(f"I1: {sid} is deleted, and its bytes are not in S3")
            world.lost.append(f"{sid} was deleted just when its object vanished")
        elif all(self._age(key) < wire.retention for key in keys):
            world.accuse(f"I1: {sid} is deleted, and in retention")
        elif all(world.objects.now[key].unfit for key in keys):
            world.accuse(f"I1: {sid} is deleted, and its copy is not for keeps")
        if world.tapes.now[sid].duration is None:
            world.accuse(f"I1: {sid} is deleted, and nobody knows how long it is")
        self._check_rows(sid, world.rows.versions[wire.looked["rows", sid].version])

    def _check_rows(self, sid: str, rows: Mapping[str, Row]) -> None:
        """Hold I1 against the rows as this run has seen them last."""
        world = self._world
        dangling = world.dangling(sid)
        if known := dangling & world.dangling(sid, rows):
            world.accuse(f"I1: {sid} is deleted, and {known} did not name its object")
        if unnamed := world.unnamed(sid, rows):
            world.accuse(f"I1: {sid} is deleted, and {unnamed} of its call did not name it")
        for row_id in dangling:
            world.late.add((row_id, sid))
            world.lost.append(f"{row_id} got a link to Twilio just when {sid} was deleted")

    def _age(self, key: str) -> timedelta:
        return self._world.clock("s3") - self._world.objects.now[key].at


class FakeS3:
    """A bucket that checks what it is sent, and takes nothing for a key that is taken."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._world = wire, wire.world

    def observe(self, key: str, sid: str, *, read_back: bool) -> StoredObject:
        def look(objects: Mapping[str, Thing]) -> StoredObject:
            return self._judge(objects.get(key), sid, read_back=read_back)

        past = self._world.objects
        answer, version = self._wire.read("s3.observe", Service.S3, past, look)
        self._wire.looked["object", sid] = self._wire.glance(version)
        return answer

    def put(self, key: str, body: BinaryIO, provenance: Provenance) -> StoredObject:
        fault = self._wire.enter("s3.put", Service.S3)
        body.seek(0)
        arrived = body.read()
        if fault is Fault.FLIPPED:
            arrived = bytes([arrived[0] ^ 1]) + arrived[1:]
            self._wire.fire(fault)
        sha256 = hashlib.sha256(arrived).hexdigest()
        if sha256 != provenance.sha256:
            raise error(Service.S3, Fault.FLIPPED)
        if self.takes(key):
            metadata = {
                "recording-sid": provenance.recording.sid,
                "size": str(provenance.size),
                "sha256": provenance.sha256,
            }
            thing = Thing(arrived, metadata, sha256, self._world.clock("s3"))
            self._world.objects.now = {**self._world.objects.now, key: thing}
        self._wire.leave(Service.S3, fault)
        self._wire.looked["object", provenance.recording.sid] = self._wire.glance(
            self._world.objects.number
        )
        return self._judge(self._world.objects.now[key], provenance.recording.sid, read_back=False)

    def require_bucket(self) -> None:
        """Find it: there is one."""

    def keys(self, prefix: str, cursor: str | None) -> Page[Key]:
        def look(objects: Mapping[str, Thing]) -> Page[Key]:
            names = sorted(key for key in objects if key.startswith(prefix))
            found = [Key(name, objects[name].at) for name in names]
            at = int(cursor or 0)
            end = at + self._world.page
            return Page(found[at:end], str(end) if end < len(found) else None)

        return self._wire.read("s3.keys", Service.S3, self._world.objects, look)[0]

    def signs_temporarily(self) -> bool:
        return False

    def takes(self, key: str) -> bool:
        return key not in self._world.objects.now

    def presign(
        self,
        key: str,
        *,
        life: timedelta | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        return self._world.object_link(key)

    def _judge(self, thing: Thing | None, sid: str, *, read_back: bool) -> StoredObject:
        if thing is None:
            return StoredObject(S3State.ABSENT)
        told = thing.sha256 if read_back or self._world.checksums else None
        claimed = thing.metadata.get("sha256")
        mine = thing.metadata.get("recording-sid") == sid
        whole = thing.metadata.get("size") == str(len(thing.body)) and told in {None, claimed}
        if claimed is None or not mine or not whole:
            return StoredObject(S3State.CONFLICT, self._age(thing), len(thing.body), told)
        state = S3State.UNFIT if thing.unfit else S3State.VERIFIED
        age, size = self._age(thing), len(thing.body)
        return StoredObject(state, age, size, claimed, proven=told is not None, etag=thing.sha256)

    def _age(self, thing: Thing) -> timedelta:
        ages = (self._world.clock(name) - thing.at for name in ("s3", "ours"))
        return max(min(ages), timedelta())


class FakeLinks:
    """Links as people see them: one to an object opens if it is there and fit."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._world = wire, wire.world

    def open(self, url: str) -> None:
        def look(objects: Mapping[str, Thing]) -> FailureKind | None:
            link = self._world.book.parse(url)
            thing = objects.get(link.key) if isinstance(link, ObjectLink) else None
            if thing is None:
                return FailureKind.PERMANENT
            return FailureKind.ARCHIVED if thing.unfit else None

        kind, _ = self._wire.read("links.open", Service.S3, self._world.objects, look)
        if kind is not None:
            raise _permanent(Service.S3, "link", kind)


class FakeAirtable:
    """A table with link fields: the last write of a cell wins, and a write is all or nothing."""

    rows_a_find = 50
    rows_a_look = 100
    rows_a_write = 10

    def __init__(self, wire: Wire) -> None:
        self._wire, self._world = wire, wire.world

    def field_names(self) -> Mapping[str, str]:
        return {}

    def require_fields(self) -> None:
        pass

    def fallbacks(self, cursor: str | None) -> Page[Row]:
        def look(rows: Mapping[str, Row]) -> Page[Row]:
            found = [
                row for row in rows.values() if any("twilio.com" in t for t in row.links.values())
            ]
            at = int(cursor or 0)
            end = at + self._world.page
            return Page(found[at:end], str(end) if end < len(found) else None)

        answer, version = self._read("airtable.fallbacks", look)
        for row in answer.items:
            self._saw(row, self._named_in(row.links.values()), version)
        return answer

    def find(self, refs: Sequence[Ref]) -> Sequence[Row]:
        def look(rows: Mapping[str, Row]) -> list[Row]:
            return [row for row in rows.values() if any(self._of(row, ref) for ref in refs)]

        answer, version = self._read("airtable.find", look)
        for ref in refs:
            for row in answer:
                if self._of(row, ref):
                    self._saw(row, {ref.sid}, version)
            self._wire.looked["rows", ref.sid] = self._wire.glance(version)
        return answer

    def read(self, row_ids: Sequence[str]) -> Sequence[Row]:
        def look(rows: Mapping[str, Row]) -> list[Row]:
            return [rows[row_id] for row_id in row_ids if row_id in rows]

        answer, version = self._read("airtable.read", look)
        for row in answer:
            self._saw(
                row, {sid for row_id, sid in self._wire.rows_seen if row_id == row.id}, version
            )
        return answer

    def signed_until(
        self, day: date, cursor: str | None, *, holding: Sequence[str] = ()
    ) -> Page[Row]:
        def look(rows: Mapping[str, Row]) -> Page[Row]:
            signed = (
                row
                for row in rows.values()
                if any(
                    any(each in text for each in holding)
                    or (
                        (found := re.search(r"X-Amz-Date=(\d{8})", text))
                        and found[1] <= f"{day:%Y%m%d}"
                    )
                    for text in row.links.values()
                )
            )
            return Page(list(signed))

        assert cursor is None
        answer, version = self._read("airtable.signed_until", look)
        for row in answer.items:
            self._saw(row, self._named_in(row.links.values()), version)
        return answer

    def write(
        self, cells: Mapping[str, Mapping[str, str]], *, before: Callable[[], None]
    ) -> Sequence[Row]:
        before()
        fault = self._wire.enter("airtable.write", Service.AIRTABLE)
        if len(cells) > self.rows_a_write or cells.keys() - self._world.rows.now.keys():
            raise _permanent(Service.AIRTABLE, "row_not_found")
        for row_id, wanted in cells.items():
            self._check_write(row_id, wanted)
        answer = [self._world.write_row(row_id, wanted) for row_id, wanted in cells.items()]
        self._wire.leave(Service.AIRTABLE, fault)
        for row in answer:
            self._saw(row, self._named_in(cells[row.id].values()), self._world.rows.number)
        return answer

    def _read(self, name: str, look: Callable[[Mapping[str, Row]], T]) -> tuple[T, int]:
        return self._wire.read(name, Service.AIRTABLE, self._world.rows, look)

    def _of(self, row: Row, ref: Ref) -> bool:
        """Whether a formula finds a row: by its call or conference, or by what it mentions."""
        shared = self._world.stands_for[row.id] in {ref.call_sid, ref.conference_sid}
        return shared or any(ref.sid in text for text in row.links.values())

    def _named_in(self, texts: Iterable[str]) -> set[str]:
        sids = {self._world.sid_of(text) for text in texts}
        return {sid for sid in sids if sid is not None}

    def _saw(self, row: Row, sids: set[str], version: int) -> None:
        """Note a look at a row: each case has its own, though a run has many."""
        for sid in sids:
            self._wire.rows_seen[row.id, sid] = self._wire.glance(version)

    def _check_write(self, row_id: str, cells: Mapping[str, str]) -> None:
        """Hold I3 against what the case knew, or could have known with a fresh look."""
        world = self._world
        for name, text in cells.items():
            mine = world.sid_of(text) or ""
            if mine in self._wire.without_audio and "twilio.com" in text:
                world.accuse(f"I6: {row_id} gets a link to audio of {mine} that is not there")
            glance = self._wire.rows_seen.get((row_id, mine))
            if glance is None:
                world.accuse(f"I3: {row_id} is written, and was never looked at")
                return
            # Leaving out how long the request itself was on its way.
            age = world.elapsed - glance.at - self._wire.held
            seen = world.rows.versions[glance.version][row_id].links[name]
            there = world.rows.now[row_id].links[name]
            where = f"{name} of {row_id}"
            if seen and world.sid_of(seen) != mine:
                world.accuse(f"I3: {where} holds {seen}, and {text} is written over it")
            before = world.rows.versions[glance.version][row_id].links
            second = any(mine in cell for other, cell in before.items() if other != name)
            if second and mine not in seen:
                world.accuse(f"I5: {row_id} names {mine} already, and gets {text} in {name} too")
            victim = world.sid_of(there)
            if victim == mine:
                self._check_late(row_id, mine, text)
                continue
            if there and there != seen:
                if age > FRESH:
                    world.accuse(f"I3: {where} has changed, and was looked at {age:.0f} s ago")
                world.lost.append(f"{where} was written over just when it had changed")
                if victim is not None:
                    world.late.add((row_id, victim))
            self._check_late(row_id, mine, text)

    def _check_late(self, row_id: str, sid: str, text: str) -> None:
        """Note a link to Twilio that comes when the recording is gone: it is repaired later."""
        tape = self._world.tapes.now.get(sid)
        if tape is not None and tape.state is TwilioState.DELETED and "twilio.com" in text:
            self._world.late.add((row_id, tape.sid))
            self._world.lost.append(f"{row_id} got a link to Twilio for a deleted recording")


def _listed(tape: Recording, listing: Listing) -> bool:
    created = tape.created
    shared = (listing.call_sid, tape.call_sid), (listing.conference_sid, tape.conference_sid)
    if tape.status == "deleted" or any(asked not in {None, told} for asked, told in shared):
        return False
    if tape.region != listing.region:
        return False
    if created is None:
        return True
    return (listing.since or created) <= created <= (listing.until or created)


def _media(body: bytes, fault: Fault | None) -> Media:
    kind, length = "audio/mpeg", len(body)
    match fault:
        case Fault.CUT:
            return Media(kind, length, iter([body[: length // 10]]))
        case Fault.CUT_CHUNKED:
            return Media(kind, None, iter([body[: length // 10]]))
        case Fault.TORN:
            return Media(kind, length, _torn(body[: length // 10]))
        case Fault.HTML:
            page = b"<html>we will be back soon</html>"
            return Media("text/html", len(page), iter([page]))
        case _:
            chunks = (body[at : at + CHUNK] for at in range(0, length, CHUNK))
            return Media(kind, length, chunks)


def _torn(part: bytes) -> Iterator[bytes]:
    yield part
    raise error(Service.TWILIO, Fault.TORN)


def _permanent(
    service: Service, code: str, kind: FailureKind = FailureKind.PERMANENT
) -> ServiceError:
    return ServiceError(Failure(service, kind, code, code))
