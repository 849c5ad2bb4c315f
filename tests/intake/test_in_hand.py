"""What the worker has in hand: each claim is settled once, by whatever happens first."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from reccli.adapters.ledger import Claim, Inbox
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.outcome import Outcome
from reccli.flow.waiting import FIRST
from reccli.intake import in_hand as in_hand_module
from reccli.intake.in_hand import InHand

if TYPE_CHECKING:
    from reccli.adapters.ledger.transaction import End

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DONE = Outcome("RE1", None, Step(StepKind.DONE, Reason.CONVERGED))


def claim(sid: str = "RE1", fence: int = 1) -> Claim:
    return Claim(sid, "completed", "AC1", "CA1", NOW, attempts=fence, fence=fence)


class Settled(list[tuple[Claim, "End"]]):
    """Stands in for the inbox, and keeps how claims ended."""

    def settle(self, claim: Claim, end: End) -> Future[bool]:
        self.append((claim, end))
        done: Future[bool] = Future()
        done.set_result(True)
        return done


@pytest.fixture
def settled() -> Settled:
    return Settled()


@pytest.fixture
def in_hand(settled: Settled) -> InHand:
    return InHand(cast("Inbox", settled), lambda: NOW)


def test_a_claim_is_settled_when_its_recording_has_ended(in_hand: InHand, settled: Settled) -> None:
    assert in_hand.take([claim()]) == [claim()]
    assert in_hand.begin(claim(), ["RE1"]) == {"RE1"}
    assert (len(in_hand), settled) == (1, [])
    in_hand.ended(DONE)
    in_hand.ended(DONE)
    in_hand.give_back()
    assert (len(in_hand), settled) == (0, [(claim(), Reason.CONVERGED)])


def test_what_runs_out_under_way_goes_on_under_the_newer_claim(
    in_hand: InHand, settled: Settled
) -> None:
    in_hand.take([claim()])
    in_hand.begin(claim(), ["RE1"])
    assert in_hand.take([claim(fence=2), claim("RE2")]) == [claim("RE2")]
    in_hand.ended(DONE)
    assert settled == [(claim(fence=2), Reason.CONVERGED)]


def test_a_run_that_is_over_gives_back_and_takes_nothing_more(
    in_hand: InHand, settled: Settled
) -> None:
    in_hand.take([claim("RE1"), claim("RE2")])
    in_hand.begin(claim("RE1"), ["RE1"])
    in_hand.give_back()
    assert settled == [(claim("RE1"), None), (claim("RE2"), None)]
    assert in_hand.begin(claim("RE2"), ["RE2"]) == set()
    in_hand.ended(DONE)
    in_hand.failed(claim("RE2"), "too late")
    assert settled == [(claim("RE1"), None), (claim("RE2"), None)]
    assert in_hand.take([claim("RE3")]) == []
    assert settled[2:] == [(claim("RE3"), None)]


def test_a_claim_is_due_again_after_a_failure_or_at_once_if_it_was_not_tried(
    in_hand: InHand, settled: Settled
) -> None:
    in_hand.take([claim("CA1"), claim("RE1")])
    in_hand.failed(claim("CA1"), "Twilio is away")
    in_hand.begin(claim("RE1"), ["RE1"])
    in_hand.ended(Outcome("RE1", None, Step(StepKind.HOLD, Reason.STOPPED)))
    assert settled == [(claim("CA1"), FIRST), (claim("RE1"), None)]


def test_no_more_is_held_than_there_is_room_for(
    in_hand: InHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_hand_module, "MOST_HELD", 3)
    in_hand.take([claim("RE1"), claim("RE2")])
    assert in_hand.room == 1
    in_hand.take([claim("RE2", fence=2)])
    assert in_hand.room == 1
    in_hand.failed(claim("RE2"), "away")
    assert in_hand.room == 2


def test_it_is_quiet_from_when_there_is_work(
    in_hand: InHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("reccli.intake.in_hand.time.monotonic", lambda: clock[0])
    in_hand.take([claim("RE1"), claim("RE2")])
    assert in_hand.quiet_for == 0
    in_hand.begin(claim("RE1"), ["RE1"])
    clock[0] += 5
    in_hand.begin(claim("RE2"), ["RE2"])
    assert in_hand.quiet_for == 5
    in_hand.ended(DONE)
    clock[0] += 1
    assert in_hand.quiet_for == 1
