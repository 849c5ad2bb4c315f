"""How long a whole body may take, and how slowly one of unknown length may come."""

from __future__ import annotations

import pytest

from reccli.flow.deadline import EXPECTED, PATIENCE, SLOWEST, Deadline, TooSlowError


class Clock:
    """Turned by hand, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("length", [0, 1, 10 * EXPECTED])
def test_a_body_of_known_length_has_its_time(length: int) -> None:
    clock = Clock()
    deadline = Deadline(length, clock=clock)
    clock.now += PATIENCE + length / EXPECTED
    deadline.came(1)
    clock.now += 0.1
    with pytest.raises(TooSlowError, match=f"2 of {length} bytes"):
        deadline.came(1)


def test_one_of_unknown_length_may_take_long_if_it_comes() -> None:
    clock = Clock()
    deadline = Deadline(None, clock=clock)
    for _ in range(100):
        clock.now += PATIENCE + 0.1
        deadline.came(int(SLOWEST * PATIENCE))
    clock.now += PATIENCE / 2
    deadline.came(int(SLOWEST * PATIENCE) - 1)  # too few for the whole of the time
    clock.now += PATIENCE / 2 + 0.1
    with pytest.raises(TooSlowError):
        deadline.came(0)
