"""When a batch is sent, and how much is held."""

from __future__ import annotations

from typing import Any

import pytest

from reccli.core.model import Ref
from reccli.flow.effects import ObserveRows
from reccli.flow.lane import Lane, Task
from reccli.flow.outcome import Candidate


def lane(waiting: int, **how: Any) -> Lane:  # noqa: ANN401 - fields of Lane
    made = Lane(size=100, linger=60, carry_out=lambda effects, _world: effects, **how)
    for _ in range(waiting):
        task = Task(Candidate(Ref("RE", "AC")), None)  # type: ignore[arg-type]
        made.put(task, ObserveRows(Ref("RE", "AC")))
    return made


@pytest.mark.parametrize(("waiting", "due"), [(0, False), (9, False), (10, True)])
def test_enough_is_sent_at_once_while_nothing_is_under_way(waiting: int, *, due: bool) -> None:
    assert lane(waiting, enough=10).due(quiet=False) is due


def test_what_comes_meanwhile_waits_for_more() -> None:
    made = lane(50, enough=10)
    made.take()
    for _ in range(2):
        assert not made.due(quiet=False)
        more = lane(60).take()
        made.waiting.extend(more)
    assert made.due(quiet=False)


@pytest.mark.parametrize(("waiting", "taken"), [(9, 9), (10, 10), (19, 10), (57, 50), (120, 100)])
def test_while_others_come_requests_are_filled(waiting: int, taken: int) -> None:
    assert len(lane(waiting, enough=10).take(quiet=False)) == taken
    assert len(lane(waiting, enough=10).take(quiet=True)) == min(waiting, 100)
    overdue = lane(waiting, enough=10)
    overdue.linger = 0
    assert len(overdue.take(quiet=False)) == min(waiting, 100)


def test_no_more_batches_than_that_are_under_way() -> None:
    made = lane(250, at_once=2)
    made.take(), made.take()
    assert not made.due(quiet=True)
    made.answered(100)
    assert made.due(quiet=True)


def test_what_is_held_is_what_waits_and_what_is_under_way() -> None:
    made = lane(130)
    assert (len(made.take()), made.held) == (100, 130)
    made.answered(100)
    assert made.held == 30
    made.take()
    made.answered(30)
    assert made.held == 0
