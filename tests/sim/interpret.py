"""Runs the commands as they ship, with the runner of production, over the world in memory.

All in one thread and by the clock of the world, so that a run is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random

from reccli.core.asked import Policy
from reccli.core.guard import Due, Limits
from reccli.core.model import S3State, StepKind
from reccli.flow.checks import Checks
from reccli.flow.commands import Asked, Backlog, Command
from reccli.flow.executors import Pace
from reccli.flow.gate import Guard
from reccli.flow.outcome import Outcome, Rules
from reccli.flow.retry import Backoff, Retry
from reccli.flow.run import Runner
from reccli.flow.services import Services
from reccli.flow.source import Sources

from .faults import CrashError, Plan
from .inline import AnyOrder, Inline, executors
from .ports import FakeAirtable, FakeLinks, FakeS3, FakeTwilio, Wire
from .world import World

DAY = timedelta(hours=24)
LOOK_BACK = timedelta(days=3)
GUARD_SECONDS = 600.0
"""How long a person thinks before the deletes may begin."""


@dataclass(slots=True)
class Run:
    """One run of a command: what it may do, and what came of it.

    `window` is how many cases take turns; with 1, one ends before the next begins. With `lots`,
    answers come in an order that is drawn, else in that of the questions.
    """

    command: Command
    window: int = 100
    attempts: int = 2
    retention: timedelta = DAY
    plan: Plan = field(default_factory=Plan)
    pause: Callable[[str], None] = lambda _name: None
    lots: Random | None = None
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
        def confirm(_due: Due) -> bool:
            world.sleep(GUARD_SECONDS)
            return True

        def elapsed() -> float:
            return world.elapsed

        asked = Asked(self.command)
        any_order = AnyOrder(self.lots, elapsed) if self.lots else None
        runner = Runner(
            services,
            Rules(asked, Policy(self.retention), services.book, world.naming),
            Guard(Limits(max_deletes=5000, max_delete_fraction=1.0), confirm),
            lambda _event: None,
            pace=Pace(window=self.window),
            executors=executors(any_order or Inline()),
            clock=any_order.clock if any_order else elapsed,
            on_outcome=partial(self._finish, world),
        )
        sources, backlog = Sources(services), Backlog(since=world.now() - LOOK_BACK)
        runner.run(asked.items(sources, backlog), sources)

    def _finish(self, world: World, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        sid = outcome.sid or ""
        if outcome.step.kind is StepKind.LOST and not _lost(sid, world):
            world.accuse(f"{sid} is told to be lost, and is not")
        if outcome.s3 is S3State.VERIFIED and not world.proven(sid) and world.checksums:
            world.accuse(f"{sid} is told to be in S3, and is not")


def _lost(sid: str, world: World) -> bool:
    deleted = world.tapes.now[sid].status == "deleted"
    return deleted and not world.proven(sid)
