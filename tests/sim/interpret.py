"""Runs the commands in one thread: the cases of production, their effects, and the fakes.

What the runner adds in production, threads and pace, is tested on its own. Here the cases of a
run take turns, effect by effect, and looks at rows and writes of links are gathered over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from reccli.core.asked import Policy
from reccli.core.model import S3State, StepKind
from reccli.flow.case import Case, reconcile
from reccli.flow.checks import Checks
from reccli.flow.commands import Asked, Backlog, Command
from reccli.flow.effects import AskGuard, Effect, ObserveRows, Record, WriteLinks
from reccli.flow.linking import write_links
from reccli.flow.outcome import Candidate, Outcome, Rules
from reccli.flow.perform import find_rows, perform
from reccli.flow.retry import Backoff, Retry
from reccli.flow.services import Services
from reccli.flow.source import Sources

from .faults import CrashError, Plan
from .ports import FakeAirtable, FakeLinks, FakeS3, FakeTwilio, Wire
from .world import World

DAY = timedelta(hours=24)
LOOK_BACK = timedelta(days=3)
GUARD_SECONDS = 600.0
"""How long a person thinks before the deletes may begin."""


@dataclass(slots=True)
class Run:
    """One run of a command: what it may do, and what came of it.

    `window` is how many cases take turns; with 1, one ends before the next begins.
    """

    command: Command
    window: int = 100
    attempts: int = 2
    retention: timedelta = DAY
    plan: Plan = field(default_factory=Plan)
    pause: Callable[[str], None] = lambda _name: None
    outcomes: list[Outcome] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    crashed: bool = False

    def on(self, world: World) -> Run:
        """Run from a fresh start, as a new process would, until the end or a crash."""
        wire = Wire(world, self.plan, self.pause, self.retention, self.calls)
        retry = Retry(Backoff(attempts=self.attempts), sleep=world.sleep, now=world.now)
        s3, airtable = FakeS3(wire), FakeAirtable(wire)
        checks = Checks(s3, FakeLinks(wire), world.book, retry, world.now, airtable=airtable)
        services = Services(FakeTwilio(wire), s3, airtable, world.book, retry, world.now, checks)
        try:
            self._run(services, world)
        except CrashError:
            self.crashed = True
        return self

    def _run(self, services: Services, world: World) -> None:
        rules = Rules(self.command.may, Policy(self.retention), services.book, world.naming)
        items = _items(self.command, Sources(services))
        asked = False
        while chunk := list(islice(items, self.window)):
            turns: list[tuple[Case, Any]] = []
            for item in chunk:
                if isinstance(item, Outcome):
                    self.outcomes.append(item)
                else:
                    turns.append((reconcile(item, rules, services.now()), None))
            parked: list[Case] = []
            while turns or parked:
                if not turns:
                    world.sleep(0 if asked else GUARD_SECONDS)
                    asked, turns, parked = True, [(case, None) for case in parked], []
                waiting = [pair for turn in turns if (pair := self._next(*turn, world))]
                parked += [case for case, effect in waiting if isinstance(effect, AskGuard)]
                waiting = [turn for turn in waiting if turn[0] not in parked]
                turns = list(_answers(waiting, services))

    def _next(self, case: Case, reply: object, world: World) -> tuple[Case, Effect[object]] | None:
        try:
            effect = case.send(reply)
            while isinstance(effect, Record):
                effect = case.send(None)
        except StopIteration as end:
            self._finish(end.value, world)
            return None
        return case, effect

    def _finish(self, outcome: Outcome, world: World) -> None:
        self.outcomes.append(outcome)
        sid = outcome.sid or ""
        if outcome.step.kind is StepKind.LOST and not _lost(sid, world):
            world.accuse(f"{sid} is told to be lost, and is not")
        if outcome.s3 is S3State.VERIFIED and not world.proven(sid) and world.checksums:
            world.accuse(f"{sid} is told to be in S3, and is not")


def _lost(sid: str, world: World) -> bool:
    deleted = world.tapes.now[sid].status == "deleted"
    return deleted and not world.proven(sid)


def _items(command: Command, sources: Sources) -> Iterator[Candidate | Outcome]:
    return Asked(command).items(sources, Backlog(since=sources.services.now() - LOOK_BACK))


def _answers(
    waiting: list[tuple[Case, Effect[object]]], services: Services
) -> Iterator[tuple[Case, Any]]:
    """Carry out the effects that cases wait for: rows at once, links at once, others singly."""
    rows: list[tuple[Case, ObserveRows]] = []
    links: list[tuple[Case, WriteLinks]] = []
    for case, effect in waiting:
        match effect:
            case ObserveRows():
                rows.append((case, effect))
            case WriteLinks():
                links.append((case, effect))
            case Record() | AskGuard():
                yield case, None
            case _:
                yield case, perform(effect, services)
    size = services.airtable.rows_a_find
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        found = find_rows([effect for _, effect in batch], services)
        yield from zip((case for case, _ in batch), found, strict=True)
    answers = write_links([effect for _, effect in links], services) if links else []
    yield from zip((case for case, _ in links), answers, strict=True)
