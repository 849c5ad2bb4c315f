"""What no state leads to, and where every route ends: over the whole state space."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from reccli.core.asked import Observation, Policy
from reccli.core.model import (
    LinkState,
    Reason,
    S3State,
    StepKind,
    TwilioState,
)
from reccli.core.plan import after, decide, route

from .samples import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RETENTION = timedelta(hours=24)
BELOW, ABOVE = RETENTION - timedelta(microseconds=1), RETENTION + timedelta(days=9)
POLICY, NO_LINKS = Policy(RETENTION), Policy(RETENTION, lasting_links=False)
TERMINAL = {StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST}

T, S, L = TwilioState, S3State, LinkState
ANY_S3, ANY_ROWS = frozenset(S), frozenset(L)
AGES = (None, timedelta(), BELOW, RETENTION, ABOVE)
SPACE = [Observation(*sides) for sides in product(T, S, L, AGES, (True, False))]
KNOWN_ROWS = ANY_ROWS - {L.UNKNOWN}


class TestInvariants:
    @pytest.mark.parametrize("kind", [*StepKind])
    def test_each_step_is_taken_only_where_it_is_safe(self, kind: StepKind) -> None:
        taken = [seen for seen in SPACE if decide(seen, POLICY, NOW).kind is kind]
        assert taken
        assert all(SAFE[kind](seen) for seen in taken)

    def test_nothing_irreversible_comes_of_an_unknown(self) -> None:
        unknowns = {T.UNKNOWN, S.UNKNOWN, L.UNKNOWN}
        blind = [o for o in SPACE if unknowns & {o.twilio, o.s3, o.rows}]
        assert not any(
            step.kind is StepKind.DELETE for seen in blind for step in route(seen, POLICY, NOW)
        )
        assert not any(
            step.kind is StepKind.DELETE for seen in SPACE for step in route(seen, NO_LINKS, NOW)
        )
        done = {o.twilio for o in blind if decide(o, POLICY, NOW).kind is StepKind.DONE}
        assert done == {T.FAILED}  # nothing was recorded: nothing to lose

    def test_a_preserved_recording_is_never_called_converged(self) -> None:
        done = [o for o in SPACE if decide(o, POLICY, NOW).reason is Reason.CONVERGED]
        assert {(o.twilio, o.s3, o.rows) for o in done} == {(T.DELETED, S.VERIFIED, L.S3_LINK)}


SAFE: Mapping[StepKind, Callable[[Observation], bool]] = {
    StepKind.DELETE: lambda o: (
        (o.twilio, o.s3, o.rows) == (T.COMPLETED, S.VERIFIED, L.S3_LINK)
        and o.age is not None
        and o.age >= RETENTION
        and o.whole
    ),
    StepKind.COPY: lambda o: (o.twilio, o.s3) == (T.COMPLETED, S.ABSENT) and o.rows in KNOWN_ROWS,
    StepKind.LINK_TWILIO: lambda o: o.rows is L.EMPTY and o.twilio is T.COMPLETED,
    StepKind.RELINK: lambda o: (
        o.rows in {L.EMPTY, L.TWILIO_LINK}
        and (o.s3 is S.VERIFIED or (o.twilio, o.s3) == (T.DELETED, S.UNFIT))
    ),
    StepKind.RESIGN: lambda o: o.s3 is S.VERIFIED and o.rows is L.S3_LINK_EXPIRING,
    StepKind.LOST: lambda o: o.twilio is T.DELETED and o.s3 in {S.ABSENT, S.CONFLICT},
    StepKind.DONE: lambda o: o.twilio in {T.DELETED, T.FAILED},
    StepKind.WAIT: lambda o: o.twilio in {T.PENDING, T.COMPLETED},
    StepKind.HOLD: lambda o: o.twilio not in {T.PENDING, T.FAILED},
}


class TestRoute:
    @pytest.mark.parametrize("policy", [Policy(timedelta()), POLICY, NO_LINKS], ids=str)
    def test_it_ends_in_a_terminal_step_and_meets_no_state_twice(self, policy: Policy) -> None:
        for start in SPACE:
            steps = route(start, policy, NOW)
            assert steps[-1].kind in TERMINAL
            assert not {step.kind for step in steps[:-1]} & TERMINAL
            met = [start]
            for step in steps[:-1]:
                met.append(after(met[-1], step.kind))
            assert len(set(met)) == len(met) <= 4, start

    @pytest.mark.parametrize(
        ("sides", "kinds"),
        [
            ((T.COMPLETED, S.ABSENT, L.EMPTY), "Copy Relink Wait"),
            ((T.COMPLETED, S.ABSENT, L.TWILIO_LINK), "Copy Relink Wait"),
            ((T.COMPLETED, S.ABSENT, L.S3_LINK), "Copy Wait"),
            ((T.COMPLETED, S.ABSENT, L.S3_LINK_EXPIRING), "Copy Resign Wait"),
            ((T.COMPLETED, S.ABSENT, L.NO_ROW), "Copy Hold"),
            ((T.COMPLETED, S.UNKNOWN, L.EMPTY), "LinkTwilio Hold"),
            ((T.COMPLETED, S.CONFLICT, L.EMPTY), "LinkTwilio Hold"),
            ((T.COMPLETED, S.NO_KEY, L.EMPTY), "LinkTwilio Wait"),
            ((T.COMPLETED, S.BAD_KEY, L.EMPTY), "LinkTwilio Hold"),
            ((T.COMPLETED, S.UNFIT, L.EMPTY), "LinkTwilio Hold"),
            ((T.COMPLETED, S.ABSENT, L.ELSEWHERE), "Copy Hold"),
            ((T.DELETED, S.UNFIT, L.TWILIO_LINK), "Relink Hold"),
            ((T.DELETED, S.VERIFIED, L.TWILIO_LINK), "Relink Done"),
            ((T.UNKNOWN, S.VERIFIED, L.TWILIO_LINK), "Relink Hold"),
            ((T.DELETED, S.ABSENT, L.S3_LINK), "Lost"),
        ],
    )
    def test_from_here_the_way_is(
        self, sides: tuple[TwilioState, S3State, LinkState], kinds: str
    ) -> None:
        assert [s.kind for s in route(Observation(*sides), POLICY, NOW)] == kinds.split()

    def test_after_retention_a_row_put_right_lets_the_copy_go(self) -> None:
        start = Observation(T.COMPLETED, S.VERIFIED, L.TWILIO_LINK, ABOVE)
        kinds = [step.kind for step in route(start, POLICY, NOW)]
        assert kinds == [StepKind.RELINK, StepKind.DELETE, StepKind.DONE]

    def test_a_copy_made_in_this_run_starts_its_retention_anew(self) -> None:
        start = Observation(T.COMPLETED, S.ABSENT, L.S3_LINK, ABOVE)
        assert route(start, POLICY, NOW)[-1].until == NOW + RETENTION
