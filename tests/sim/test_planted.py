"""The checker bites: bugs that others have shipped, planted one by one, and each is caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from pkgutil import resolve_name
from random import Random
from typing import Any

import pytest

from reccli.core.asked import Observation, Policy
from reccli.core.audio import Judgement, Meter
from reccli.core.errors import Failure, ServiceError
from reccli.core.links import ForeignLink, Link, LinkBook, Word
from reccli.core.model import (
    LinkState,
    Reason,
    Recording,
    Ref,
    Row,
    S3State,
    Step,
    StepKind,
    StoredObject,
)
from reccli.core.rows import RowState, Target
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO
from reccli.flow.outcome import Candidate
from reccli.flow.sides import Sides

from .faults import Fault, Plan, faults_of
from .interleave import Actor, interleave
from .interpret import Run
from .kept import audio, calls, words
from .ports import FakeS3, FakeTwilio
from .scenes import (
    DAY_SECONDS,
    FOREIGN,
    R1,
    R3,
    SCENES,
    fallbacks,
    fresh,
    impostor,
    linked,
    odd,
    settle,
    two_rows,
)
from .world import FIELDS, SECONDS, Skew, Thing, World

P, M, D = PROCESS, MIGRATE_FALLBACKS, PURGE_TWILIO
Patch = pytest.MonkeyPatch
Honest = Callable[..., Any]


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
    """Hold up a run for a day before any call, while another does all the work."""
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


def purge_first(scene: Callable[[], World]) -> Callable[[], Iterator[World]]:
    def run() -> Iterator[World]:
        world = scene()
        Run(D).on(world)
        yield world

    return run


def edits() -> Iterator[World]:
    """Paste a row with a link to Twilio while a person thinks about the deletes."""
    for held in range(14):
        world = linked()
        interleave(
            world,
            [
                Actor([Run(D)]),
                Actor([lambda world: world.add_row("rowX", 2, world.twilio_link(R3))]),
            ],
            [0] * held + [1] * 9,
        )
        yield world


def two_at_once() -> Iterator[World]:
    """Fill the empty row of a call by two runs in many orders, with nothing kept in retention."""
    for number in range(90):
        world, rng = two_rows(), Random(number)
        actors = [
            Actor([Run(M, retention=timedelta(), lots=Random(f"{number}/{who}"))])
            for who in range(2)
        ]
        interleave(world, actors, [rng.randrange(2) for _ in range(80)])
        settle(world)
        if left := world.converged():
            world.accuse(f"not repaired: {left}")
        yield world


def prefilled() -> World:
    world = fresh()
    world.edit("rowA", FIELDS[0], FOREIGN)
    return world


# The bugs


def swap(patch: Patch, target: str, make: Callable[[Honest], object]) -> None:
    """Put what MAKE makes of an honest function in its place; TARGET is `module:name`."""
    patch.setattr(target.replace(":", "."), make(resolve_name(target)))


def unconditional_put(patch: Patch) -> None:
    patch.setattr(FakeS3, "takes", lambda _self, _key: True)


def proof_never_ages(patch: Patch) -> None:
    """Take the second layer away: a look that was not taken is also an old one."""
    patch.setattr("reccli.flow.perform.DELETE_WITHIN", timedelta.max)


def delete_without_looking_again(patch: Patch) -> None:
    proof_never_ages(patch)

    def make(honest: Honest) -> object:
        def observe(sides: object, *args: object, **how: object) -> Iterator[object]:
            yield from () if how.get("prove") else honest(sides, *args, **how)

        return observe

    swap(patch, "reccli.flow.sides:Sides.observe", make)


def size_is_proof(patch: Patch) -> None:
    def judge(self: FakeS3, thing: Thing | None, sid: str, *, read_back: bool) -> StoredObject:
        if thing is None:
            return StoredObject(S3State.ABSENT)
        same = thing.metadata["size"] == str(len(thing.body))
        state = S3State.VERIFIED if same else S3State.CONFLICT
        return StoredObject(state, self._age(thing), len(thing.body), "", proven=True)

    patch.setattr(FakeS3, "_judge", judge)


def claims_are_proof(patch: Patch) -> None:
    """Trust the metadata of a store that reports no checksum."""

    def make(honest: Honest) -> object:
        def observe(s3: FakeS3, key: str, sid: str, *, read_back: bool) -> StoredObject:
            found: StoredObject = honest(s3, key, sid, read_back=False)
            return replace(found, proven=found.state is S3State.VERIFIED)

        return observe

    swap(patch, "tests.sim.ports:FakeS3.observe", make)


def unknown_rows_are_none(patch: Patch) -> None:
    proof_never_ages(patch)

    def make(honest: Honest) -> object:
        def read(sides: object) -> RowState:
            row_state: RowState = honest(sides)
            return (
                RowState(LinkState.S3_LINK) if row_state.state is LinkState.UNKNOWN else row_state
            )

        return read

    swap(patch, "reccli.flow.sides:Sides.row_state", make)


def unknown_recording_is_deleted(patch: Patch) -> None:
    def make(honest: Honest) -> object:
        def fetch(twilio: FakeTwilio, ref: Ref) -> object:
            try:
                return honest(twilio, ref)
            except ServiceError:
                return Recording(ref.sid, ref.account_sid, "us1", "deleted", ref.call_sid)

        return fetch

    swap(patch, "tests.sim.ports:FakeTwilio.fetch", make)


def foreign_links_are_free(patch: Patch) -> None:
    class Blind(LinkBook):
        def parse(self, text: str) -> Link | None:
            link = super().parse(text)
            return None if isinstance(link, ForeignLink) else link

    def make(honest: Honest) -> object:
        def cells(row: Row, target: Target, book: LinkBook, now: object) -> object:
            return honest(row, target, Blind(book.twilio, book.permalinks, book.objects), now)

        return cells

    swap(patch, "reccli.core.rows:_cells", make)


def cut_bodies_are_fine(patch: Patch) -> None:
    patch.setattr(
        Meter, "judge", lambda *_args, **_how: Judgement(None, length_alone=False, seconds=SECONDS)
    )


def retention_by_our_clock(patch: Patch) -> None:
    def age(self: FakeS3, thing: Thing) -> timedelta:
        now: datetime = self._world.now()
        return now - thing.at

    patch.setattr(FakeS3, "_age", age)


def delete_before_relink(patch: Patch) -> None:
    def make(honest: Honest) -> object:
        def decide(observation: Observation, policy: Policy, now: datetime) -> Step:
            step: Step = honest(observation, policy, now)
            due = observation.age is not None and observation.age >= policy.retention
            if step.kind is StepKind.RELINK and due:
                return Step(StepKind.DELETE, Reason.PROVEN)
            return step

        return decide

    swap(patch, "reccli.flow.case:decide", make)


def old_looks_are_good(patch: Patch) -> None:
    patch.setattr("reccli.flow.linking.FRESH", timedelta(days=9))


def archives_open(patch: Patch) -> None:
    """Take an object for a copy by its checksum alone, whatever class it lies in."""

    def make(honest: Honest) -> object:
        def observe(s3: FakeS3, key: str, sid: str, *, read_back: bool) -> StoredObject:
            found: StoredObject = honest(s3, key, sid, read_back=read_back)
            unfit = found.state is S3State.UNFIT
            return replace(found, state=S3State.VERIFIED) if unfit else found

        return observe

    swap(patch, "tests.sim.ports:FakeS3.observe", make)


def addresses_of_others_name_nobody(patch: Patch) -> None:
    patch.setattr("reccli.core.rows._elsewhere", lambda *_args: [])


def no_length_is_any_length(patch: Patch) -> None:
    patch.setattr("reccli.flow.sides.proves_length", lambda *_args, **_how: True)


def siblings_are_not_asked_for(patch: Patch) -> None:
    """Take the first free cell, as if the call had no other recording."""

    def make(honest: Honest) -> object:
        def reconcile(candidate: Candidate, rules: object, now: object) -> object:
            return honest(
                replace(candidate, siblings=candidate.siblings or (candidate.ref,)), rules, now
            )

        return reconcile

    swap(patch, "reccli.flow.run:reconcile", make)


def somebody_elses_audio(patch: Patch) -> None:
    def make(honest: Honest) -> object:
        def media(self: FakeTwilio, _recording: Recording, extension: str) -> object:
            return honest(self, self._world.tapes.now[R1], extension)

        return media

    swap(patch, "tests.sim.ports:FakeTwilio.media", make)


def words_are_free(patch: Patch) -> None:
    """Take a text that is no link for an empty cell."""

    class Blind(LinkBook):
        def parse(self, text: str) -> Link | None:
            link = super().parse(text)
            return None if isinstance(link, Word) else link

    def make(honest: Honest) -> object:
        def cells(row: Row, target: Target, book: LinkBook, now: object) -> object:
            return honest(row, target, Blind(book.twilio, book.permalinks, book.objects), now)

        return cells

    swap(patch, "reccli.core.rows:_cells", make)


def unread_rows_are_nobodys(patch: Patch) -> None:
    patch.setattr("reccli.core.rows.unread", lambda *_args: False)


def conferences_have_no_rows(patch: Patch) -> None:
    """Find a row by its call or a mention alone."""
    patch.setattr("reccli.core.rows._stands_for", lambda row, ref: row.call_sid == ref.call_sid)


def full_twins_count_as_linked(patch: Patch) -> None:
    """Be content with the row that has the link, as no other one has room for it."""

    def make(honest: Honest) -> object:
        def read(sides: object) -> RowState:
            found: RowState = honest(sides)
            twin = found.state is LinkState.FULL_TWIN
            return replace(found, state=LinkState.S3_LINK) if twin else found

        return read

    swap(patch, "reccli.flow.sides:Sides.row_state", make)


def links_to_nothing(patch: Patch) -> None:
    """Take "there is no audio" for any other failure of a download."""

    def make(honest: Honest) -> object:
        def not_copied(sides: Sides, failure: Failure) -> None:
            honest(sides, failure)
            sides.no_media = False

        return not_copied

    swap(patch, "reccli.flow.sides:Sides.not_copied", make)


def late_edit() -> Iterator[World]:
    """Fill a field in the half minute of patience that Airtable asks for."""
    for held in range(20):
        world, told = fresh(), set[str]()

        def choose(_number: int, name: str, told: set[str] = told) -> Fault | None:
            busy = name == "airtable.write" and name not in told
            told.add(name)
            return Fault.BUSY if busy else None

        run = Run(P, window=1, plan=Plan(choose=choose))
        fill = partial(World.edit, row_id="rowC", field=FIELDS[0], text=FOREIGN)
        interleave(world, [Actor([run]), Actor([fill])], [0] * held + [1] * 9)
        yield world


def hurried() -> Iterator[World]:
    """Purge by a clock that is ahead of everybody's."""
    world = linked(skew=Skew(ours=timedelta(hours=30)))
    Run(D).on(world)
    yield world


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
    "retention by our own clock": (retention_by_our_clock, hurried, "in retention"),
    "a delete before the links": (delete_before_relink, days(fallbacks), "I1"),
    "an archive taken for a copy": (archives_open, days(odd), "not for keeps"),
    "a second cell": (addresses_of_others_name_nobody, days(odd), "I5"),
    "any length taken for the right one": (no_length_is_any_length, days(odd), "how long"),
    "a write on an old look": (old_looks_are_good, late_edit, "I3"),
    "siblings not asked for": (siblings_are_not_asked_for, two_at_once, "does not refer"),
    "a word written over": (words_are_free, days(words), "I3"),
    "a row whose call is not read left out": (unread_rows_are_nobodys, days(calls), "of its call"),
    "a conference's row left out": (conferences_have_no_rows, purge_first(calls), "of its call"),
    "a full row of two left out": (full_twins_count_as_linked, days(words), "of its call"),
    "a link to audio that is not there": (links_to_nothing, days(audio), "I6"),
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
