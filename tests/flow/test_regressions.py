"""Mistakes that were made once: each of these destroyed, starved or repeated something."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from reccli.core.model import Reason, StepKind
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO
from reccli.flow.named import named
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.result import Exit
from tests.sim.faults import Fault, Plan
from tests.sim.world import re_sid

from .bench import FAST, NONE, Bench, many, outcome_of


def broken_once(name: str) -> Plan:
    """Refuse the first call of a port by this name."""
    left = [Fault.BROKEN]

    def choose(_number: int, called: str) -> Fault | None:
        return left.pop() if left and called == name else None

    return Plan(choose=choose)


def test_a_delete_is_not_repeated_on_the_old_proof() -> None:
    bench = Bench(many(1, linked=True), plan=broken_once("twilio.delete"))
    (field,) = [name for name, text in bench.world.rows.now["row1"].links.items() if text]

    def empty_the_cell(called: str, *_args: object) -> None:
        if called == "delete":
            bench.world.edit("row1", field, "")

    bench.on_call = empty_the_cell
    result = bench.run(PURGE_TWILIO)
    assert bench.count("twilio.delete") == 1
    assert (result.summary["deleted"], outcome_of(result, 1).step.kind) == (0, StepKind.RELINK)


def test_a_delete_that_failed_in_passing_is_tried_after_a_new_look() -> None:
    bench = Bench(many(1, linked=True), plan=broken_once("twilio.delete"))
    result = bench.run(PURGE_TWILIO)
    assert (result.exit_code, result.summary["deleted"]) == (Exit.OK, 1)
    calls = bench.calls
    first = calls.index("twilio.delete")
    again = calls.index("twilio.delete", first + 1)
    assert {"twilio.fetch", "airtable.find", "s3.observe"} <= set(calls[first:again])


def test_a_limit_is_not_used_up_by_what_only_waits() -> None:
    world = many(6, linked=True)
    young = re_sid(6)  # the newest is listed first, and may not go yet
    world.objects.now = {
        key: replace(thing, at=world.clock("s3")) if young in key else thing
        for key, thing in world.objects.now.items()
    }
    world.planted = world.vanished = set(world.objects.now)
    result = Bench(world, limit=2).run(PURGE_TWILIO)
    assert result.summary["deleted"] == 2
    assert result.exit_code is Exit.OK


def test_a_limit_is_kept_to_the_letter() -> None:
    result = Bench(many(9, stored=False), limit=4).run(MIGRATE_FALLBACKS)
    assert (result.summary["copied"], result.summary["seen"]) == (4, 4)


def test_a_limit_does_not_make_every_delete_a_large_share() -> None:
    bench = Bench(many(40, linked=True), limit=25, retention=NONE)
    result = bench.run(PURGE_TWILIO)
    assert (result.exit_code, result.summary["deleted"]) == (Exit.OK, 25)


def test_time_that_is_up_ends_what_has_not_acted_yet() -> None:
    bench = Bench(many(60, stored=False), pace=replace(FAST, concurrency=1))
    bench.pace = replace(bench.pace, stop_at=time.monotonic() + 1.0)
    bench.on_call = lambda called, *_args: time.sleep(0.1) if called == "media" else None
    result = bench.run(MIGRATE_FALLBACKS)
    assert 0 < result.summary["copied"] < 20
    assert result.summary["relinked"] == result.summary["copied"]
    assert result.exit_code is Exit.OK
    assert outcome_reasons(result.outcomes) <= {Reason.STOPPED, Reason.IN_RETENTION}


def outcome_reasons(outcomes: list[Outcome]) -> set[Reason]:
    return {outcome.step.reason for outcome in outcomes}


def test_a_bug_in_a_source_keeps_what_was_done_and_deletes_nothing() -> None:
    bench = Bench(many(3, linked=True))

    def items() -> Iterator[Candidate | Outcome]:
        yield from bench.sources.on_twilio()
        raise ZeroDivisionError

    result = bench.run(PURGE_TWILIO, items())
    assert result.exit_code is Exit.FAILED
    assert (result.summary["seen"], bench.count("twilio.delete")) == (3, 0)


def test_a_recording_that_is_named_twice_is_taken_once() -> None:
    bench = Bench(many(1, stored=False))
    sid = re_sid(1)
    call = bench.world.rows.now["row1"].call_sid
    result = bench.run(PROCESS, named(bench.sources, [sid, sid, call]))
    assert (result.summary["seen"], bench.count("twilio.media")) == (1, 1)
