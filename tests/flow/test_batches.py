"""When a batch is sent, and how much is held."""

from __future__ import annotations

from typing import Any

import pytest

from reccli.core.model import Ref
from reccli.flow.batches import Batches, Task
from reccli.flow.effects import ObserveRows
from reccli.flow.outcome import Candidate


def batches(waiting: int, **how: Any) -> Batches:  # noqa: ANN401 - fields of Batches
    made = Batches(size=100, linger=60, **how)
    for _ in range(waiting):
        task = Task(Candidate(Ref("RE", "AC")), None)  # type: ignore[arg-type]
        made.put(task, ObserveRows(Ref("RE", "AC")))
    return made


@pytest.mark.parametrize(("waiting", "due"), [(0, False), (9, False), (10, True)])
def test_enough_is_sent_at_once_while_nothing_is_under_way(waiting: int, *, due: bool) -> None:
    assert batches(waiting, enough=10).due(0, idle=False) is due


def test_what_comes_meanwhile_waits_for_more() -> None:
    made = batches(50, enough=10)
    made.take(0)
    for _ in range(2):
        assert not made.due(0, idle=False)
        more = batches(60).waiting
        made.waiting.extend(more)
    assert made.due(0, idle=False)


@pytest.mark.parametrize(("waiting", "taken"), [(9, 9), (10, 10), (19, 10), (57, 50), (120, 100)])
def test_while_others_come_requests_are_filled(waiting: int, taken: int) -> None:
    assert len(batches(waiting, enough=10).take(0, idle=False)) == taken
    assert len(batches(waiting, enough=10).take(0, idle=True)) == min(waiting, 100)
    overdue = batches(waiting, enough=10)
    overdue.linger = 0
    assert len(overdue.take(0, idle=False)) == min(waiting, 100)


def test_no_more_batches_than_that_are_under_way() -> None:
    made = batches(250, at_once=2)
    made.take(0), made.take(0)
    assert not made.due(0, idle=True)
    made.answered(100)
    assert made.due(0, idle=True)


def test_what_is_held_is_what_waits_and_what_is_under_way() -> None:
    made = batches(130)
    assert (len(made.take(0)), made.held) == (100, 130)
    made.answered(100)
    assert made.held == 30
    made.take(0)
    made.answered(30)
    assert made.held == 0
