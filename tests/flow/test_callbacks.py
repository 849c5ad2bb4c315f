"""When a callback is done with: nothing that was acknowledged may be forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.outcome import Outcome
from reccli.flow.waiting import (
    FIRST,
    GIVE_UP,
    LONGEST,
    LONGEST_FOR_PEOPLE,
    NO_RECORDING,
    Again,
    Finished,
    Waiting,
    later,
    verdict,
)

K = FailureKind
NEW = timedelta(seconds=1)
LASTING = {K.PERMANENT, K.GONE, K.ARCHIVED, K.TOO_LARGE}


def outcome(kind: StepKind, reason: Reason, *kinds: FailureKind) -> Outcome:
    failures = tuple(Failure(Service.AIRTABLE, each, "x", "it failed") for each in kinds)
    return Outcome("RE" + "0" * 32, None, Step(kind, reason), failures=failures)


def why(open_: Outcome) -> str:
    return f"{open_.step.reason}: it failed" if open_.failures else open_.step.reason


RETAINED = outcome(StepKind.WAIT, Reason.IN_RETENTION)
GONE = outcome(StepKind.DONE, Reason.NOTHING_RECORDED)
NOT_YET = outcome(StepKind.WAIT, Reason.NOT_COMPLETED)
STOPPED = outcome(StepKind.HOLD, Reason.STOPPED)
NO_ROW = outcome(StepKind.HOLD, Reason.UNREFERENCED)
FALLBACK = outcome(StepKind.HOLD, Reason.S3_UNREACHABLE, FailureKind.OUTAGE)


@pytest.mark.parametrize(
    "done",
    [
        RETAINED,
        GONE,
        outcome(StepKind.DONE, Reason.CONVERGED),
        outcome(StepKind.LOST, Reason.LOST),
        outcome(StepKind.DELETE, Reason.PROVEN),
    ],
)
def test_it_is_finished_when_nothing_is_left_to_do_for_process(done: Outcome) -> None:
    assert verdict([done], NEW, 1) == Finished(done.step.reason)


@pytest.mark.parametrize("open_", [NOT_YET, NO_ROW, FALLBACK])
def test_one_recording_that_is_not_settled_keeps_it_pending(open_: Outcome) -> None:
    assert verdict([RETAINED, open_], NEW, 1) == Again(FIRST, why(open_))


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind not in LASTING])
def test_what_may_pass_is_tried_for_ever(kind: FailureKind) -> None:
    failed = outcome(StepKind.HOLD, Reason.NOT_OBSERVED, kind)
    assert verdict([failed], 100 * GIVE_UP, 1000) == Again(LONGEST, why(failed))


def test_a_field_that_takes_no_link_makes_nobody_give_up() -> None:
    refused = Failure(Service.AIRTABLE, FailureKind.PERMANENT, "x", "it failed", field="Link")
    open_ = replace(outcome(StepKind.HOLD, Reason.NOT_OBSERVED), failures=(refused,))
    assert verdict([open_], 100 * GIVE_UP, 1000) == Again(LONGEST_FOR_PEOPLE, why(open_))


@pytest.mark.parametrize(
    "hopeless",
    [NO_ROW, *(outcome(StepKind.HOLD, Reason.NOT_OBSERVED, kind) for kind in LASTING)],
)
def test_what_only_people_can_mend_is_given_up_with_its_reason(hopeless: Outcome) -> None:
    assert verdict([hopeless], GIVE_UP - NEW, 9) == Again(
        later(9, LONGEST_FOR_PEOPLE), why(hopeless)
    )
    assert verdict([RETAINED, hopeless], GIVE_UP, 9) == Finished(why(hopeless), given_up=True)


def test_what_waits_for_people_is_looked_at_ever_more_rarely() -> None:
    assert verdict([NO_ROW], NEW, 60) == Again(LONGEST_FOR_PEOPLE, Reason.UNREFERENCED)
    for passing in (FALLBACK, NOT_YET):
        assert verdict([NO_ROW, passing], NEW, 60) == Again(LONGEST, Reason.UNREFERENCED)


def test_a_call_without_recordings_is_given_up_after_a_while() -> None:
    reason = "Twilio lists no recording of this call"
    assert verdict([], NO_RECORDING - NEW, 3) == Again(later(3), reason)
    assert verdict([], NO_RECORDING, 3) == Finished(reason, given_up=True)


def test_a_recording_that_twilio_does_not_know_is_given_up_after_a_while() -> None:
    unknown = Outcome(None, None, Step(StepKind.WAIT, Reason.UNHEARD_OF))
    reason = "Twilio knows no such recording"
    assert verdict([unknown], NO_RECORDING - NEW, 3) == Again(later(3), reason)
    assert verdict([unknown], NO_RECORDING, 3) == Finished(reason, given_up=True)
    assert isinstance(verdict([unknown, FALLBACK], GIVE_UP, 3), Again)


def test_a_server_that_stops_hands_over_at_once() -> None:
    assert verdict([STOPPED], 2 * GIVE_UP, 5) == Again(timedelta(), Reason.STOPPED)


def test_the_waits_double_up_to_a_bound() -> None:
    waits = [later(attempts) for attempts in range(1, 60)]
    assert waits[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert waits[-1] == LONGEST
    assert waits == sorted(waits)
    assert later(10**9) == LONGEST


def test_one_that_was_not_tried_is_enough_to_hand_over() -> None:
    for outcomes in ([STOPPED, NO_ROW], [NO_ROW, STOPPED], [RETAINED, STOPPED]):
        assert verdict(outcomes, GIVE_UP, 9) == Again(timedelta(), Reason.STOPPED)


# --- which callback waits for which recordings


def ended(sid: str) -> Outcome:
    return replace(RETAINED, sid=sid)


def test_a_callback_is_over_once_when_all_its_recordings_have_ended() -> None:
    waiting: Waiting[str] = Waiting()
    assert waiting.add("call", ["RE1", "RE2"]) == {"RE1", "RE2"}
    assert waiting.add("recording", ["RE2"]) == set()
    assert (len(waiting), waiting.over()) == (2, [])
    waiting.ended(ended("RE2"))
    assert waiting.over() == [("recording", [ended("RE2")])]
    waiting.ended(ended("RE2"))
    assert (len(waiting), waiting.over()) == (1, [])
    waiting.ended(ended("RE1"))
    assert waiting.over() == [("call", [ended("RE2"), ended("RE1")])]
    assert (len(waiting), waiting.over()) == (0, [])
    assert waiting.add("again", ["RE1"]) == {"RE1"}


def test_a_callback_of_no_recording_waits_for_none() -> None:
    waiting: Waiting[str] = Waiting()
    assert waiting.add("silent", []) == set()
    assert waiting.over() == [("silent", [])]


def test_what_nobody_waits_for_ends_nothing() -> None:
    waiting: Waiting[str] = Waiting()
    waiting.add("recording", ["RE1"])
    waiting.ended(ended("RE2"))
    waiting.ended(replace(RETAINED, sid=None))
    assert (len(waiting), waiting.over()) == (1, [])
