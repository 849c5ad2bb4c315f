"""The one function that decides. Pure and total: no I/O, no clock, an answer for every state.

The docstring of `decide` is the decision table; the first row that fits counts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.asked import Observation, Policy
from reccli.core.model import (
    LinkState,
    Reason,
    S3State,
    Step,
    StepKind,
    TwilioState,
)

if TYPE_CHECKING:
    from datetime import datetime

_T, _S, _L = TwilioState, S3State, LinkState
_IN_THE_WAY = {
    _L.FULL_TWIN: Reason.FULL_TWIN,
    _L.WORD: Reason.WORD,
    _L.CALL_UNREAD: Reason.CALL_UNREAD,
}
"""What in the table keeps a link from being written, each with its reason."""
_NEEDS_LINKS = frozenset({StepKind.RELINK, StepKind.RESIGN, StepKind.DELETE})


def decide(observation: Observation, policy: Policy, now: datetime) -> Step:
    """Pick the next safe step for one recording.

    ==========================  ===================  =======================  ===========
    Twilio                      S3                   Airtable                 step
    ==========================  ===================  =======================  ===========
    failed                      any                  any                      Done
    pending, overdue or not     any                  any                      Wait
    no-media                    any                  any                      Hold
    completed                   absent               any but Unknown          Copy
    any                         any                  elsewhere                Hold
    completed                   Unknown, conflict,   empty                    LinkTwilio
                                no-key, bad-key,
                                unfit, uncopied
    completed                   Unknown              twilio-link              Hold
    completed                   uncopied             any but Unknown          Hold
    completed                   conflict             any                      Hold
    completed                   no-key               any but Unknown          Wait
    completed                   bad-key              any but Unknown          Hold
    completed                   unfit                any but Unknown          Hold
    deleted                     no-key, bad-key      any                      Hold
    completed, deleted,         verified             twilio-link, empty       Relink
    Unknown
    deleted                     unfit                twilio-link, empty       Relink
    any                         verified             s3-link-expiring         Resign
    deleted                     unfit                any but Unknown          Hold
    completed, deleted          verified             no-row, no-free-slot     Hold
    completed, deleted          verified             full-twin                Hold
    completed, deleted          verified             word                     Hold
    completed, deleted          verified             call-unread              Hold
    completed                   verified             s3-link, in retention    Wait(until)
    completed, length unproven  verified             s3-link, retention over  Hold
    completed                   verified             s3-link, retention over  Delete
    deleted                     verified             s3-link                  Done
    deleted                     absent, conflict     any but Unknown          Lost
    any other: one side Unknown                                               Hold
    ==========================  ===================  =======================  ===========

    Where no link would last (`policy.lasting_links`), LinkTwilio stands for the Relink of an empty
    cell while Twilio has the recording, and Hold for every other Relink, Resign and Delete.

    Uncopied is what a copy leaves behind that failed, and not for want of S3: nothing is said of S3
    then. No-media is what it leaves where Twilio has no audio, so that no link to it is made.

    `now` only serves to say when a Wait ends; how long it has lasted, the observation says.
    """
    step = _table(observation, policy, now)
    if policy.lasting_links or step.kind not in _NEEDS_LINKS:
        return step
    playable = observation.twilio is _T.COMPLETED and observation.rows is _L.EMPTY
    if step.kind is StepKind.RELINK and playable:
        return Step(StepKind.LINK_TWILIO, Reason.FALLBACK)
    return Step(StepKind.HOLD, Reason.NO_LASTING_LINK)


def _table(observation: Observation, policy: Policy, now: datetime) -> Step:  # noqa: C901, PLR0912 - a table
    match observation.twilio, observation.s3, observation.rows:
        case _T.FAILED, _, _:
            step = Step(StepKind.DONE, Reason.NOTHING_RECORDED)
        case _T.PENDING, _, _:
            late = observation.overdue
            step = Step(StepKind.WAIT, Reason.OVERDUE if late else Reason.NOT_COMPLETED)
        case _T.NO_MEDIA, _, _:
            step = Step(StepKind.HOLD, Reason.NO_MEDIA)
        case _T.COMPLETED, _S.ABSENT, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.COPY, Reason.NO_COPY)
        case _, _, _L.ELSEWHERE:
            step = Step(StepKind.HOLD, Reason.ELSEWHERE)
        case _T.COMPLETED, (_S.UNKNOWN | _S.CONFLICT | _S.NO_KEY | _S.BAD_KEY | _S.UNFIT), _L.EMPTY:
            step = Step(StepKind.LINK_TWILIO, Reason.FALLBACK)
        case _T.COMPLETED, _S.UNCOPIED, _L.EMPTY:
            step = Step(StepKind.LINK_TWILIO, Reason.REACHABLE)
        case _T.COMPLETED, _S.UNCOPIED, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.HOLD, Reason.UNCOPIED)
        case _T.COMPLETED, _S.UNKNOWN, _L.TWILIO_LINK:
            step = Step(StepKind.HOLD, Reason.S3_UNREACHABLE)
        case _T.COMPLETED, _S.CONFLICT, _:
            step = Step(StepKind.HOLD, Reason.CONFLICT)
        case _T.COMPLETED, _S.NO_KEY, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.WAIT, Reason.NEEDS_ROW)
        case _T.COMPLETED, _S.BAD_KEY, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.HOLD, Reason.BAD_KEY)
        case _T.COMPLETED, _S.UNFIT, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.HOLD, Reason.UNFIT)
        case _T.DELETED, (_S.NO_KEY | _S.BAD_KEY), _:
            step = Step(StepKind.HOLD, Reason.KEY_UNKNOWN)
        case ((_T.COMPLETED | _T.DELETED | _T.UNKNOWN), _S.VERIFIED, (_L.TWILIO_LINK | _L.EMPTY)):
            step = Step(StepKind.RELINK, Reason.NAME_OBJECT)
        case _T.DELETED, _S.UNFIT, (_L.TWILIO_LINK | _L.EMPTY):
            step = Step(StepKind.RELINK, Reason.NAME_OBJECT)
        case _, _S.VERIFIED, _L.S3_LINK_EXPIRING:
            step = Step(StepKind.RESIGN, Reason.LINK_WOULD_DIE)
        case _T.DELETED, _S.UNFIT, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.HOLD, Reason.LAST_COPY_UNFIT)
        case ((_T.COMPLETED | _T.DELETED), _S.VERIFIED, (_L.NO_ROW | _L.NO_FREE_SLOT)):
            step = Step(StepKind.HOLD, Reason.UNREFERENCED)
        case ((_T.COMPLETED | _T.DELETED), _S.VERIFIED, rows) if rows in _IN_THE_WAY:
            step = Step(StepKind.HOLD, _IN_THE_WAY[rows])
        case _T.COMPLETED, _S.VERIFIED, _L.S3_LINK:
            step = _retain_or_delete(observation, policy, now)
        case _T.DELETED, _S.VERIFIED, _L.S3_LINK:
            step = Step(StepKind.DONE, Reason.CONVERGED)
        case _T.DELETED, (_S.ABSENT | _S.CONFLICT), rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.LOST, Reason.LOST)
        case _:
            step = Step(StepKind.HOLD, Reason.NOT_OBSERVED)
    return step


def _retain_or_delete(observation: Observation, policy: Policy, now: datetime) -> Step:
    if observation.age is None:  # S3 gave no time: retention cannot be proven over
        return Step(StepKind.WAIT, Reason.IN_RETENTION)
    if observation.age < policy.retention:
        until = _until(observation.age, policy, now)
        return Step(StepKind.WAIT, Reason.IN_RETENTION, until)
    if not observation.whole:
        return Step(StepKind.HOLD, Reason.LENGTH_UNPROVEN)
    return Step(StepKind.DELETE, Reason.PROVEN)


def _until(age: timedelta, policy: Policy, now: datetime) -> datetime | None:
    try:
        return now + (policy.retention - age)
    except OverflowError:  # after the year 9999, so never
        return None


_TERMINAL = frozenset({StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST})


def route(observation: Observation, policy: Policy, now: datetime) -> tuple[Step, ...]:
    """Repeat `decide`, assuming that each step succeeds; ends with a Wait, Hold, Done or Lost.

    What `--dry-run` prints. It terminates because every step moves one side closer.
    """
    steps = [decide(observation, policy, now)]
    while steps[-1].kind not in _TERMINAL:
        observation = after(observation, steps[-1].kind)
        steps.append(decide(observation, policy, now))
    return tuple(steps)


def after(observation: Observation, kind: StepKind) -> Observation:
    """Return the observation that a successful step leaves behind."""
    match kind:
        case StepKind.COPY:
            return replace(observation, s3=S3State.VERIFIED, age=timedelta())
        case StepKind.LINK_TWILIO:
            return replace(observation, rows=LinkState.TWILIO_LINK)
        case StepKind.RELINK | StepKind.RESIGN:
            return replace(observation, rows=LinkState.S3_LINK)
        case StepKind.DELETE:
            return replace(observation, twilio=TwilioState.DELETED)
        case _:
            return observation
