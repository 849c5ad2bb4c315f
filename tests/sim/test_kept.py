"""What waits for Twilio or a person: kept under every fault, told apart, and done once it may be.

And every state of the decision table is met by some scene of the simulator.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from reccli.core.model import LinkState, Reason, S3State, Step, StepKind, TwilioState
from reccli.core.plan import decide
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO, Command

from .faults import Fault, Plan
from .interpret import Run
from .kept import KEPT, R5, audio
from .scenes import fallbacks, fresh, impostor, linked, odd, settle
from .test_singles import singles

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reccli.core.asked import Observation, Policy

    from .world import World

P, M, D = PROCESS, MIGRATE_FALLBACKS, PURGE_TWILIO
SHAPES = ((100, 1), (1, 2))
"""All cases together and one try, or one after the other with a second try."""
LEAST = {P: 80, D: 30}
GONE = TwilioState.DELETED


def on_twilio(world: World) -> set[str]:
    tapes = world.tapes.now.items()
    return {sid for sid, tape in tapes if tape.state not in {GONE, TwilioState.FAILED}}


@pytest.mark.parametrize("name", KEPT)
def test_it_is_told_what_each_waits_for(name: str) -> None:
    kept = KEPT[name]
    run = Run(P).on(kept.scene())
    reasons = {one.sid: one.step.reason for one in run.outcomes}
    assert {sid: reasons[sid] for sid in kept.stays} == kept.stays


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "command"), [*product(KEPT, (P, D))])
def test_what_waits_is_kept_whatever_fails(
    name: str, command: Command, shape: tuple[int, int]
) -> None:
    kept = KEPT[name]
    schedules, states = 0, set[object]()
    for after in singles(kept.scene(), Run(command, *shape)):
        schedules += 1
        if after.fingerprint() not in states:
            states.add(after.fingerprint())
            settle(after)
            assert on_twilio(after) == {*kept.stays}
            kept.mend(after)
            assert settle(after) == []
        assert not after.violations
        assert not after.lost
    assert schedules >= LEAST[command]


@pytest.mark.parametrize(("name", "command"), [*product(KEPT, (P, M))])
def test_what_waited_goes_on_whatever_fails(name: str, command: Command) -> None:
    kept, states = KEPT[name], set[object]()
    world = kept.scene()
    settle(world)
    kept.mend(world)
    for after in singles(world, Run(command, attempts=1)):
        if after.fingerprint() not in states:
            states.add(after.fingerprint())
            assert settle(after) == []
        assert not after.violations
    assert states


def test_a_delete_that_shows_late_is_asked_for_once() -> None:
    world = audio()
    run = Run(D).on(world)
    assert world.tapes.now[R5].state is GONE
    assert run.calls.count("twilio.delete") == 1
    (outcome,) = (one for one in run.outcomes if one.sid == R5)
    assert outcome.step == Step(StepKind.HOLD, Reason.NOT_OBSERVED)
    assert [failure.code for failure in outcome.failures] == ["delete_unconfirmed"]
    world.sleep(world.shows_late)
    assert R5 not in {one.sid for one in Run(D).on(world).outcomes}


def test_every_state_of_the_table_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is added to the table needs a scene that leads to it."""
    met: list[Observation] = []

    def note(observation: Observation, policy: Policy, now: datetime) -> Step:
        met.append(observation)
        return decide(observation, policy, now)

    monkeypatch.setattr("reccli.flow.case.decide", note)
    scenes = (fresh, fallbacks, linked, impostor, odd, *(kept.scene for kept in KEPT.values()))
    for scene, command in product(scenes, (P, M, D)):
        for plan in (Plan(), Plan(choose=failing("s3")), Plan(choose=failing("airtable"))):
            Run(command, plan=plan).on(scene())
    for after in singles(linked(), Run(D), frozenset({Fault.BROKEN})):
        assert not after.violations
    assert {seen.twilio for seen in met} == {*TwilioState}
    assert {seen.s3 for seen in met} == {*S3State}
    assert {seen.rows for seen in met} == {*LinkState}
    assert {seen.overdue for seen in met} == {seen.whole for seen in met} == {True, False}


def failing(service: str) -> Callable[[int, str], Fault | None]:
    return lambda _number, name: Fault.BROKEN if name.startswith(service) else None
