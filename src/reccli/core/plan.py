"""The one function that decides. Pure and total: no I/O, no clock, an answer for every state.

The docstring of `decide` is the decision table; the first row that fits counts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.model import (
    LinkState,
    Observation,
    Policy,
    Reason,
    S3State,
    Step,
    StepKind,
    TwilioState,
)

if TYPE_CHECKING:
    from datetime import datetime

_T, _S, _L = TwilioState, S3State, LinkState


def decide(observation: Observation, policy: Policy, now: datetime) -> Step:  # noqa: C901, PLR0912 - a table
    """Pick the next safe step for one recording.

    ==========================  ===================  =======================  ===========
    Twilio                      S3                   Airtable                 step
    ==========================  ===================  =======================  ===========
    pending                     any                  any                      Wait
    completed                   absent               any but Unknown          Copy
    completed                   Unknown, conflict,   empty                    LinkTwilio
                                no-key
    completed                   Unknown              twilio-link              Hold
    completed                   conflict             not empty                Hold
    completed                   no-key               neither empty, Unknown   Wait
    completed, deleted,         verified             twilio-link, empty       Relink
    Unknown
    any                         verified             s3-link-expiring         Resign
    completed, deleted          verified             no-row, no-free-slot     Hold
    completed                   verified             s3-link, in retention    Wait(until)
    completed                   verified             s3-link, retention over  Delete
    deleted                     verified             s3-link                  Done
    deleted                     absent, conflict     any                      Lost
    failed                      any                  any                      Done
    any other: one side Unknown                                               Hold
    ==========================  ===================  =======================  ===========

    `now` only serves to say when a Wait ends; retention itself is measured on S3's clock.
    """
    match observation.twilio, observation.s3, observation.rows:
        case _T.PENDING, _, _:
            step = Step(StepKind.WAIT, Reason.NOT_COMPLETED)
        case _T.COMPLETED, _S.ABSENT, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.COPY, Reason.NO_COPY)
        case _T.COMPLETED, (_S.UNKNOWN | _S.CONFLICT | _S.NO_KEY), _L.EMPTY:
            step = Step(StepKind.LINK_TWILIO, Reason.FALLBACK)
        case _T.COMPLETED, _S.UNKNOWN, _L.TWILIO_LINK:
            step = Step(StepKind.HOLD, Reason.S3_UNREACHABLE)
        case _T.COMPLETED, _S.CONFLICT, _:
            step = Step(StepKind.HOLD, Reason.CONFLICT)
        case _T.COMPLETED, _S.NO_KEY, rows if rows is not _L.UNKNOWN:
            step = Step(StepKind.WAIT, Reason.NEEDS_ROW)
        case ((_T.COMPLETED | _T.DELETED | _T.UNKNOWN), _S.VERIFIED, (_L.TWILIO_LINK | _L.EMPTY)):
            step = Step(StepKind.RELINK, Reason.NAME_OBJECT)
        case _, _S.VERIFIED, _L.S3_LINK_EXPIRING:
            step = Step(StepKind.RESIGN, Reason.LINK_WOULD_DIE)
        case ((_T.COMPLETED | _T.DELETED), _S.VERIFIED, (_L.NO_ROW | _L.NO_FREE_SLOT)):
            step = Step(StepKind.HOLD, Reason.UNREFERENCED)
        case _T.COMPLETED, _S.VERIFIED, _L.S3_LINK:
            step = _retain_or_delete(observation, policy, now)
        case _T.DELETED, _S.VERIFIED, _L.S3_LINK:
            step = Step(StepKind.DONE, Reason.CONVERGED)
        case _T.DELETED, (_S.ABSENT | _S.CONFLICT), _:
            step = Step(StepKind.LOST, Reason.LOST)
        case _T.FAILED, _, _:
            step = Step(StepKind.DONE, Reason.NOTHING_RECORDED)
        case _:
            step = Step(StepKind.HOLD, Reason.NOT_OBSERVED)
    return step


def _retain_or_delete(observation: Observation, policy: Policy, now: datetime) -> Step:
    if observation.age is None:  # S3 told no time: retention cannot be proven over
        return Step(StepKind.WAIT, Reason.IN_RETENTION)
    if observation.age < policy.retention:
        until = _until(observation.age, policy, now)
        return Step(StepKind.WAIT, Reason.IN_RETENTION, until)
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
    """Tell the observation that a successful step leaves behind."""
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
