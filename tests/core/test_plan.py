"""The decision table: row by row, over every state, and against a second writing of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from reccli.core.asked import Observation, Policy
from reccli.core.model import (
    LinkState,
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
AGES = (None, timedelta(), BELOW, RETENTION, ABOVE)
SPACE = [Observation(*sides) for sides in product(T, S, L, AGES, (True, False), (False, True))]
KNOWN_ROWS = ANY_ROWS - {L.UNKNOWN}
NOWHERE = {L.NO_ROW, L.NO_FREE_SLOT, L.FULL_TWIN, L.WORD, L.CALL_UNREAD}


class Line(NamedTuple):
    """One line of the decision table; "any" is written as the whole enum."""

    name: str
    twilio: Collection[TwilioState]
    s3: Collection[S3State]
    rows: Collection[LinkState]
    kind: StepKind
    reason: Reason
    ages: Collection[timedelta | None] = (None, BELOW, RETENTION, ABOVE)
    lengths: Collection[bool] = (True, False)
    overdue: Collection[bool] = (False, True)


TABLE = [
    Line("failed", {T.FAILED}, ANY_S3, ANY_ROWS, StepKind.DONE, Reason.NOTHING_RECORDED),
    Line(
        "pending",
        {T.PENDING},
        ANY_S3,
        ANY_ROWS,
        StepKind.WAIT,
        Reason.NOT_COMPLETED,
        overdue=(False,),
    ),
    Line(
        "pending for too long",
        {T.PENDING},
        ANY_S3,
        ANY_ROWS,
        StepKind.WAIT,
        Reason.OVERDUE,
        overdue=(True,),
    ),
    Line("no audio", {T.NO_MEDIA}, ANY_S3, ANY_ROWS, StepKind.HOLD, Reason.NO_MEDIA),
    Line("no copy", {T.COMPLETED}, {S.ABSENT}, KNOWN_ROWS, StepKind.COPY, Reason.NO_COPY),
    Line(
        "named elsewhere, no copy to make",
        {T.COMPLETED},
        ANY_S3 - {S.ABSENT},
        {L.ELSEWHERE},
        StepKind.HOLD,
        Reason.ELSEWHERE,
    ),
    Line(
        "named elsewhere",
        {T.DELETED, T.UNKNOWN},
        ANY_S3,
        {L.ELSEWHERE},
        StepKind.HOLD,
        Reason.ELSEWHERE,
    ),
    Line(
        "S3 cannot take it",
        {T.COMPLETED},
        {S.UNKNOWN, S.CONFLICT, S.NO_KEY, S.BAD_KEY, S.UNFIT},
        {L.EMPTY},
        StepKind.LINK_TWILIO,
        Reason.FALLBACK,
    ),
    Line(
        "not fetched",
        {T.COMPLETED},
        {S.UNCOPIED},
        {L.EMPTY},
        StepKind.LINK_TWILIO,
        Reason.REACHABLE,
    ),
    Line(
        "not fetched, nothing to write",
        {T.COMPLETED},
        {S.UNCOPIED},
        KNOWN_ROWS - {L.EMPTY, L.ELSEWHERE},
        StepKind.HOLD,
        Reason.UNCOPIED,
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
        ANY_ROWS - {L.EMPTY, L.ELSEWHERE},
        StepKind.HOLD,
        Reason.CONFLICT,
    ),
    Line(
        "no key yet",
        {T.COMPLETED},
        {S.NO_KEY},
        KNOWN_ROWS - {L.EMPTY, L.ELSEWHERE},
        StepKind.WAIT,
        Reason.NEEDS_ROW,
    ),
    Line(
        "no key ever",
        {T.COMPLETED},
        {S.BAD_KEY},
        KNOWN_ROWS - {L.EMPTY, L.ELSEWHERE},
        StepKind.HOLD,
        Reason.BAD_KEY,
    ),
    Line(
        "not for keeps",
        {T.COMPLETED},
        {S.UNFIT},
        KNOWN_ROWS - {L.EMPTY, L.ELSEWHERE},
        StepKind.HOLD,
        Reason.UNFIT,
    ),
    Line(
        "deleted, no key",
        {T.DELETED},
        {S.NO_KEY, S.BAD_KEY},
        ANY_ROWS - {L.ELSEWHERE},
        StepKind.HOLD,
        Reason.KEY_UNKNOWN,
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
        "the row should name the last copy",
        {T.DELETED},
        {S.UNFIT},
        {L.TWILIO_LINK, L.EMPTY},
        StepKind.RELINK,
        Reason.NAME_OBJECT,
    ),
    Line(
        "the link would die",
        {T.COMPLETED, T.DELETED, T.UNKNOWN},
        {S.VERIFIED},
        {L.S3_LINK_EXPIRING},
        StepKind.RESIGN,
        Reason.LINK_WOULD_DIE,
    ),
    Line(
        "the last copy is not for keeps",
        {T.DELETED},
        {S.UNFIT},
        {L.S3_LINK, L.S3_LINK_EXPIRING, *NOWHERE},
        StepKind.HOLD,
        Reason.LAST_COPY_UNFIT,
    ),
    Line(
        "nothing refers to it",
        {T.COMPLETED, T.DELETED},
        {S.VERIFIED},
        {L.NO_ROW, L.NO_FREE_SLOT},
        StepKind.HOLD,
        Reason.UNREFERENCED,
    ),
    *(
        Line(name, {T.COMPLETED, T.DELETED}, {S.VERIFIED}, {rows}, StepKind.HOLD, reason)
        for name, rows, reason in [
            ("one row of two is full", L.FULL_TWIN, Reason.FULL_TWIN),
            ("a word is in the way", L.WORD, Reason.WORD),
            ("the row's call cannot be read", L.CALL_UNREAD, Reason.CALL_UNREAD),
        ]
    ),
    Line(
        "in retention",
        {T.COMPLETED},
        {S.VERIFIED},
        {L.S3_LINK},
        StepKind.WAIT,
        Reason.IN_RETENTION,
        ages=(None, timedelta(), BELOW),
        lengths=(True, False),
    ),
    Line(
        "retention over, length unproven",
        {T.COMPLETED},
        {S.VERIFIED},
        {L.S3_LINK},
        StepKind.HOLD,
        Reason.LENGTH_UNPROVEN,
        ages=(RETENTION, ABOVE),
        lengths=(False,),
    ),
    Line(
        "retention over",
        {T.COMPLETED},
        {S.VERIFIED},
        {L.S3_LINK},
        StepKind.DELETE,
        Reason.PROVEN,
        ages=(RETENTION, ABOVE),
        lengths=(True,),
    ),
    Line("converged", {T.DELETED}, {S.VERIFIED}, {L.S3_LINK}, StepKind.DONE, Reason.CONVERGED),
    Line(
        "lost",
        {T.DELETED},
        {S.ABSENT, S.CONFLICT},
        KNOWN_ROWS - {L.ELSEWHERE},
        StepKind.LOST,
        Reason.LOST,
    ),
    Line(
        "Twilio unknown, no object",
        {T.UNKNOWN},
        ANY_S3 - {S.VERIFIED},
        ANY_ROWS - {L.ELSEWHERE},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "Twilio unknown, archived",
        {T.UNKNOWN},
        {S.VERIFIED},
        {L.UNKNOWN, L.S3_LINK, *NOWHERE},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "S3 unknown",
        {T.COMPLETED},
        {S.UNKNOWN},
        ANY_ROWS - {L.EMPTY, L.TWILIO_LINK, L.ELSEWHERE},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "deleted, S3 unknown",
        {T.DELETED},
        {S.UNKNOWN, S.UNCOPIED},
        ANY_ROWS - {L.ELSEWHERE},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "Airtable unknown",
        {T.COMPLETED},
        {S.ABSENT, S.UNCOPIED, S.NO_KEY, S.BAD_KEY, S.VERIFIED, S.UNFIT},
        {L.UNKNOWN},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Line(
        "deleted, Airtable unknown",
        {T.DELETED},
        {S.VERIFIED, S.UNFIT, S.ABSENT, S.CONFLICT},
        {L.UNKNOWN},
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
]


def states(line: Line) -> Iterable[Observation]:
    sides = product(line.twilio, line.s3, line.rows, line.ages, line.lengths, line.overdue)
    return (Observation(*each) for each in sides)


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_each_row_of_the_table(line: Line) -> None:
    for seen in states(line):
        step = decide(seen, POLICY, NOW)
        assert (step.kind, step.reason) == (line.kind, line.reason), seen


def test_the_rows_above_are_the_whole_table_once() -> None:
    sides = [(o.twilio, o.s3, o.rows) for o in SPACE if o.age is None and o.whole and not o.overdue]
    lines = [line for line in TABLE if False in line.overdue]
    told = [sides for line in lines for sides in product(line.twilio, line.s3, line.rows)]
    for _ in range(2):  # three rows: in retention, and after it with and without a length
        told.remove((T.COMPLETED, S.VERIFIED, L.S3_LINK))
    assert sorted(told) == sorted(sides)


def test_a_wait_says_when_it_is_over() -> None:
    def until(age: timedelta | None) -> object:
        return decide(Observation(T.COMPLETED, S.VERIFIED, L.S3_LINK, age), POLICY, NOW).until

    assert until(timedelta(hours=20)) == NOW + timedelta(hours=4)
    assert until(timedelta(hours=-1)) == NOW + timedelta(hours=25)  # S3's clock runs behind
    assert until(None) is None
    others = [o for o in SPACE if decide(o, POLICY, NOW).reason is not Reason.IN_RETENTION]
    assert all(decide(seen, POLICY, NOW).until is None for seen in others)


@pytest.mark.parametrize(
    "policy",
    [Policy(timedelta()), POLICY, Policy(RETENTION, lasting_links=False)],
    ids=["no retention", "a day", "no lasting links"],
)
def test_decide_equals_the_second_specification(policy: Policy) -> None:
    for seen in SPACE:
        step = decide(seen, policy, NOW)
        assert isinstance(step, Step)
        assert step == expected(seen, policy, NOW), seen


@pytest.mark.parametrize("lasting_links", [True, False])
def test_exactly_one_rule_of_the_specification_speaks_about_each_state(
    *, lasting_links: bool
) -> None:
    policy = Policy(RETENTION, lasting_links)
    for seen in SPACE:
        assert len(fired(seen, policy)) == 1, (seen, [r.name for r in fired(seen, policy)])


def test_every_rule_of_the_specification_speaks_about_some_state() -> None:
    policies = (POLICY, Policy(RETENTION, lasting_links=False))
    spoken = {rule.name for seen in SPACE for p in policies for rule in fired(seen, p)}
    assert spoken == {rule.name for rule in RULES}
