"""The runner with real threads: batches, the guard, stopping, and what one bad apple may spoil."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from reccli.core.errors import FailureKind, Service
from reccli.core.guard import Due, Limits
from reccli.core.model import Reason, StepKind
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO
from reccli.flow.effects import Rows
from reccli.flow.executors import AIRTABLE_AT_ONCE
from reccli.flow.linking import FRESH
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.result import COUNTS, Exit, Result
from reccli.flow.scheduler import CHUNK, GROUPS_AT_ONCE
from tests.core.samples import make_recording
from tests.sim.faults import Fault, Plan
from tests.sim.ports import FakeAirtable
from tests.sim.scenes import R1, fresh, settle
from tests.sim.world import World, re_sid

from .bench import FAST, LIMITS, NONE, Bench, failure, links, many, outcome_of

P, M, D = PROCESS, MIGRATE_FALLBACKS, PURGE_TWILIO
LINKED = Limits(max_deletes=5000, max_delete_fraction=0.9)


# Batches


def test_a_hundred_rows_are_a_dozen_requests() -> None:
    bench = Bench(many(100))
    result = bench.run(M)
    assert result.summary["relinked"] == result.summary["deleted"] == 100
    assert all("amazonaws" in link for link in links(bench.world).values())
    assert 10 <= bench.count("airtable.write") <= 14
    assert bench.count("airtable.find") <= 6
    assert bench.count("airtable.fallbacks") == 2
    assert not bench.world.violations


def test_one_bad_row_does_not_block_the_other_nine() -> None:
    world = many(10)

    def lose_a_row(name: str, *_args: object) -> None:
        if name == "write":
            world.rows.now = {k: row for k, row in world.rows.now.items() if k != "row4"}

    bench = Bench(world, on_call=lose_a_row)
    result = bench.run(M)
    assert result.summary["relinked"] == 9
    assert result.exit_code is Exit.FAILED
    bad = outcome_of(result, 4)
    assert [problem.code for problem in bad.failures] == ["row_not_found"]
    assert bad.step.reason is Reason.NOT_OBSERVED
    assert all("amazonaws" in link for link in links(world).values())
    assert not world.violations


def test_cells_of_one_row_are_written_together() -> None:
    world = fresh()
    world.rows.now = {"rowA": world.rows.now["rowA"]}
    bench = Bench(world)
    result = bench.run(P)
    assert bench.count("airtable.write") == 1
    assert result.summary["relinked"] == 2
    assert settle(world)[0].endswith("3 is still on Twilio")  # which has no row


@pytest.mark.parametrize("round_", range(5))
def test_seeds_that_know_no_siblings_do_not_take_the_same_cell(round_: int) -> None:
    """As in `migrate-fallbacks`: one row of the call has the fallbacks, the other is empty."""
    world = World(page=100)
    sids = [world.record(number, 1) for number in (1, 2)]
    for sid in sids:
        world.store(sid, hours=30)
    world.add_row("rowA", 1, *(world.twilio_link(sid) for sid in sids))
    world.add_row("rowB", 1)
    result = Bench(world).run(M)
    assert result.summary["deleted"] == 2
    assert world.converged() == []
    assert not world.violations


def test_what_was_seen_too_long_ago_is_looked_at_again() -> None:
    world = many(3)
    bench = Bench(world)
    old: list[Candidate | Outcome] = [
        replace(candidate, rows=replace(candidate.rows, at=candidate.rows.at - 2 * FRESH))
        for candidate in bench.items(M)
        if isinstance(candidate, Candidate) and candidate.rows
    ]
    result = bench.run(M, iter(old))
    assert len(old) == result.summary["relinked"] == 3
    assert bench.calls.index("airtable.read") < bench.calls.index("airtable.write")


def test_many_rows_are_looked_at_together_and_written_in_tens() -> None:
    bench = Bench(many(100), pace=replace(FAST, links_linger=5))
    assert bench.run(M, iter(_seeds(bench, age=2 * FRESH))).summary["relinked"] == 100
    assert 1 <= bench.count("airtable.read") <= 3
    assert 10 <= bench.count("airtable.write") <= 12


def test_a_look_that_is_young_is_not_repeated() -> None:
    bench = Bench(many(3))
    assert bench.run(M, iter(_seeds(bench))).summary["relinked"] == 3
    assert (bench.count("airtable.read"), bench.count("airtable.write")) == (0, 1)


def _seeds(bench: Bench, age: timedelta = NONE) -> list[Candidate]:
    """Take the recordings as they were scanned so long ago."""
    found = [candidate for candidate in bench.items(M) if isinstance(candidate, Candidate)]
    now = bench.world.now() - age
    return [
        replace(candidate, rows=Rows(candidate.rows.rows, now))
        for candidate in found
        if candidate.rows
    ]


# The guard


def test_deleting_nearly_everything_is_refused() -> None:
    bench = Bench(many(25, linked=True), limits=LINKED)
    result = bench.run(D)
    assert result.exit_code is Exit.UNSAFE
    assert bench.count("twilio.delete") == 0
    assert result.summary["deleted"] == 0
    assert "25 of 25" in (result.refusal or "")
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.UNSAFE}


def test_a_few_recordings_may_all_go() -> None:
    result = Bench(many(19, linked=True), limits=LINKED).run(D)
    assert (result.exit_code, result.summary["deleted"]) == (Exit.OK, 19)


def test_a_large_share_that_leaves_enough_may_go() -> None:
    world = many(30, linked=True)
    for number in (1, 2, 3, 4):
        world.objects.now = {
            key: replace(thing, at=world.clock("s3")) if re_sid(number) in key else thing
            for key, thing in world.objects.now.items()
        }
    world.planted = set(world.objects.now)
    world.vanished = set(world.objects.now)
    result = Bench(world, limits=LINKED).run(D)
    assert (result.exit_code, result.summary["deleted"]) == (Exit.OK, 26)
    assert result.summary["waiting"] == 4


def test_more_than_the_most_is_refused_without_waiting_for_the_rest() -> None:
    bench = Bench(many(40, linked=True), limits=Limits(5, 1.0))
    result = bench.run(D)
    assert result.exit_code is Exit.UNSAFE
    assert bench.count("twilio.delete") == 0
    assert "safety.max_deletes allows 5" in (result.refusal or "")
    assert len(result.outcomes) == 40


def test_a_person_may_say_no() -> None:
    asked: list[Due] = []

    def no(due: Due) -> bool:
        asked.append(due)
        return False

    world = many(7, linked=True)
    bench = Bench(world, confirm=no)
    result = bench.run(D)
    assert (result.exit_code, result.refusal, result.summary["waiting"]) == (Exit.OK, None, 7)
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.DECLINED}
    tapes = list(world.tapes.now.values())
    oldest = min(tape.created for tape in tapes if tape.created)
    assert asked == [Due(7, sum(tape.minutes for tape in tapes), oldest)]
    assert bench.count("twilio.delete") == 0


def test_nobody_is_asked_when_nothing_is_to_be_deleted() -> None:
    asked: list[Due] = []

    def ask(due: Due) -> bool:
        asked.append(due)
        return True

    bench = Bench(many(3, linked=True), confirm=ask, retention=timedelta(days=7))
    assert bench.run(D).exit_code is Exit.OK
    assert asked == []


@pytest.mark.parametrize("limits", [LINKED, LIMITS], ids=["share", "off"])
def test_a_listing_that_breaks_off_matters_only_to_a_share(limits: Limits) -> None:
    world = many(50, linked=True)
    world.page = 10
    pages = iter(range(1, 100))

    def choose(_number: int, name: str) -> Fault | None:
        return Fault.BROKEN if name == "twilio.page" and next(pages) > 2 else None

    bench = Bench(world, plan=Plan(choose=choose), limits=limits)
    result = bench.run(D)
    assert result.summary["seen"] == 20
    refused = limits is LINKED
    assert bench.count("twilio.delete") == (0 if refused else 20)
    reason = Reason.UNSAFE if refused else Reason.CONVERGED
    assert {outcome.step.reason for outcome in result.outcomes} == {reason}
    assert result.exit_code is Exit.TRANSIENT


def test_a_listing_that_breaks_off_still_processes_what_it_saw() -> None:
    world = many(50, stored=False, row=False)
    world.page = 10
    for number in range(1, 51):
        world.add_row(f"row{number}", number)
    pages = iter(range(1, 100))

    def choose(_number: int, name: str) -> Fault | None:
        return Fault.BROKEN if name == "twilio.page" and 2 < next(pages) < 8 else None

    bench = Bench(world, plan=Plan(choose=choose))
    result = bench.run(P)
    assert result.summary["copied"] == result.summary["relinked"] == 20
    assert result.exit_code is Exit.TRANSIENT
    assert not world.violations


# Stopping


def test_an_interrupted_run_ends_what_it_has_begun() -> None:
    world = many(300, stored=False, row=False)
    for number in range(1, 301):
        world.add_row(f"row{number}", number)
    puts = iter(range(1, 1_000))
    bench = Bench(world)

    def stop_soon(name: str, *_args: object) -> None:
        if name == "put" and next(puts) == 10:
            bench.stop.set()

    bench.on_call = stop_soon
    result = bench.run(P)
    assert result.exit_code is Exit.INTERRUPTED
    assert 10 <= result.summary["copied"] <= len(result.outcomes) < 300
    assert result.summary["copied"] == result.summary["relinked"] == len(world.objects.now)
    assert Bench(world).run(P).exit_code is Exit.OK
    assert all("amazonaws" in link for link in links(world).values())
    assert not world.violations


def test_a_case_that_is_stopped_tells_what_it_did() -> None:
    """Stopped while it waits for the guard, after it has written its link."""
    bench = Bench(many(5))

    def stop_at_write(name: str, *_args: object) -> None:
        if name == "write":
            bench.stop.set()

    bench.on_call = stop_at_write
    result = bench.run(M)
    assert result.exit_code is Exit.INTERRUPTED
    assert result.summary["relinked"] == 5
    assert {outcome.steps for outcome in result.outcomes} == {(StepKind.RELINK,)}
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.STOPPED}
    assert bench.count("twilio.delete") == 0


def test_a_run_whose_time_is_up_takes_up_nothing_new() -> None:
    bench = Bench(many(5, linked=True), pace=replace(FAST, stop_at=time.monotonic()))
    result = bench.run(D)
    assert (result.exit_code, result.outcomes, bench.calls) == (Exit.OK, [], [])


def test_deletes_that_wait_when_time_is_up_are_left() -> None:
    bench = Bench(many(5, linked=True))

    def stop_while_asked(_due: Due) -> bool:
        bench.stop.set()
        return True

    bench.confirm = stop_while_asked
    result = bench.run(D)
    assert bench.count("twilio.delete") == 0
    assert result.exit_code is Exit.INTERRUPTED
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.STOPPED}


def test_a_call_that_hangs_does_not_keep_a_stopped_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reccli.flow.run.GRACE", 0.1)
    bench, hangs = Bench(many(3, linked=True)), threading.Event()

    def hang(name: str, sid: object = "", *_args: object) -> None:
        if name == "observe" and re_sid(2) in str(sid):
            bench.stop.set()
            hangs.wait(5)

    bench.on_call = hang
    began = time.monotonic()
    result = bench.run(D)
    hangs.set()
    assert time.monotonic() - began < 3
    assert result.exit_code is Exit.INTERRUPTED
    assert len(result.outcomes) == 3
    assert result.gave_up


def test_what_is_queued_when_a_run_is_stopped_is_not_begun() -> None:
    bench = Bench(many(20, linked=True), pace=replace(FAST, concurrency=1))

    def stop(name: str, *_args: object) -> None:
        if name == "observe":
            bench.stop.set()

    bench.on_call = stop
    result = bench.run(D)
    assert bench.count("s3.observe") == 1
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.STOPPED}
    assert not result.gave_up


# Bad apples


def test_a_fatal_failure_ends_the_run() -> None:
    world = many(300)

    def written() -> int:
        return sum("amazonaws" in link for link in links(world).values())

    def monthly_cap(name: str, *_args: object) -> None:
        if name == "write" and written() >= 10:
            raise failure(FailureKind.FATAL, code="monthly_cap")

    bench = Bench(world, on_call=monthly_cap)
    result = bench.run(M)
    assert result.exit_code is Exit.FAILED
    assert len(links(world)) == 300
    assert 10 <= written() <= 10 * 2 * AIRTABLE_AT_ONCE  # what was under way may still come
    assert result.summary["relinked"] < 300
    assert bench.count("twilio.delete") == 0
    codes = {problem.code for outcome in result.outcomes for problem in outcome.failures}
    assert codes == {"monthly_cap"}
    assert not world.violations


def test_a_bug_in_one_case_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = many(12, linked=True)

    def odd(name: str, ref: object = None, *_args: object) -> None:
        if name == "fetch" and getattr(ref, "sid", "") == re_sid(3):
            raise ZeroDivisionError

    result = Bench(world, on_call=odd).run(D)
    assert result.summary["deleted"] == 11
    assert result.exit_code is Exit.FAILED
    (problem,) = outcome_of(result, 3).failures
    assert (problem.service, problem.code) == (Service.RECCLI, "unexpected")
    assert "ZeroDivisionError" in problem.message
    assert "unexpected error" in caplog.text


def test_a_bug_in_the_source_deletes_nothing_and_leaves_what_was_done() -> None:
    bench = Bench(many(5))

    def items() -> Iterator[Candidate | Outcome]:
        yield from bench.items(M)
        raise ZeroDivisionError

    result = bench.run(M, items())
    assert (bench.count("twilio.delete"), result.summary["relinked"]) == (0, 5)
    assert {outcome.step.reason for outcome in result.outcomes} == {Reason.UNSAFE}
    assert (result.exit_code, result.refusal) == (Exit.FAILED, None)


def test_a_bug_in_a_batch_ends_only_that_batch() -> None:
    world = many(30)
    batches = iter(range(1, 1_000))

    def odd(name: str, *_args: object) -> None:
        if name == "write" and next(batches) == 2:
            raise ZeroDivisionError

    result = Bench(world, on_call=odd).run(M)
    assert 10 <= result.summary["relinked"] <= 29
    assert len(result.outcomes) == 30
    assert result.exit_code is Exit.FAILED


# Bounds


def test_cases_that_wait_for_their_links_hold_up_only_so_many_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window, look = 40, 10
    monkeypatch.setattr("reccli.flow.scheduler.CHUNK", window)
    monkeypatch.setattr(FakeAirtable, "rows_a_look", look)
    go = threading.Event()

    def held(name: str, *_args: object) -> None:
        if name == "write":
            go.wait(20)

    bench = Bench(many(100), on_call=held)
    run = threading.Thread(target=bench.run, args=(M,))
    run.start()
    seen = -1
    while bench.count("twilio.fetch") != seen:
        seen = bench.count("twilio.fetch")
        time.sleep(0.7)
    go.set()
    run.join()
    assert window < seen <= window + (GROUPS_AT_ONCE + 1) * look
    assert bench.count("twilio.fetch") >= 100


def test_work_in_hand_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(World())
    begun = most = ended = 0
    add = Result.add

    def counted(self: Result, outcome: Outcome) -> None:
        nonlocal ended
        ended += 1
        add(self, outcome)

    def items() -> Iterator[Candidate]:
        nonlocal begun, most
        for number in range(2_000):
            begun += 1
            most = max(most, begun - ended)
            tape = make_recording(sid=re_sid(number), status="failed")
            yield Candidate(tape.ref, (), tape)

    monkeypatch.setattr(Result, "add", counted)
    result = bench.run(D, items())
    assert len(result.outcomes) == 2_000
    assert most <= CHUNK + 1  # the window, and the one that is being made


def test_a_dry_run_writes_nothing() -> None:
    world = many(30)
    versions = (world.tapes.number, world.objects.number, world.rows.number)
    bench = Bench(world, dry_run=True)
    result = bench.run(M)
    assert versions == (world.tapes.number, world.objects.number, world.rows.number)
    assert {outcome.steps for outcome in result.outcomes} == {(StepKind.RELINK, StepKind.DELETE)}
    assert result.summary == dict.fromkeys(COUNTS, 0) | {"seen": 30, "relinked": 30, "deleted": 30}


def test_a_dry_run_says_what_the_brake_would() -> None:
    def never(_due: Due) -> bool:
        raise AssertionError

    within = Bench(many(30), dry_run=True, limits=Limits(30, 1.0), confirm=never).run(M)
    assert (within.exit_code, within.summary["deleted"]) == (Exit.OK, 30)
    dry = Bench(many(30), dry_run=True, limits=Limits(29, 1.0), confirm=never).run(M)
    wet = Bench(many(30), limits=Limits(29, 1.0), confirm=never).run(M)
    for result in (dry, wet):
        assert (result.exit_code, result.summary["deleted"]) == (Exit.UNSAFE, 0)
        assert (result.summary["held"], result.summary["relinked"]) == (30, 30)
        assert result.refusal == (
            "30 deletes are due, and safety.max_deletes allows 29: "
            "--max-deletes 30 allows them for one run"
        )
        assert {outcome.steps for outcome in result.outcomes} == {(StepKind.RELINK,)}
        assert {outcome.step.reason for outcome in result.outcomes} == {Reason.UNSAFE}


def test_events_name_the_recording() -> None:
    bench = Bench(fresh(), retention=NONE)
    bench.run(P)
    names = [event.name for event in bench.events if event.recording_sid == R1]
    assert names == [
        "recording_download_success",
        "recording_s3_upload_success",
        "recording_saved_to_airtable_s3",
    ]
    assert all(event.call_sid for event in bench.events)
