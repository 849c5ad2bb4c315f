"""The scheduler alone: no thread, no clock, and cases whose effects the test answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.guard import Due, Limits
from reccli.core.model import Reason, Ref, Step, StepKind
from reccli.flow.case import StoppedError
from reccli.flow.effects import (
    AskGuard,
    Copy,
    Effect,
    ObserveObject,
    ObserveRows,
    Record,
    Stale,
    WriteLinks,
)
from reccli.flow.executors import Pace
from reccli.flow.gate import Gate, Guard
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.scheduler import Phase, Scheduler
from tests.core.samples import NOW, make_recording

if TYPE_CHECKING:
    from collections.abc import Generator

    from reccli.flow.batches import Batch

LOOK, ROWS = ObserveObject("key", "RE1", read_back=False), ObserveRows(Ref("RE1", "AC"))
COPY, ASK = Copy(make_recording(), "mp3", "key"), AskGuard(make_recording())
LINK = WriteLinks(Ref("RE1", "AC"), "mp3", "key", (), NOW)
FATAL = Failure(Service.AIRTABLE, FailureKind.FATAL, "monthly_cap", "used up")
DONE, STOPPED = Step(StepKind.DONE, Reason.CONVERGED), Step(StepKind.HOLD, Reason.STOPPED)


@dataclass
class Desk:
    """A scheduler, and what came out of it; a candidate's SID names the effects of its case."""

    effects: dict[str, list[Effect[Any]]]
    pace: Pace = field(default_factory=Pace)
    limit: int | None = None
    limits: Limits = field(default_factory=lambda: Limits(100, 1.0))
    answers: list[bool] = field(default_factory=list)
    started: list[Batch] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    replies: dict[str, list[object]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes: Any = SimpleNamespace(rows_a_find=3, rows_a_look=4, rows_a_write=2)
        self.gate = Gate(Guard(self.limits, self._confirm), dry_run=False)
        self.scheduler = Scheduler(
            self.pace,
            self.gate,
            sizes,
            limit=self.limit,
            new=self._case,
            start=self.started.append,
            record=lambda _candidate, event: self.events.append(event.name),
            on_outcome=self.outcomes.append,
        )

    def _confirm(self, due: Due) -> bool:
        self.answers.append(bool(due.deletes))
        return True

    def _case(self, candidate: Candidate) -> Generator[Effect[object], object, Outcome]:
        sid = candidate.ref.sid
        try:
            for effect in self.effects[sid]:
                self.replies.setdefault(sid, []).append((yield effect))
        except StoppedError:
            return Outcome(sid, None, STOPPED)
        return Outcome(sid, None, DONE, (StepKind.COPY,))

    def begin(self, *sids: str) -> Desk:
        for sid in sids:
            self.scheduler.begin(Candidate(Ref(sid, "AC")))
        return self

    def names(self) -> list[list[str]]:
        """List which cases wait for which batch, and forget that they were started."""
        found = [[task.candidate.ref.sid for task in batch.tasks] for batch in self.started]
        self.started.clear()
        return found

    def ends(self) -> dict[str | None, Reason]:
        return {outcome.sid: outcome.step.reason for outcome in self.outcomes}


def test_single_effects_start_at_once_and_answers_may_come_in_any_order() -> None:
    desk = Desk({"a": [LOOK], "b": [LOOK]}).begin("a", "b")
    first, second = desk.started
    desk.scheduler.answer(second, ["two"])
    desk.scheduler.answer(first, ["one"])
    assert [outcome.sid for outcome in desk.outcomes] == ["b", "a"]
    assert desk.replies == {"a": ["one"], "b": ["two"]}
    assert not desk.scheduler.busy
    assert desk.scheduler.in_flight == 0


def test_looks_at_rows_are_gathered_until_full_or_nothing_more_comes() -> None:
    desk = Desk({sid: [ROWS] for sid in "abcd"}).begin(*"abcd")
    desk.scheduler.flush(0.0, idle=False)
    assert desk.names() == [["a", "b", "c"]]
    desk.scheduler.flush(0.0, idle=False)
    assert desk.names() == []
    desk.scheduler.flush(desk.pace.rows_linger, idle=False)
    assert desk.names() == [["d"]]


def test_links_wait_while_anything_may_lead_to_more_of_them() -> None:
    desk = Desk({"a": [LINK], "b": [LOOK]}).begin("a", "b")
    (look,) = desk.started
    desk.names()
    desk.scheduler.flush(0.0, idle=True)
    assert desk.names() == []
    desk.scheduler.answer(look, [None])
    desk.scheduler.flush(0.0, idle=True)
    assert desk.names() == [["a"]]


def test_a_failure_of_a_batch_is_that_of_each_case_in_it() -> None:
    desk = Desk({sid: [ROWS] for sid in "ab"}).begin(*"ab")
    desk.scheduler.flush(0.0, idle=True)
    failure = Failure(Service.AIRTABLE, FailureKind.OUTAGE, "down", "down")
    desk.scheduler.answer(desk.started[0], failure)
    assert desk.replies == {"a": [failure], "b": [failure]}


def test_events_cost_no_turn() -> None:
    desk = Desk({"a": [Record("one"), Record("two"), LOOK]}).begin("a")
    assert (desk.events, desk.names()) == (["one", "two"], [["a"]])


@pytest.mark.parametrize(
    ("phase", "reply", "effect", "goes_on"),
    [
        (Phase.LATE, None, LOOK, False),
        (Phase.STOPPED, None, LINK, True),
        (Phase.STOPPED, Stale(), LOOK, True),
        (Phase.STOPPED, Stale(), COPY, False),
        (Phase.STOPPED, None, LOOK, False),
        (Phase.LATE, None, LINK, True),
        (Phase.LATE, None, COPY, False),
        (Phase.LATE, None, ASK, False),
        (Phase.HALTED, None, LINK, False),
    ],
    ids=str,
)
def test_what_goes_on_when_the_run_ends(
    phase: Phase, reply: object, effect: Effect[Any], *, goes_on: bool
) -> None:
    desk = Desk({"a": [LOOK, effect]}).begin("a")
    desk.scheduler.enter(phase)
    desk.scheduler.answer(desk.started[0], [reply])
    assert desk.ends() == ({} if goes_on else {"a": Reason.STOPPED})
    assert desk.scheduler.busy is goes_on


def test_what_has_begun_to_act_goes_on_when_the_time_is_up() -> None:
    desk = Desk({"a": [COPY, LOOK, LOOK]}).begin("a")
    desk.scheduler.enter(Phase.LATE)
    desk.scheduler.answer(desk.started[-1], [None])
    desk.scheduler.answer(desk.started[-1], [None])
    assert desk.scheduler.busy
    desk.scheduler.answer(desk.started[-1], [None])
    assert desk.ends() == {"a": Reason.CONVERGED}


def test_what_was_not_carried_out_ends_its_case() -> None:
    desk = Desk({"a": [LOOK]}).begin("a")
    desk.scheduler.answer(desk.started[0], None)
    assert desk.ends() == {"a": Reason.STOPPED}


def test_a_fatal_answer_halts_the_others() -> None:
    desk = Desk({"a": [LOOK, LOOK], "b": [LOOK, LINK]}).begin("a", "b")
    first, second = desk.started
    desk.scheduler.answer(first, FATAL)
    desk.scheduler.answer(second, [None])
    assert desk.ends() == {"a": Reason.STOPPED, "b": Reason.STOPPED}
    assert desk.scheduler.phase is Phase.HALTED


def test_a_run_never_goes_back_to_an_earlier_phase() -> None:
    desk = Desk({})
    desk.scheduler.enter(Phase.STOPPED)
    desk.scheduler.enter(Phase.LATE)
    assert desk.scheduler.phase is Phase.STOPPED


def test_a_late_answer_to_a_case_that_has_ended_changes_nothing() -> None:
    desk = Desk({"a": [LOOK]}).begin("a")
    desk.scheduler.end_all(None)
    desk.scheduler.answer(desk.started[0], ["late"])
    assert desk.ends() == {"a": Reason.STOPPED}
    assert not any(desk.replies.values())


def test_deletes_wait_until_the_gate_opens_and_then_go_on_within_the_window() -> None:
    desk = Desk({sid: [ASK, LOOK] for sid in "abc"}, pace=Pace(window=2)).begin(*"abc")
    assert (desk.scheduler.busy, desk.names(), desk.answers) == (False, [], [])
    desk.scheduler.open_gate(complete=True, broken=False)
    desk.scheduler.admit()
    assert (desk.names(), desk.answers) == ([["a"], ["b"]], [True])


@pytest.mark.parametrize("broken", [True, False])
def test_a_gate_that_stays_shut_says_why_if_nothing_else_does(*, broken: bool) -> None:
    desk = Desk({sid: [ASK] for sid in "ab"}, limits=Limits(1, 1.0))
    if broken:
        desk.begin("a")
        desk.scheduler.open_gate(complete=True, broken=True)
        assert (desk.gate.refusal, desk.answers) == (None, [])
    else:
        desk.begin("a", "b")
        assert "2 deletes are due" in (desk.gate.refusal or "")
    assert all(reply is not None for replies in desk.replies.values() for reply in replies)


def test_cases_at_the_gate_end_with_the_run() -> None:
    desk = Desk({"a": [ASK]}).begin("a")
    desk.scheduler.enter(Phase.LATE)
    assert desk.ends() == {"a": Reason.STOPPED}
    assert not desk.gate.parked


def test_the_limit_counts_what_acts_and_gives_back_what_did_not() -> None:
    desk = Desk({"a": [LOOK, COPY], "b": [LOOK]}, limit=1)
    assert desk.scheduler.room() == 1
    desk.begin("a")
    assert desk.scheduler.room() == 0
    desk.begin("b")  # listed only
    assert desk.names() == [["a"]]
    desk.scheduler.end_all(None)  # it has done nothing
    assert desk.scheduler.room() == 1
    assert not desk.scheduler.exhausted


def test_a_limit_that_is_used_up_ends_the_reading_unless_the_guard_has_to_know() -> None:
    for waits, exhausted in ((True, False), (False, True)):
        desk = Desk({"a": [ASK] if waits else [LOOK]}, limit=1).begin("a")
        if not waits:
            desk.scheduler.answer(desk.started[0], [None])
        assert bool(desk.scheduler.room()) is not exhausted
        assert desk.scheduler.exhausted is exhausted


def test_the_source_is_read_in_few_portions() -> None:
    desk = Desk({str(n): [LOOK] for n in range(200)}, pace=Pace(concurrency=40))
    assert desk.scheduler.room() == 100
    desk.begin(*map(str, range(100)))
    assert desk.scheduler.room() == 60
    desk.begin(*map(str, range(100, 111)))
    assert desk.scheduler.room() == 0


def test_an_outcome_that_a_source_knows_takes_no_share_of_the_limit() -> None:
    desk = Desk({}, limit=2)
    desk.scheduler.begin(Outcome("RE1", None, STOPPED))
    assert desk.scheduler.room() == 2


def test_a_limit_larger_than_a_portion_is_read_in_portions() -> None:
    assert Desk({}, pace=Pace(concurrency=100), limit=250).scheduler.room() == 100


def test_nothing_new_is_begun_when_the_run_ends_and_what_was_let_through_ends_as_well() -> None:
    desk = Desk({sid: [ASK, LOOK] for sid in "ab"}, pace=Pace(window=1)).begin(*"ab")
    desk.scheduler.open_gate(complete=True, broken=False)
    desk.scheduler.admit()
    desk.scheduler.enter(Phase.STOPPED)
    assert (desk.scheduler.exhausted, desk.ends()) == (True, {"b": Reason.STOPPED})


def test_a_case_that_is_given_up_says_why() -> None:
    desk = Desk({"a": [LOOK]}).begin("a")
    desk.scheduler.end_all(FATAL)
    assert desk.outcomes[0].failures == (FATAL,)


def test_a_case_that_failed_has_used_up_its_share() -> None:
    desk = Desk({"a": [LOOK]}, limit=1).begin("a")
    desk.scheduler.end_all(FATAL)
    assert desk.scheduler.room() == 0


def test_two_groups_of_links_are_under_way_at_most() -> None:
    desk = Desk({sid: [LINK] for sid in "abc"})
    for sid in "abc":
        desk.begin(sid)
        desk.scheduler.flush(0.0, idle=True)
    first, _second = desk.started
    assert desk.names() == [["a"], ["b"]]
    desk.scheduler.answer(first, [None])
    desk.scheduler.flush(0.0, idle=True)
    assert desk.names() == [["c"]]


def test_what_stays_behind_waits_anew() -> None:
    desk = Desk({sid: [ROWS] for sid in "abcde"}, pace=Pace(rows_linger=10)).begin("a")
    desk.scheduler.flush(0.0, idle=False)
    desk.begin("b", "c", "d")
    desk.scheduler.flush(5.0, idle=False)
    assert desk.names() == [["a", "b", "c"]]
    desk.scheduler.flush(14.0, idle=False)
    assert desk.names() == []
    desk.scheduler.flush(15.0, idle=False)
    assert desk.names() == [["d"]]
    desk.begin("e")
    desk.scheduler.flush(26.0, idle=False)
    assert desk.names() == []


def test_a_source_with_a_bug_says_so_itself() -> None:
    desk = Desk({str(n): [ASK] for n in range(20)}, limits=Limits(100, 0.5))
    desk.begin(*desk.effects)
    desk.scheduler.open_gate(complete=True, broken=True)
    assert (desk.gate.refusal, desk.answers, len(desk.replies)) == (None, [], 20)
