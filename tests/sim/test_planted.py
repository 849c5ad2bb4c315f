"""The checker bites: bugs that others have shipped, planted one by one, and each is caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import product

import pytest

from reccli.core import rows as core_rows
from reccli.core.errors import ServiceError
from reccli.core.links import ForeignLink
from reccli.core.model import LinkState, Recording, Ref, Row, S3State, Step, StoredObject
from reccli.core.model import Reason, StepKind
from reccli.core.rows import Subject, Survey
from reccli.flow import case as flow_case
from reccli.flow import copy as flow_copy
from reccli.flow import perform as flow_perform
from reccli.flow.commands import Command

from . import ports
from .faults import Fault, Plan, faults_of
from .interleave import Actor, interleave
from .interpret import DAY, Run
from .ports import FakeS3, FakeTwilio
from .scenes import DAY_SECONDS, FOREIGN, R1, R3, SCENES, fallbacks, fresh, linked, settle
from .world import FIELDS, Skew, World

P, M, D = Command.PROCESS, Command.MIGRATE_FALLBACKS, Command.PURGE_TWILIO
Patch = pytest.MonkeyPatch


def impostor() -> World:
    """Bytes of the right size and metadata that claims the rest, under the key of R1."""
    world = fresh()
    world.store(R1, hours=30, body=bytes(len(world.originals[R1]["mp3"])))
    return world


def singles() -> Iterator[World]:
    """One fault at every call of every command, each followed by the next days."""
    for command, window in product(SCENES, (1, 100)):
        calls = Run(command, window).on(SCENES[command]()).calls
        for number, name in enumerate(calls, 1):
            for fault in faults_of(name):
                world = SCENES[command]()
                Run(command, window, plan=Plan({number: fault})).on(world)
                settle(world)
                yield world


def late_put() -> Iterator[World]:
    """A run is held up for a day before any call, and another one does all the work."""
    for held in range(16):
        world = fresh()
        actors = [Actor([Run(P)]), Actor([Run(P), DAY_SECONDS, Run(D)])]
        interleave(world, actors, [0] * held + [1] * 1_000)
        yield world


def days(scene: Callable[[], World]) -> Callable[[], Iterator[World]]:
    def run() -> Iterator[World]:
        world = scene()
        settle(world, 2)
        yield world

    return run


def edits() -> Iterator[World]:
    """A row with a link to Twilio is pasted while a person thinks about the deletes."""
    for held in range(14):
        world = linked()
        paste: Callable[[World], None] = lambda world: world.add_row(  # noqa: E731
            "rowX", 2, world.twilio_link(R3)
        )
        interleave(world, [Actor([Run(D)]), Actor([paste])], [0] * held + [1] * 9)
        yield world


def prefilled() -> World:
    world = fresh()
    world.edit("rowA", FIELDS[0], FOREIGN)
    return world


# The bugs


def unconditional_put(patch: Patch) -> None:
    patch.setattr(FakeS3, "takes", lambda _self, _key: True)


def delete_without_looking_again(patch: Patch) -> None:
    def unseen(self: flow_case._Case, *_args: object, **_how: object) -> Iterator[object]:
        yield from () if self.approved else looks(self, *_args, **_how)  # type: ignore[arg-type]

    looks = flow_case._Case._observe
    patch.setattr(flow_case._Case, "_observe", unseen)


def size_is_proof(patch: Patch) -> None:
    def judge(
        self: FakeS3, thing: ports.Thing | None, sid: str, *, read_back: bool
    ) -> StoredObject:
        if thing is None:
            return StoredObject(S3State.ABSENT)
        same = thing.metadata["size"] == str(len(thing.body))
        state = S3State.VERIFIED if same else S3State.CONFLICT
        return StoredObject(state, self._age(thing), len(thing.body), "", proven=True)

    patch.setattr(FakeS3, "_judge", judge)


def claims_are_proof(patch: Patch) -> None:
    """Trust the metadata of a store that reports no checksum."""

    def observe(self: FakeS3, key: str, sid: str, *, read_back: bool) -> StoredObject:
        found = honest(self, key, sid, read_back=False)
        known = found.state is S3State.VERIFIED
        return StoredObject(found.state, found.age, found.size, found.sha256, proven=known)

    honest = FakeS3.observe
    patch.setattr(FakeS3, "observe", observe)


def unknown_rows_are_none(patch: Patch) -> None:
    def read(self: flow_case._Case) -> Survey:
        survey = honest(self)
        return Survey(LinkState.S3_LINK) if survey.state is LinkState.UNKNOWN else survey

    honest = flow_case._Case._survey
    patch.setattr(flow_case._Case, "_survey", read)


def unknown_recording_is_deleted(patch: Patch) -> None:
    def fetch(self: FakeTwilio, ref: Ref) -> Recording:
        try:
            return honest(self, ref)
        except ServiceError:
            return Recording(ref.sid, ref.account_sid, "us1", "deleted", ref.call_sid)

    honest = FakeTwilio.fetch
    patch.setattr(FakeTwilio, "fetch", fetch)


def foreign_links_are_free(patch: Patch) -> None:
    class Blind(type(fresh().book)):  # type: ignore[misc]
        def parse(self, text: str) -> object:
            link = super().parse(text)
            return None if isinstance(link, ForeignLink) else link

    def slots(row: Row, subject: Subject, book: object, now: object) -> object:
        return honest(row, subject, Blind(**{n: getattr(book, n) for n in NAMES}), now)  # type: ignore[arg-type]

    honest = core_rows._slots
    patch.setattr(core_rows, "_slots", slots)


NAMES = ("account_sid", "apis", "bucket")


def cut_bodies_are_fine(patch: Patch) -> None:
    patch.setattr(flow_copy, "refusal", lambda *_args: None)


def retention_by_our_clock(patch: Patch) -> None:
    def age(self: FakeS3, thing: ports.Thing) -> timedelta:
        return self._world.now() - thing.at

    patch.setattr(FakeS3, "_age", age)


def delete_before_relink(patch: Patch) -> None:
    def decide(observation: object, policy: object, now: object) -> Step:
        step = honest(observation, policy, now)  # type: ignore[arg-type]
        due = observation.age is not None and observation.age >= DAY  # type: ignore[attr-defined]
        if step.kind is StepKind.RELINK and due:
            return Step(StepKind.DELETE, Reason.PROVEN)
        return step

    honest = flow_case.decide
    patch.setattr(flow_case, "decide", decide)


def old_looks_are_good(patch: Patch) -> None:
    patch.setattr(flow_perform, "FRESH", timedelta(days=9))


def somebody_elses_audio(patch: Patch) -> None:
    def media(self: FakeTwilio, recording: Recording, extension: str) -> object:
        other = self._world.tapes.now[R1]
        return honest(self, other, extension)

    honest = FakeTwilio.media
    patch.setattr(FakeTwilio, "media", media)


def late_edit() -> Iterator[World]:
    """Airtable asks for half a minute of patience, and a person fills the field meanwhile."""
    for held in range(20):
        world, told = fresh(), set[str]()

        def choose(_number: int, name: str, told: set[str] = told) -> Fault | None:
            busy = name == "airtable.write" and name not in told
            told.add(name)
            return Fault.BUSY if busy else None

        run = Run(P, window=1, plan=Plan(choose=choose))
        fill: Callable[[World], None] = lambda world: world.edit("rowC", FIELDS[0], FOREIGN)  # noqa: E731
        interleave(world, [Actor([run]), Actor([fill])], [0] * held + [1] * 9)
        yield world


def early(scene: Callable[..., World]) -> Callable[[], World]:
    return lambda: scene(skew=Skew(ours=timedelta(hours=30)))


def no_checksums() -> World:
    world = impostor()
    world.checksums = False
    return world


BUGS: dict[str, tuple[Callable[[Patch], None], Callable[[], Iterator[World]], str]] = {
    "an unconditional put": (unconditional_put, late_put, "I2"),
    "an unconditional put, tried again": (unconditional_put, singles, "I2"),
    "a delete without another look": (delete_without_looking_again, edits, "I1"),
    "size as proof": (size_is_proof, days(impostor), "told to be in S3"),
    "claims as proof": (claims_are_proof, days(no_checksums), "I1"),
    "unknown rows read as none": (unknown_rows_are_none, singles, "I1"),
    "an unknown recording read as deleted": (unknown_recording_is_deleted, singles, "to be lost"),
    "links of others written over": (foreign_links_are_free, days(prefilled), "I3"),
    "a cut body accepted": (cut_bodies_are_fine, singles, "I4"),
    "retention by our own clock": (retention_by_our_clock, days(early(linked)), "in retention"),
    "a delete before the links": (delete_before_relink, days(fallbacks), "I1"),
    "a write on an old look": (old_looks_are_good, late_edit, "I3"),
    "the audio of another recording": (somebody_elses_audio, days(fresh), "I4"),
}


def violations(schedules: Callable[[], Iterator[World]]) -> list[str]:
    """Collect what the checker finds until it finds something."""
    worlds: list[World] = []
    honest = World.__init__

    def remember(self: World, **how: object) -> None:
        honest(self, **how)  # type: ignore[arg-type]
        worlds.append(self)

    with pytest.MonkeyPatch.context() as patch, suppress(AssertionError):
        patch.setattr(World, "__init__", remember)
        for _ in schedules():
            pass
    return [line for world in worlds for line in world.violations]


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, monkeypatch: Patch) -> None:
    plant, schedules, expected = BUGS[name]
    plant(monkeypatch)
    found = violations(schedules)
    assert found
    assert expected in found[0]


@pytest.mark.parametrize("name", BUGS)
def test_nothing_is_caught_without_it(name: str) -> None:
    if BUGS[name][1] is not singles:  # which have a test of their own
        assert violations(BUGS[name][1]) == []
