"""What a run asks the ledger before it begins: what cannot be told costs work, nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli import history
from reccli.adapters.ledger import Callback, Ledger
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import Reason, Ref, S3State, Step, StepKind
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.ports import Event
from reccli.flow.reporting import VANISHED
from reccli.watch.event_log import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DONE = Outcome("RE1", None, Step(StepKind.DONE, Reason.CONVERGED))
STOPPED = Outcome("RE2", None, Step(StepKind.HOLD, Reason.STOPPED))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as opened:
        yield opened


def test_a_comparison_is_due_once_a_day(ledger: Ledger) -> None:
    assert history.comparison_is_due(ledger, NOW)
    history.remember_comparison(ledger, "run", NOW, [DONE])
    assert not history.comparison_is_due(ledger, NOW + SECOND)
    assert not history.comparison_is_due(ledger, NOW + DAY - SECOND)
    assert history.comparison_is_due(ledger, NOW + DAY)


@pytest.mark.parametrize(("after", "due"), [(-SECOND, False), (timedelta(), False), (SECOND, True)])
def test_it_is_due_when_an_object_was_found_to_be_gone_since(
    ledger: Ledger, after: timedelta, *, due: bool
) -> None:
    history.remember_comparison(ledger, "run", NOW, [])
    ledger.record("other", [Event(VANISHED, NOW + after)])
    assert history.comparison_is_due(ledger, NOW + 2 * SECOND) is due


def test_a_run_that_was_stopped_has_compared_nothing_to_the_end(ledger: Ledger) -> None:
    history.remember_comparison(ledger, "run", NOW, [DONE, STOPPED])
    assert history.comparison_is_due(ledger, NOW + SECOND)


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
    history.remember_comparison(ledger, "run", NOW, [DONE, failed])
    assert history.comparison_is_due(ledger, NOW + SECOND) is due
    history.remember_listing(ledger, "run", NOW, [DONE, failed])
    assert (history.look_back(ledger, NOW + 10 * DAY) == NOW - DAY) is not due


def test_what_a_field_refuses_is_looked_for_until_it_is_mended(ledger: Ledger) -> None:
    failure = Failure(Service.AIRTABLE, FailureKind.PERMANENT, "made", "up", field="Link")
    refused = Outcome("RE3", None, Step(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(failure,))
    history.remember_listing(ledger, "run", NOW, [DONE, refused])
    assert history.look_back(ledger, NOW + 10 * DAY) == NOW + 7 * DAY


def test_a_callback_is_finished_when_all_that_it_told_of_is_settled(ledger: Ledger) -> None:
    for name in ("RE1", "RE2", "RE3", "CA1", "CA2", "CA3"):
        ledger.add_callbacks([Callback(name, "completed", "AC1", None, b"", NOW)])
    told = history.pending(ledger)
    calls = {"CA1": ("RE1",), "CA2": ("RE1", "RE2"), "CA3": ("RE1", "RE9")}
    history.finish_callbacks(ledger, told, [DONE, STOPPED], calls, NOW)
    assert {one.sid for one in history.pending(ledger)} == {"RE2", "RE3", "CA2", "CA3"}
    history.finish_callbacks(ledger, told, [DONE], {}, NOW)
    assert len(history.pending(ledger)) == 4


class Broken:
    """A ledger that has gone away."""

    def __getattr__(self, name: str) -> object:
        raise ServiceError(Failure(Service.LEDGER, FailureKind.OUTAGE, name, "it is away"))


def test_a_ledger_that_is_away_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for ledger in (None, Broken()):
        history.remember_comparison(ledger, "run", NOW, [DONE])  # type: ignore[arg-type]
        assert history.comparison_is_due(ledger, NOW)  # type: ignore[arg-type]
        assert history.pending(ledger) == []  # type: ignore[arg-type]
    assert "ledger_error" in capsys.readouterr().out


def test_process_looks_back_to_when_everything_was_seen_less_a_day(ledger: Ledger) -> None:
    assert history.look_back(ledger, NOW) == NOW - 3 * DAY
    history.remember_listing(ledger, "run", NOW, [DONE])
    assert history.look_back(ledger, NOW + SECOND) == NOW + SECOND - 3 * DAY
    assert history.look_back(ledger, NOW + 10 * DAY) == NOW - DAY


@pytest.mark.parametrize("kind", FailureKind)
def test_what_may_yet_pass_is_looked_for_again(ledger: Ledger, kind: FailureKind) -> None:
    failure = Failure(Service.AIRTABLE, kind, "made", "up")
    failed = Outcome("RE3", None, Step(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(failure,))
    for left in (failed, STOPPED):
        history.remember_listing(ledger, "run", NOW, [DONE, left])
        seen = history.look_back(ledger, NOW + 10 * DAY) == NOW - DAY
        assert seen is (left is failed and failure.lasting)
        if seen:
            return


def test_what_failed_comes_last_in_the_order_of_its_turns(ledger: Ledger) -> None:
    candidates = [Candidate(Ref(f"RE{number}", "AC1")) for number in range(4)]
    ledger.start_run("r1", "process", NOW)
    assert history.failed(ledger, "process") == []
    ledger.finish_run("r1", NOW, 1, {FAILED: ["RE2", "RE0", None]})
    assert history.failed(ledger, "process") == ["RE2", "RE0"]
    assert history.failed(ledger, "purge-twilio") == []
    line = list(history.failed_last(iter([*candidates, DONE]), ["RE2", "RE0"]))
    assert line == [candidates[1], candidates[3], DONE, candidates[2], candidates[0]]
    ledger.start_run("r2", "process", NOW + SECOND)
    ledger.finish_run("r2", NOW + SECOND, 0, {})
    assert history.failed(ledger, "process") == []
    for ledger_away in (None, Broken()):
        assert history.failed(ledger_away, "process") == []  # type: ignore[arg-type]
        assert history.look_back(ledger_away, NOW) == NOW - 3 * DAY  # type: ignore[arg-type]


@pytest.mark.parametrize("complete", [False, True])
def test_what_had_no_turn_waits_for_it_before_what_failed_now(*, complete: bool) -> None:
    failure = Failure(Service.S3, FailureKind.BUSY, "made", "up")
    bad = replace(DONE, sid="RE3", failures=(failure,))
    stopped = replace(STOPPED, sid="RE5")
    hung = replace(STOPPED, sid="RE6", failures=(failure,))
    before, outcomes = ["RE4", "RE5", "RE6", "RE1", "RE3"], [DONE, bad, stopped, hung]
    waiting = [] if complete else ["RE4", "RE5"]
    assert history.failed_now(before, outcomes, complete=complete) == [*waiting, "RE3", "RE6"]
