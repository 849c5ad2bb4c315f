"""Two runs at once, and people at work in the table, in every order that can be listed.

A run can be held up before any call, for any time: between the download and the upload, and
between the last look at a row and the write of it. What two looks and no lock can't prevent is
allowed, told in `World.lost`, and must have been repaired when the runs after it have ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import product

import pytest

from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO, Command

from .faults import Fault, Plan
from .interleave import Actor, interleave
from .interpret import DAY, Run
from .scenes import DAY_SECONDS, FOREIGN, R1, R3, fallbacks, fresh, linked, settle, two_rows
from .scenes import three as three_of_one_call
from .world import FIELDS, World, ca_sid

P, M, D = PROCESS, MIGRATE_FALLBACKS, PURGE_TWILIO
NOW = timedelta()
END = 10_000
"""More turns than any actor takes."""

Deeds = Callable[[], list[Actor]]


def s3_is_down() -> Plan:
    return Plan(choose=lambda _number, name: Fault.BROKEN if name == "s3.put" else None)


def pair(one: Callable[[], list[Run | float]], two: Callable[[], list[Run | float]]) -> Deeds:
    return lambda: [Actor(one()), Actor(two())]


def twice(command: Command, **how: timedelta | int) -> Deeds:
    def run() -> list[Run | float]:
        return [Run(command, **how)]  # type: ignore[arg-type]

    return pair(run, run)


SCENARIOS: dict[str, tuple[Callable[[], World], Deeds]] = {
    "migrate and migrate": (fallbacks, twice(M)),
    "migrate and migrate, no retention": (fallbacks, twice(M, retention=NOW)),
    "migrate and purge, no retention": (
        fallbacks,
        pair(lambda: [Run(M, retention=NOW)], lambda: [Run(D, retention=NOW)]),
    ),
    "migrate twice, a row without links": (two_rows, twice(M, retention=NOW)),
    "process and process": (fresh, twice(P)),
    "process and process, case by case": (fresh, twice(P, window=1)),
    "process and purge": (linked, pair(lambda: [Run(P)], lambda: [Run(D)])),
    "process and migrate": (two_rows, pair(lambda: [Run(P)], lambda: [Run(M, retention=NOW)])),
    "process in an outage, and after it": (
        fresh,
        pair(lambda: [Run(P, plan=s3_is_down())], lambda: [Run(P), Run(M, retention=NOW)]),
    ),
    "a put that comes a day late": (
        fresh,
        pair(lambda: [Run(P)], lambda: [Run(P), DAY_SECONDS, Run(D)]),
    ),
    "a fallback that comes a day late": (
        fresh,
        pair(lambda: [Run(P, plan=s3_is_down())], lambda: [Run(P), DAY_SECONDS, Run(D)]),
    ),
}

STEP = 6
"""Every how many calls the second of two switches falls; the first one falls twice as often."""
DAYS = 2
"""What somebody changed between two looks may take a day more."""
SEEDS = 185
"""Random schedules for each scenario."""


SETTLED: dict[object, list[str]] = {}
"""What was left to do after some days: many schedules lead to the same world."""


def left_after(world: World) -> list[str]:
    state = world.fingerprint()
    if state not in SETTLED:
        SETTLED[state] = settle(world, DAYS)
    assert not world.violations
    return SETTLED[state]


def went_well(world: World, actors: list[Actor], turns: Iterable[int]) -> None:
    interleave(world, actors, turns)
    assert left_after(world) == []


def steps(scene: Callable[[], World], deeds: Deeds, number: int) -> int:
    actors = deeds()
    interleave(scene(), actors, [number] * END)
    return actors[number].steps


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_is_held_up_while_the_other_goes_to_its_end(name: str) -> None:
    scene, deeds = SCENARIOS[name]
    schedules = 0
    for order in (0, 1):
        for held in range(steps(scene, deeds, order) + 1):
            turns = [order] * held + [1 - order] * END
            went_well(scene(), deeds(), turns)
            schedules += 1
    assert schedules >= 18


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_are_held_up_once(name: str) -> None:
    scene, deeds = SCENARIOS[name]
    schedules = 0
    for order in (0, 1):
        one, two = (steps(scene, deeds, who) for who in (order, 1 - order))
        for first, second in product(range(1, one, 3), range(1, two, STEP)):
            turns = [order] * first + [1 - order] * second + [order] * END
            went_well(scene(), deeds(), turns)
            schedules += 1
    assert schedules >= 8


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_order(name: str) -> None:
    scene, deeds = SCENARIOS[name]
    orders = set[tuple[int, ...]]()
    for seed in range(SEEDS):
        rng = random.Random(f"{name}/{seed}")
        turns: list[int] = []
        while len(turns) < 100:
            turns += [rng.randrange(2)] * rng.choice((1, 1, 2, 3, 8))
        orders.add(tuple(turns))
        actors = deeds()
        for deed in (deed for actor in actors for deed in actor.deeds):
            if isinstance(deed, Run):
                deed.lots = rng if seed % 2 else None
        went_well(scene(), actors, turns)
    assert len(orders) == SEEDS


def test_any_order_and_any_faults() -> None:
    met = 0
    for seed, name in product(range(40), SCENARIOS):
        scene, deeds = SCENARIOS[name]
        world, actors = scene(), deeds()
        rng = random.Random(f"{name}/{seed}/faults")
        plans = [_some_faults(rng, actor) for actor in actors]
        went_well(world, actors, [rng.randrange(2) for _ in range(100)])
        met += sum(len(plan.fired) for plan in plans)
    assert met > 700


def _some_faults(rng: random.Random, actor: Actor) -> Plan:
    kinds = [fault for fault in Fault if fault is not Fault.STALE]
    plan = Plan(choose=lambda _n, _name: rng.choice(kinds) if rng.random() < 0.1 else None)
    for deed in actor.deeds:
        if isinstance(deed, Run):
            deed.plan = plan
    return plan


def test_three_recordings_of_a_call_with_two_fields() -> None:
    """The third has no field: it is kept on Twilio, and the first two are as ever."""
    rng = random.Random(3)
    for _ in range(90):
        world = three_of_one_call()
        interleave(world, twice(P)(), [rng.randrange(2) for _ in range(60)])
        left = settle(world, DAYS)
        assert [line for line in left if R1 in line] == []
        assert f"{R3} is still on Twilio" in left
        assert world.proven(R3)
        assert not world.violations
        assert not world.lost


# People


def put_in(row_id: str, field: int, text: str) -> Callable[[World], None]:
    return partial(World.edit, row_id=row_id, field=FIELDS[field], text=text)


def paste_a_row(world: World) -> None:
    """Copy a call by hand, with the link to Twilio that the first version wrote."""
    world.add_row("rowX", 2, world.twilio_link(R3))


EDITS: dict[str, Callable[[World], None]] = {
    "fills the first field": put_in("rowA", 0, FOREIGN),
    "fills the second field": put_in("rowA", 1, FOREIGN),
    "fills a field of one row of two": put_in("rowC", 0, FOREIGN),
    "clears a field": put_in("rowB", 0, ""),
    "pastes a row": paste_a_row,
}
RUNS: list[tuple[Callable[[], World], Command, timedelta]] = [
    (fresh, P, DAY),
    (fallbacks, M, DAY),
    (fallbacks, M, NOW),
    (linked, D, DAY),
    (linked, D, NOW),
]


def edited_schedules(edit: Callable[[World], None], **how: object) -> Iterator[World]:
    """Run each command, and change the table before each of its calls, one schedule for each."""
    for scene, command, retention in RUNS:

        def deeds(command: Command = command, retention: timedelta = retention) -> list[Actor]:
            run = Run(command, window=1, retention=retention, **how)  # type: ignore[arg-type]
            return [Actor([run]), Actor([edit])]

        for held in range(steps(scene, deeds, 0) + 1):
            world = scene()
            interleave(world, deeds(), [0] * held + [1] * END)
            yield world


@pytest.mark.parametrize("name", EDITS)
def test_a_person_changes_the_table_at_any_time(name: str) -> None:
    schedules = 0
    for world in edited_schedules(EDITS[name]):
        schedules += 1
        left = left_after(world)
        texts = [text for row in world.rows.now.values() for text in row.links.values()]
        if name.startswith("fills"):
            assert FOREIGN in texts or world.lost
        elif name == "clears a field":  # which stays so once the recording is gone
            assert {line for line in left if not line.startswith("rowB does not refer")} == set()
        else:
            assert left == []
    assert schedules >= 80


def test_a_second_try_after_a_long_wait_looks_again() -> None:
    """429 with Retry-After: half a minute later a person may have filled the field."""

    def busy_once() -> Plan:
        told = set[str]()

        def choose(_number: int, name: str) -> Fault | None:
            first = name == "airtable.write" and name not in told
            told.add(name)
            return Fault.BUSY if first else None

        return Plan(choose=choose)

    schedules = 0
    for scene, held in product((fresh, fallbacks), range(40)):
        command = P if scene is fresh else M
        for edit in (EDITS["fills the first field"], EDITS["fills a field of one row of two"]):
            world = scene()
            run = Run(command, window=1, plan=busy_once())
            interleave(world, [Actor([run]), Actor([edit])], [0] * held + [1] * END)
            left_after(world)
            schedules += 1
    assert schedules == 160


def test_rows_of_other_calls_are_never_touched() -> None:
    world = fresh()
    world.add_row("rowZ", 9, FOREIGN)
    settle(world)
    assert world.rows.now["rowZ"].links == {FIELDS[0]: FOREIGN, FIELDS[1]: ""}
    assert world.rows.now["rowZ"].call_sid == ca_sid(9)
