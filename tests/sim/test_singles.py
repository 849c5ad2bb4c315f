"""One fault at every call of every command, of every kind; then the faults stop.

Whatever happened, the invariants hold all the time, and the runs of the next days bring every
recording to its end. Pairs of faults are a fault in one run and another in the run after it.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import pytest

from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO, Command

from .faults import MEDIA_ONLY, UPLOADS_ONLY, Fault, Plan, faults_of
from .interpret import Run
from .scenes import SCENES, settle
from .world import Skew, World

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = [*product(SCENES, (1, 100), (1, 2))]
"""Every command, one case at a time and all together, without and with a second try."""

LEAST_SINGLES = {
    PROCESS: 130,
    MIGRATE_FALLBACKS: 200,
    PURGE_TWILIO: 90,
}
LEAST_BEHIND = {PROCESS: 130, MIGRATE_FALLBACKS: 150, PURGE_TWILIO: 60}
LEAST_PAIRS = {PROCESS: 250, MIGRATE_FALLBACKS: 500, PURGE_TWILIO: 90}
LEAST_DOUBLES = {PROCESS: 300, MIGRATE_FALLBACKS: 300, PURGE_TWILIO: 250}
DOUBLES = 1_000
"""How many pairs of faults in one run are tried for each command: drawn by lot, always the same."""
SECOND = frozenset({Fault.LOST, Fault.STALE, Fault.CRASH_AFTER, Fault.BUSY, Fault.TORN})
"""The faults of pairs: one of each effect that a fault can have."""
CRASHES = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER})
VARIANTS: list[dict[str, Any]] = [
    {"checksums": False},
    {"skew": Skew(ours=timedelta(hours=-30), twilio=timedelta(hours=2)), "page": 1},
    {"skew": Skew(ours=timedelta(hours=30), s3=timedelta(hours=-5)), "checksums": False},
]


def singles(world: World, run: Run, kinds: frozenset[Fault] = frozenset(Fault)) -> Iterator[World]:
    """Run once for each call and kind of fault; the worlds in which a fault was met come back."""
    calls = Run(run.command, run.window, run.attempts).on(world.fork()).calls
    for number, name in enumerate(calls, 1):
        for fault in faults_of(name):
            if fault not in kinds:
                continue
            plan = Plan({number: fault})
            after = world.fork()
            Run(run.command, run.window, run.attempts, plan=plan).on(after)
            if plan.fired:
                yield after


@pytest.mark.parametrize(("command", "window", "attempts"), SHAPES)
def test_one_fault(command: Command, window: int, attempts: int) -> None:
    schedules, states = 0, set[object]()
    for after in singles(SCENES[command](), Run(command, window, attempts)):
        schedules += 1
        state = after.fingerprint()
        if state not in states:
            states.add(state)
            assert settle(after) == []
        assert not after.violations
        assert not after.lost
    assert schedules >= LEAST_SINGLES[command]
    assert len(states) > 1


@pytest.mark.parametrize("command", SCENES)
@pytest.mark.parametrize("how", VARIANTS, ids=str)
def test_one_fault_with_wrong_clocks_and_a_poor_store(
    command: Command, how: dict[str, Any]
) -> None:
    schedules, states = 0, set[object]()
    behind = how.get("skew", Skew()).ours < timedelta()  # retention ends later, by our clock
    days, least = (3, LEAST_BEHIND) if behind else (1, LEAST_SINGLES)
    for after in singles(SCENES[command](**how), Run(command, 100, 2)):
        schedules += 1
        if after.fingerprint() not in states:
            states.add(after.fingerprint())
            assert settle(after, days) == []
        assert not after.violations
    assert schedules >= least[command]


@pytest.mark.parametrize("command", SCENES)
def test_two_faults_in_one_run(command: Command) -> None:
    schedules, states = 0, set[object]()
    calls = Run(command).on(SCENES[command]()).calls
    pairs = [
        {one: first, two: second}
        for one, two in combinations(range(1, len(calls) + 2), 2)
        for first, second in product(SECOND - CRASHES, SECOND)
        if first in faults_of(calls[one - 1])
    ]
    for at in random.Random(command.name).sample(pairs, min(DOUBLES, len(pairs))):
        plan, after = Plan(at), SCENES[command]()
        Run(command, plan=plan).on(after)
        assert not after.violations
        if len(plan.fired) == 2:
            schedules += 1
            if after.fingerprint() not in states:
                states.add(after.fingerprint())
                assert settle(after) == []
    assert schedules >= LEAST_DOUBLES[command]


@pytest.mark.parametrize("command", SCENES)
def test_two_faults_in_two_runs(command: Command) -> None:
    schedules, first, second = 0, set[object](), set[object]()
    for world in singles(SCENES[command](), Run(command)):
        if world.fingerprint() in first:
            continue
        first.add(world.fingerprint())
        for after in singles(world, Run(command)):
            schedules += 1
            if after.fingerprint() not in second:
                second.add(after.fingerprint())
                assert settle(after) == []
            assert not after.violations
    assert schedules >= LEAST_PAIRS[command]


@pytest.mark.parametrize("command", SCENES)
def test_every_kind_of_fault_is_met(command: Command) -> None:
    met: Counter[Fault] = Counter()
    calls = Run(command).on(SCENES[command]()).calls
    for number, fault in product(range(1, len(calls) + 1), Fault):
        if fault in faults_of(calls[number - 1]):
            plan = Plan({number: fault})
            Run(command, plan=plan).on(SCENES[command]())
            met.update(fault for _, _, fault in plan.fired)
    media = MEDIA_ONLY | UPLOADS_ONLY
    missing = set(Fault) - met.keys()
    assert missing <= (media if command is PURGE_TWILIO else set())


@pytest.mark.parametrize("command", SCENES)
def test_without_faults_one_day_is_enough(command: Command) -> None:
    world = SCENES[command]()
    assert settle(world) == []
    assert not world.violations
