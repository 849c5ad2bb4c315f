"""What a run means to cron: the worst thing that happened counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.commands import MIGRATE_FALLBACKS, Asked
from reccli.flow.outcome import Outcome
from reccli.flow.result import COUNTS, ENDS, Exit, Result

K = FailureKind
DONE = Step(StepKind.DONE, Reason.CONVERGED)
HOLD = Step(StepKind.HOLD, Reason.NOT_OBSERVED)
STOPPED = Step(StepKind.HOLD, Reason.STOPPED)
LOST = Step(StepKind.LOST, Reason.LOST)
WAIT = Step(StepKind.WAIT, Reason.IN_RETENTION)
ASKED = Asked(MIGRATE_FALLBACKS)


def failed(kind: K) -> Failure:
    return Failure(Service.S3, kind, "made", "made up")


def outcome(step: Step = DONE, *kinds: K, steps: tuple[StepKind, ...] = ()) -> Outcome:
    return Outcome("RE", "CA", step, steps, tuple(failed(kind) for kind in kinds), size=7)


def result(*outcomes: Outcome, asked: Asked = ASKED, **how: object) -> Result:
    made = Result(asked=asked, **how)  # type: ignore[arg-type]
    for each in outcomes:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (result(), Exit.OK),
        (result(outcome(), outcome(WAIT)), Exit.OK),
        (result(outcome(HOLD)), Exit.OK),
        (result(outcome(LOST)), Exit.FAILED),
        (result(outcome(HOLD, K.OUTAGE)), Exit.TRANSIENT),
        (result(outcome(HOLD, K.BUSY)), Exit.TRANSIENT),
        (result(outcome(HOLD, K.DENIED)), Exit.DENIED),
        (result(outcome(HOLD, K.PERMANENT)), Exit.FAILED),
        (result(outcome(HOLD, K.CONFIG)), Exit.USAGE),
        (result(failures=[failed(K.CONFIG)]), Exit.USAGE),
        (result(outcome(HOLD, K.CONFIG), outcome(HOLD, K.DENIED, K.PERMANENT)), Exit.USAGE),
        (result(outcome(LOST), outcome(HOLD, K.CONFIG)), Exit.FAILED),
        (result(outcome(HOLD, K.FATAL)), Exit.FAILED),
        (result(outcome(HOLD, K.OUTAGE), outcome(HOLD, K.PERMANENT)), Exit.FAILED),
        (result(outcome(HOLD, K.OUTAGE), outcome(HOLD, K.DENIED)), Exit.DENIED),
        (result(outcome(LOST), outcome(HOLD, K.DENIED)), Exit.FAILED),
        (result(outcome(), refusal="too many"), Exit.UNSAFE),
        (result(outcome(HOLD, K.OUTAGE), refusal="too many"), Exit.UNSAFE),
        (result(failures=[failed(K.OUTAGE)]), Exit.TRANSIENT),
        (result(failures=[failed(K.DENIED)]), Exit.DENIED),
        (result(outcome(), breach="5 % fell back"), Exit.THRESHOLD),
        (result(outcome(HOLD, K.OUTAGE), breach="5 % fell back"), Exit.TRANSIENT),
        (result(outcome(LOST), interrupted=True), Exit.INTERRUPTED),
        (result(outcome(HOLD, K.DENIED), interrupted=True), Exit.INTERRUPTED),
    ],
)
def test_the_exit_code(made: Result, code: Exit) -> None:
    assert made.exit_code is code


@pytest.mark.parametrize(
    ("one", "counted"),
    [
        (outcome(), {"seen": 1, "bytes": 7, "done": 1}),
        (outcome(WAIT), {"seen": 1, "bytes": 7, "waiting": 1}),
        (outcome(STOPPED), {"seen": 1, "bytes": 7, "waiting": 1}),
        (outcome(STOPPED, K.OUTAGE), {"seen": 1, "bytes": 7, "failed": 1}),
        (outcome(HOLD), {"seen": 1, "bytes": 7, "held": 1}),
        (outcome(HOLD, K.OUTAGE, K.BUSY), {"seen": 1, "bytes": 7, "failed": 1}),
        (outcome(LOST), {"seen": 1, "bytes": 7, "lost": 1}),
        (outcome(LOST, K.BUSY), {"seen": 1, "bytes": 7, "lost": 1}),
        (outcome(Step(StepKind.COPY, Reason.NO_COPY)), {"seen": 1, "bytes": 7, "waiting": 1}),
        (
            outcome(DONE, K.BUSY, steps=(StepKind.DELETE,)),
            {"seen": 1, "bytes": 7, "deleted": 1},
        ),
        (
            outcome(steps=(StepKind.COPY, StepKind.RELINK, StepKind.DELETE)),
            {"seen": 1, "bytes": 7, "copied": 1, "relinked": 1, "deleted": 1},
        ),
        (
            outcome(WAIT, steps=(StepKind.LINK_TWILIO, StepKind.RESIGN)),
            {"seen": 1, "bytes": 7, "fallback": 1, "resigned": 1, "waiting": 1},
        ),
    ],
)
def test_the_counts(one: Outcome, counted: dict[str, int]) -> None:
    assert result(one).summary == dict.fromkeys(COUNTS, 0) | counted


def test_a_dry_run_counts_what_would_be_done() -> None:
    made = result(outcome(WAIT, steps=(StepKind.COPY,)), asked=replace(ASKED, dry_run=True))
    counted = {"seen": 1, "copied": 1, "waiting": 1, "bytes": 7}
    assert made.summary == dict.fromkeys(COUNTS, 0) | counted


@given(
    kind=st.sampled_from(StepKind),
    why=st.sampled_from(Reason),
    kinds=st.lists(st.sampled_from(K), max_size=2),
    steps=st.lists(st.sampled_from(StepKind), max_size=3),
)
def test_every_recording_stands_in_one_place(
    kind: StepKind, why: Reason, kinds: list[K], steps: list[StepKind]
) -> None:
    summary = result(outcome(Step(kind, why), *kinds, steps=tuple(steps))).summary
    assert sum(summary[name] for name in ENDS) == summary["seen"] == 1
