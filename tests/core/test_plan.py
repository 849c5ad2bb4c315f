"""The decision table: row by row, over every state, and against a second writing of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

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
from reccli.core.plan import decide

from .samples import NOW
from .spec import RULES, expected, fired

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

RETENTION = timedelta(hours=24)
BELOW, ABOVE = RETENTION - timedelta(microseconds=1), RETENTION + timedelta(days=9)
POLICY = Policy(RETENTION)
TERMINAL = {StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST}

T, S, L = TwilioState, S3State, LinkState
ANY_S3, ANY_ROWS = frozenset(S), frozenset(L)
SPACE = [
    Observation(twilio, s3, rows, age)
    for twilio, s3, rows, age in product(T, S, L, (None, timedelta(), BELOW, RETENTION, ABOVE))
]
KNOWN_ROWS = ANY_ROWS - {L.UNKNOWN}


class Line(NamedTuple):
    """One line of the decision table; "any" is written as the whole enum."""

    name: str
    twilio: Collection[TwilioState]
    s3: Collection[S3State]
    rows: Collection[LinkState]
    kind: StepKind
    reason: Reason
    ages: Collection[timedelta | None] = (None, BELOW, RETENTION, ABOVE)


TABLE = [
    Line("pending", {T.PENDING}, ANY_S3, ANY_ROWS, StepKind.WAIT, Reason.NOT_COMPLETED),
    Line("no copy", {T.COMPLETED}, {S.ABSENT}, KNOWN_ROWS, StepKind.COPY, Reason.NO_COPY),
    Line(
        "S3 cannot take it",
        {T.COMPLETED},
        {S.UNKNOWN, S.CONFLICT, S.NO_KEY},
        {L.EMPTY},
        StepKind.LINK_TWILIO,
        Reason.FALLBACK,
    ),
    Line(
        "S3 unreachable, fallback in place",
        {T.COMPLETED},
        {S.UNKNOWN},
        {L.TWILIO_LINK},
        StepKind.HOLD,
        Reason.S3_UNREACHABLE,
    ),
    Line(
        "conflict",
        {T.COMPLETED},
        {S.CONFLICT},
        ANY_ROWS - {L.EMPTY},
        StepKind.HOLD,
        Reason.CONFLICT,
    ),
    Line(
        "no key yet",
        {T.COMPLETED},
        {S.NO_KEY},
        KNOWN_ROWS - {L.EMPTY},
        StepKind.WAIT,
        Reason.NEEDS_ROW,
    ),
    Line(
        "the row should name the object",
        {T.COMPLETED, T.DELETED, T.UNKNOWN},
        {S.VERIFIED},
        {L.TWILIO_LINK, L.EMPTY},
        StepKind.RELINK,
        Reason.NAME_OBJECT,
    ),
    Line(
        "the link would die",
        set(T) - {T.PENDING},
        {S.VERIFIED},
        {L.S3_LINK_EXPIRING},
        StepKind.RESIGN,
        Reason.LINK_WOULD_DIE,
    ),
    Line(
        "nothing refers to it",
        {T.COMPLETED, T.DELETED},
        {S.VERIFIED},
        {L.NO_ROW, L.NO_FREE_SLOT},
        StepKind.HOLD,
        Reason.UNREFERENCED,
    ),
    Line(
        "in retention",
        {T.COMPLETED},
        {S.VERIFIED},
        {L.S3_LINK},
        StepKind.WAIT,
        Reason.IN_RETENTION,
        ages=(None, timedelta(), BELOW),
    ),
    Line(
        "retention over",
        {T.COMPLETED},
        {S.VERIFIED},
        {L.S3_LINK},
        StepKind.DELETE,
        Reason.PROVEN,
        ages=(RETENTION, ABOVE),
    ),
    Line("converged", {T.DELETED}, {S.VERIFIED}, {L.S3_LINK}, StepKind.DONE, Reason.CONVERGED),
    Line("lost", {T.DELETED}, {S.ABSENT, S.CONFLICT}, ANY_ROWS, StepKind.LOST, Reason.LOST),
    # `decide` reads the table from the top: a failed one with a dying link is the line above.
    Line(
        "failed",
        {T.FAILED},
        ANY_S3 - {S.VERIFIED},
        ANY_ROWS,
        StepKind.DONE,
        Reason.NOTHING_RECORDED,
    ),
    Line(
        "failed, archived",
        {T.FAILED},
        {S.VERIFIED},
        ANY_ROWS - {L.S3_LINK_EXPIRING},
        StepKind.DONE,
        Reason.NOTHING_RECORDED,
    ),
    Line(
        "Twilio unknown, no object",
        {T.UNKNOWN},
        ANY_S3 - {S.VERIFIED},
        ANY_ROWS,
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "Twilio unknown, archived",
        {T.UNKNOWN},
        {S.VERIFIED},
        {L.UNKNOWN, L.S3_LINK, L.NO_ROW, L.NO_FREE_SLOT},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "S3 unknown",
        {T.COMPLETED},
        {S.UNKNOWN},
        ANY_ROWS - {L.EMPTY, L.TWILIO_LINK},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "deleted, S3 unknown",
        {T.DELETED},
        {S.UNKNOWN, S.NO_KEY},
        ANY_ROWS,
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "Airtable unknown",
        {T.COMPLETED},
        {S.ABSENT, S.NO_KEY, S.VERIFIED},
        {L.UNKNOWN},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "deleted and archived, Airtable unknown",
        {T.DELETED},
        {S.VERIFIED},
        {L.UNKNOWN},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
]


def states(line: Line) -> Iterable[Observation]:
    return (Observation(*sides) for sides in product(line.twilio, line.s3, line.rows, line.ages))


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_each_row_of_the_table(line: Line) -> None:
    for seen in states(line):
        step = decide(seen, POLICY, NOW)
        assert (step.kind, step.reason) == (line.kind, line.reason), seen


def test_the_rows_above_are_the_whole_table_once() -> None:
    sides = [(o.twilio, o.s3, o.rows) for o in SPACE if o.age is None]
    told = [sides for line in TABLE for sides in product(line.twilio, line.s3, line.rows)]
    told.remove((T.COMPLETED, S.VERIFIED, L.S3_LINK))  # two rows: in retention and after
    assert sorted(told) == sorted(sides)


def test_a_wait_says_when_it_is_over() -> None:
    def until(age: timedelta | None) -> object:
        return decide(Observation(T.COMPLETED, S.VERIFIED, L.S3_LINK, age), POLICY, NOW).until

    assert until(timedelta(hours=20)) == NOW + timedelta(hours=4)
    assert until(timedelta(hours=-1)) == NOW + timedelta(hours=25)  # S3's clock runs behind
    assert until(None) is None
    others = [o for o in SPACE if decide(o, POLICY, NOW).reason is not Reason.IN_RETENTION]
    assert all(decide(seen, POLICY, NOW).until is None for seen in others)


@pytest.mark.parametrize("retention", [timedelta(), RETENTION], ids=["no retention", "a day"])
def test_decide_equals_the_second_specification(retention: timedelta) -> None:
    for seen in SPACE:
        step = decide(seen, Policy(retention), NOW)
        assert isinstance(step, Step)
        assert step == expected(seen, retention, NOW), seen


def test_exactly_one_rule_of_the_specification_speaks_about_each_state() -> None:
    for seen in SPACE:
        assert len(fired(seen, RETENTION)) == 1, (seen, [r.name for r in fired(seen, RETENTION)])


def test_every_rule_of_the_specification_speaks_about_some_state() -> None:
    spoken = {rule.name for seen in SPACE for rule in fired(seen, RETENTION)}
    assert spoken == {rule.name for rule in RULES}
