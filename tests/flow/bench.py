"""The real runner, with its threads, over the world in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from reccli.core.asked import Policy
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.guard import Due, Limits
from reccli.flow.checks import Checks
from reccli.flow.commands import Asked, Backlog, Command
from reccli.flow.executors import Pace
from reccli.flow.gate import Guard
from reccli.flow.outcome import Candidate, Outcome, Rules
from reccli.flow.ports import Event
from reccli.flow.result import Result
from reccli.flow.retry import Backoff, Retry
from reccli.flow.run import Runner
from reccli.flow.services import Services
from reccli.flow.source import Sources
from tests.sim.faults import Plan
from tests.sim.ports import FakeAirtable, FakeLinks, FakeS3, FakeTwilio, Wire
from tests.sim.world import NAMING, World, re_sid

FAST = Pace(concurrency=8, rows_linger=0.02, links_linger=0.05)
LIMITS = Limits(max_deletes=5000, max_delete_fraction=1.0)
NONE = timedelta()


class OneAtATime:
    """A port whose calls exclude each other: the fakes know no threads."""

    def __init__(self, port: Any, bench: Bench) -> None:  # noqa: ANN401 - any of the three
        self._port, self._bench = port, bench

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: object, **how: object) -> object:
            self._bench.on_call(name, *args)
            with self._bench.lock:
                if name != "media":
                    return found(*args, **how)
                with found(*args, **how) as media:
                    return nullcontext(media)

        return call


@dataclass
class Bench:
    """One run: what it meets, how it is paced, and what was seen of it."""

    world: World
    plan: Plan = field(default_factory=Plan)
    pace: Pace = FAST
    limits: Limits = LIMITS
    backoff: Backoff = field(default_factory=lambda: Backoff(attempts=2))
    confirm: Callable[[Due], bool] = lambda _due: True
    on_call: Callable[..., None] = lambda *_args: None
    retention: timedelta = timedelta(hours=24)
    dry_run: bool = False
    limit: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: Any = field(default_factory=threading.RLock)
    calls: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        wire = Wire(self.world, self.plan, retention=self.retention, calls=self.calls)
        s3, links = OneAtATime(FakeS3(wire), self), OneAtATime(FakeLinks(wire), self)
        airtable = OneAtATime(FakeAirtable(wire), self)
        retry = Retry(self.backoff, sleep=self.world.sleep, now=self.world.now)
        self.services = Services(
            OneAtATime(FakeTwilio(wire), self),
            s3,
            airtable,
            self.world.book,
            retry,
            self.world.now,
            Checks(s3, links, self.world.book, retry, self.world.now, airtable=airtable),
        )
        self.sources = Sources(self.services)

    def run(self, command: Command, items: Iterator[Candidate | Outcome] | None = None) -> Result:
        asked = Asked(command, dry_run=self.dry_run, limit=self.limit)
        rules = Rules(asked, Policy(self.retention), self.services.book, NAMING)
        result = Result(asked=asked)
        runner = Runner(
            self.services,
            rules,
            Guard(self.limits, self.confirm),
            self._tell,
            pace=self.pace,
            stop=self.stop,
            on_outcome=result.add,
        )
        if items is None:
            items = self.items(command)
        result.ended(runner.run(items, self.sources))
        return result

    def items(self, command: Command) -> Iterator[Candidate | Outcome]:
        backlog = Backlog(since=self.world.now() - timedelta(days=3))
        return Asked(command).items(self.sources, backlog)

    def _tell(self, event: Event) -> None:
        self.events.append(event)

    def count(self, name: str) -> int:
        return self.calls.count(name)


def many(count: int, *, stored: bool = True, linked: bool = False, row: bool = True) -> World:
    """Make calls with one recording each: stored long ago or not, linked or with a fallback."""
    world = World(page=100)
    for number in range(1, count + 1):
        sid = world.record(number, number)
        key = world.store(sid, hours=30) if stored else world.key(sid)
        if row:
            link = world.object_link(key) if linked else world.twilio_link(sid)
            world.add_row(f"row{number}", number, link)
    return world


def links(world: World) -> dict[str, str]:
    """Tell what the first field of each row holds, without signatures."""
    return {row.id: next(iter(row.links.values())).split("?")[0] for row in world.rows.now.values()}


def failure(
    kind: FailureKind = FailureKind.OUTAGE, service: Service = Service.AIRTABLE, code: str = "made"
) -> ServiceError:
    return ServiceError(Failure(service, kind, code, f"made up: {kind}"))


def outcome_of(result: Result, number: int) -> Outcome:
    (found,) = (outcome for outcome in result.outcomes if outcome.sid == re_sid(number))
    return found
