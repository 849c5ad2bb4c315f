"""A second region of Twilio that fails keeps nothing from the recordings of the healthy one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.core.model import LinkState, Reason, Ref
from reccli.flow.commands import PROCESS, PURGE_TWILIO
from reccli.flow.listing import fetch, recordings_of
from reccli.flow.named import named
from tests.sim.world import NAMING, ca_sid, re_sid

from .bench import Bench, failure, many, outcome_of

if TYPE_CHECKING:
    from tests.sim.world import World

DOWN = [(FailureKind.OUTAGE, 5), (FailureKind.DENIED, 4)]
HERE, THERE = "us1", "au1"


def bench(world: World, kind: FailureKind | None = None, *, down: str = THERE) -> Bench:
    """Make a run with two regions, one of which may be away."""

    def on_call(name: str, *args: object) -> None:
        about = args[0] if args else None
        recording = getattr(about, "recording", about)
        asked = name in {"page", "fetch", "media", "delete"}
        if kind and asked and getattr(recording, "region", None) == down:
            raise failure(kind, Service.TWILIO)

    made = Bench(world, on_call=on_call)
    made.services.twilio._port.regions = (HERE, THERE)  # type: ignore[attr-defined]  # noqa: SLF001
    return made


def calls(count: int) -> World:
    """Make calls with two recordings each, and a row with two free cells."""
    world = many(0)
    for call in range(1, count + 1):
        for number in (2 * call - 1, 2 * call):
            world.record(number, call)
        world.add_row(f"row{call}", call)
    return world


def moved(world: World, number: int, region: str = THERE) -> None:
    tape = world.tapes.now[re_sid(number)]
    world.tapes.now = {**world.tapes.now, tape.sid: replace(tape, region=region)}


@pytest.mark.parametrize(("kind", "code"), DOWN)
def test_every_recording_of_the_healthy_region_gets_its_link(kind: FailureKind, code: int) -> None:
    world = calls(7)
    result = bench(world, kind).run(PROCESS)
    assert [outcome.rows for outcome in result.outcomes] == [LinkState.S3_LINK] * 14
    assert result.exit_code == code
    (told,) = result.failures
    assert told.message.startswith("region au1: ")


@pytest.mark.parametrize(("kind", "code"), DOWN)
def test_a_call_whose_listing_may_be_cut_is_asked_for_where_it_is(
    kind: FailureKind, code: int
) -> None:
    world = calls(3)
    run = bench(world, kind)
    items = run.sources.unlinked(world.tapes.now[re_sid(1)].created, None)
    result = run.run(PROCESS, items)
    assert [outcome.rows for outcome in result.outcomes] == [LinkState.S3_LINK] * 6
    assert result.exit_code == code
    assert all(not outcome.failures for outcome in result.outcomes)


@pytest.mark.parametrize(("kind", "code"), DOWN)
def test_what_is_proven_in_the_healthy_region_is_deleted(kind: FailureKind, code: int) -> None:
    world = many(3, linked=True)
    result = bench(world, kind).run(PURGE_TWILIO)
    assert (result.counts["deleted"], result.exit_code) == (3, code)


def test_a_region_that_fails_for_long_closes_no_other() -> None:
    """What was listed before it went away fails, one after the other."""
    world = calls(10)
    for number in range(1, 15):
        moved(world, number)
    run = bench(world, FailureKind.DENIED)
    candidates = list(Bench(world).sources.on_twilio())
    (elsewhere,) = {candidate.recording.region for candidate in candidates if candidate.recording}
    assert elsewhere == HERE
    everyone = [Ref(re_sid(number), world.book.twilio.account_sid, None) for number in range(1, 21)]
    for ref in everyone[:14]:
        with pytest.raises(ServiceError) as error:
            fetch(ref, run.services)
        assert error.value.failure.kind is FailureKind.DENIED
    assert run.calls.count("twilio.fetch") == 14
    for ref in everyone[14:]:
        assert fetch(ref, run.services).region == HERE
    (outage,) = run.services.retry.outages
    assert outage.service is Service.TWILIO


def test_a_recording_that_is_there_is_found_while_the_main_region_is_away() -> None:
    world = calls(2)
    for number in (1, 2):
        moved(world, number)
    run = bench(world, FailureKind.OUTAGE, down=HERE)
    result = run.run(PROCESS, named(run.sources, (re_sid(1), ca_sid(1), re_sid(3))))
    assert outcome_of(result, 1).rows is outcome_of(result, 2).rows is LinkState.S3_LINK
    assert outcome_of(result, 3).step.reason is Reason.NOT_OBSERVED


def test_a_call_that_the_healthy_region_does_not_know_may_be_in_the_other() -> None:
    run = bench(calls(1), FailureKind.DENIED)
    assert len(recordings_of(ca_sid(1), run.services)) == 2
    with pytest.raises(ServiceError):
        recordings_of(ca_sid(9), run.services)
    assert recordings_of(ca_sid(9), bench(calls(1)).services) == []
    result = run.run(PROCESS, named(run.sources, (ca_sid(9),)))
    assert (result.outcomes, result.exit_code) == ([], 4)


def test_a_call_that_was_found_is_not_looked_for_further() -> None:
    run = bench(calls(1))
    recordings_of(ca_sid(1), run.services)
    assert run.count("twilio.page") == 1
    recordings_of(ca_sid(1), run.services, THERE)
    assert run.count("twilio.page") == 2


def test_a_listing_without_one_region_is_not_the_whole() -> None:
    run = bench(calls(1), FailureKind.DENIED)
    list(run.sources.unlinked(None, None, compare=NAMING))
    assert not run.sources.compared
