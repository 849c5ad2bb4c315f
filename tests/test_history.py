"""What a run asks the ledger before it begins: what cannot be told costs work, nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from reccli.adapters.ledger import Callback, Ledger
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import Reason, Ref, S3State, Step, StepKind
from reccli.core.naming import Naming
from reccli.flow.commands import PROCESS, PURGE_TWILIO, Asked, Backlog, Command
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.ports import Event
from reccli.flow.reporting import VANISHED
from reccli.history import Checkpoints, failed_now
from reccli.watch.event_log import FAILED
from tests.ledger.samples import add_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NAMING = Naming("calls/", "{recording_sid}.{ext}", "mp3")
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DONE = Outcome("RE1", None, Step(StepKind.DONE, Reason.CONVERGED))
STOPPED = Outcome("RE2", None, Step(StepKind.HOLD, Reason.STOPPED))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as opened:
        yield opened


def past(ledger: Ledger | None, at: datetime = NOW, command: Command = PROCESS) -> Checkpoints:
    return Checkpoints(ledger, Asked(command, "run", at))


def test_a_comparison_is_due_once_a_day(ledger: Ledger) -> None:
    assert past(ledger).comparison_is_due()
    past(ledger).remember_comparison([DONE])
    assert not past(ledger, NOW + SECOND).comparison_is_due()
    assert not past(ledger, NOW + DAY - SECOND).comparison_is_due()
    assert past(ledger, NOW + DAY).comparison_is_due()


@pytest.mark.parametrize(("after", "due"), [(-SECOND, False), (timedelta(), False), (SECOND, True)])
def test_it_is_due_when_an_object_was_found_to_be_gone_since(
    ledger: Ledger, after: timedelta, *, due: bool
) -> None:
    past(ledger).remember_comparison([])
    ledger.record("other", [Event(VANISHED, NOW + after)])
    assert past(ledger, NOW + 2 * SECOND).comparison_is_due() is due


def test_a_run_that_was_stopped_has_compared_nothing_to_the_end(ledger: Ledger) -> None:
    past(ledger).remember_comparison([DONE, STOPPED])
    assert past(ledger, NOW + SECOND).comparison_is_due()


@pytest.mark.parametrize(
    ("kind", "s3", "due"),
    [
        (FailureKind.OUTAGE, S3State.VERIFIED, True),
        (FailureKind.OUTAGE, S3State.UNCOPIED, False),
        (FailureKind.PERMANENT, S3State.VERIFIED, False),
    ],
)
def test_a_comparison_that_left_what_the_next_run_may_do_is_due_again(
    ledger: Ledger, kind: FailureKind, s3: S3State, *, due: bool
) -> None:
    """But not for the sake of media that Twilio does not give: they may be so for ever."""
    failure = Failure(Service.AIRTABLE, kind, "made", "up")
    failed = Outcome(
        "RE3", None, Step(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(failure,), s3=s3
    )
    past(ledger).remember_comparison([DONE, failed])
    assert past(ledger, NOW + SECOND).comparison_is_due() is due
    past(ledger).remember_listing([DONE, failed])
    assert (past(ledger, NOW + 10 * DAY).look_back() == NOW - DAY) is not due


def test_what_a_field_refuses_is_looked_for_until_it_is_mended(ledger: Ledger) -> None:
    failure = Failure(Service.AIRTABLE, FailureKind.PERMANENT, "made", "up", field="Link")
    refused = Outcome("RE3", None, Step(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(failure,))
    past(ledger).remember_listing([DONE, refused])
    assert past(ledger, NOW + 10 * DAY).look_back() == NOW + 7 * DAY


def test_a_callback_is_finished_when_all_that_it_told_of_is_settled(ledger: Ledger) -> None:
    for name in ("RE1", "RE2", "RE3", "CA1", "CA2", "CA3"):
        add_all(ledger, [Callback(name, "completed", "AC1", None, b"", NOW)])
    run = past(ledger)
    calls = {"CA1": ("RE1",), "CA2": ("RE1", "RE2"), "CA3": ("RE1", "RE9")}
    run.finish_callbacks([DONE, STOPPED], calls)
    assert {one.sid for one in past(ledger).pending} == {"RE2", "RE3", "CA2", "CA3"}
    run.finish_callbacks([DONE], {})
    assert len(past(ledger).pending) == 4


class Broken:
    """A ledger that has gone away."""

    def __getattr__(self, name: str) -> object:
        raise ServiceError(Failure(Service.LEDGER, FailureKind.OUTAGE, name, "it is away"))


def test_a_ledger_that_is_away_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for ledger in (None, Broken()):
        past(ledger).remember_comparison([DONE])  # type: ignore[arg-type]
        assert past(ledger).comparison_is_due()  # type: ignore[arg-type]
        assert past(ledger).pending == []  # type: ignore[arg-type]
    assert "ledger_error" in capsys.readouterr().out


def test_process_looks_back_to_when_everything_was_seen_less_a_day(ledger: Ledger) -> None:
    assert past(ledger).look_back() == NOW - 3 * DAY
    past(ledger).remember_listing([DONE])
    assert past(ledger, NOW + SECOND).look_back() == NOW + SECOND - 3 * DAY
    assert past(ledger, NOW + 10 * DAY).look_back() == NOW - DAY


@pytest.mark.parametrize("kind", FailureKind)
def test_what_may_yet_pass_is_looked_for_again(ledger: Ledger, kind: FailureKind) -> None:
    failure = Failure(Service.AIRTABLE, kind, "made", "up")
    failed = Outcome("RE3", None, Step(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(failure,))
    for left in (failed, STOPPED):
        past(ledger).remember_listing([DONE, left])
        seen = past(ledger, NOW + 10 * DAY).look_back() == NOW - DAY
        assert seen is (left is failed and failure.lasting)
        if seen:
            return


def test_what_failed_comes_last_in_the_order_of_its_turns(ledger: Ledger) -> None:
    candidates = [Candidate(Ref(f"RE{number}", "AC1")) for number in range(4)]
    ledger.start_run("r1", "process", NOW)
    assert past(ledger).failed == []
    ledger.finish_run("r1", NOW, 1, {FAILED: ["RE2", "RE0", None]})
    assert past(ledger).failed == ["RE2", "RE0"]
    assert past(ledger, command=PURGE_TWILIO).failed == []
    line = list(past(ledger).in_turn(iter([*candidates, DONE])))
    assert line == [candidates[1], candidates[3], DONE, candidates[2], candidates[0]]
    ledger.start_run("r2", "process", NOW + SECOND)
    ledger.finish_run("r2", NOW + SECOND, 0, {})
    assert past(ledger).failed == []
    for ledger_away in (None, Broken()):
        assert past(ledger_away).failed == []  # type: ignore[arg-type]
        assert past(ledger_away).look_back() == NOW - 3 * DAY  # type: ignore[arg-type]


@pytest.mark.parametrize("complete", [False, True])
def test_what_had_no_turn_waits_for_it_before_what_failed_now(*, complete: bool) -> None:
    failure = Failure(Service.S3, FailureKind.BUSY, "made", "up")
    bad = replace(DONE, sid="RE3", failures=(failure,))
    stopped = replace(STOPPED, sid="RE5")
    hung = replace(STOPPED, sid="RE6", failures=(failure,))
    before, outcomes = ["RE4", "RE5", "RE6", "RE1", "RE3"], [DONE, bad, stopped, hung]
    waiting = [] if complete else ["RE4", "RE5"]
    assert failed_now(before, outcomes, complete=complete) == [*waiting, "RE3", "RE6"]


def test_what_was_named_keeps_its_order(ledger: Ledger) -> None:
    ledger.start_run("r1", "process", NOW)
    ledger.finish_run("r1", NOW, 1, {FAILED: ["RE0"]})
    candidates = [Candidate(Ref(f"RE{number}", "AC1")) for number in range(2)]
    named = Checkpoints(ledger, Asked(PROCESS, "run", NOW, sids=("RE0", "RE1")))
    assert list(named.in_turn(iter(candidates))) == candidates
    assert list(past(ledger).in_turn(iter(candidates))) == candidates[::-1]


def test_only_a_command_that_catches_up_has_a_backlog(ledger: Ledger) -> None:
    add_all(ledger, [Callback("RE1", "completed", "AC1", None, b"", NOW)])
    assert past(ledger, command=PURGE_TWILIO).pending == []
    assert past(ledger, command=PURGE_TWILIO).backlog(NAMING) == Backlog()
    backlog = Backlog({"RE1": None}, NOW - 3 * DAY, NAMING)
    assert past(ledger).backlog(NAMING) == backlog
    for part in ({"since": NOW - DAY}, {"full": True}):
        asked = Asked(PROCESS, "run", NOW, **part)
        compare = NAMING if "full" in part else None
        assert Checkpoints(ledger, asked).backlog(NAMING) == Backlog({"RE1": None}, None, compare)


def test_a_dry_run_leaves_nothing(ledger: Ledger) -> None:
    add_all(ledger, [Callback("RE1", "completed", "AC1", None, b"", NOW)])
    sources: Any = SimpleNamespace(listed=True, compared=True, calls={}, failures=[])
    dry = Checkpoints(ledger, Asked(PROCESS, "run", NOW, dry_run=True))
    assert dry.keep([DONE], sources) == []
    assert (len(past(ledger).pending), past(ledger).comparison_is_due()) == (1, True)
    past(ledger).keep([DONE], sources)
    assert (len(past(ledger).pending), past(ledger).comparison_is_due()) == (0, False)
