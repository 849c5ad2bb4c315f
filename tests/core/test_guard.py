"""The guard against mass deletes: what is refused, in words that say why and what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.guard import FRACTION_COUNTS_FROM, Due, Limits, refusal
from tests.core.samples import NOW, make_recording

LATER, EARLIER = NOW, NOW - timedelta(days=8)
LIMITS = Limits(max_deletes=5000, max_delete_fraction=0.9)


@pytest.mark.parametrize(
    ("deletes", "listed"),
    [(0, 0), (0, 100_000), (1, 1), (19, 19), (18, 20), (90, 100), (5000, 6000)],
)
def test_safe(deletes: int, listed: int) -> None:
    assert refusal(deletes, listed, LIMITS, complete=True) is None


@pytest.mark.parametrize(
    ("deletes", "listed", "words"),
    [
        (5001, 1_000_000, "5001 deletes are due, and safety.max_deletes allows 5000"),
        (5001, 5001, "--max-deletes 5001 allows them for one run"),
        (20, 20, "20 of 20 recordings would be deleted (100%)"),
        (19, 20, "(95%), and safety.max_delete_fraction allows 90%"),
        (91, 100, "91 of 100 recordings would be deleted (91%)"),
    ],
)
def test_too_many(deletes: int, listed: int, words: str) -> None:
    assert words in (refusal(deletes, listed, LIMITS, complete=True) or "")


def test_a_share_of_an_unknown_number_is_refused() -> None:
    assert "broke off" in (refusal(1, 100_000, LIMITS, complete=False) or "")
    off = Limits(5000, 1.0)
    assert refusal(5000, 100_000, off, complete=False) is None
    assert refusal(5001, 100_000, off, complete=False) is not None


def test_no_delete_is_always_safe() -> None:
    assert refusal(0, 100, Limits(0, 0.0), complete=False) is None


@pytest.mark.parametrize(("limits", "deletes"), [(Limits(0, 1.0), 1), (Limits(1, 0.0), 1)])
def test_a_limit_of_nothing(limits: Limits, deletes: int) -> None:
    assert refusal(deletes, 100, limits, complete=True) is not None


def test_what_is_due_is_added_up() -> None:
    due = Due()
    for duration, created in ((61, LATER), (None, None), (60, EARLIER), (1, LATER)):
        due.add(make_recording(duration=duration, created=created))
    assert due == Due(4, 4, EARLIER)
    unknown = Due()
    unknown.add(make_recording(created=None))
    assert unknown.oldest is None


def test_everything_may_go_where_that_is_meant() -> None:
    assert refusal(100, 100, Limits(100, 1.0), complete=True) is None


@given(
    deletes=st.integers(0, 10_000),
    listed=st.integers(0, 10_000),
    most=st.integers(0, 10_000),
    fraction=st.floats(0, 1),
    complete=st.booleans(),
)
def test_what_is_let_through_keeps_every_limit(
    deletes: int, listed: int, most: int, fraction: float, *, complete: bool
) -> None:
    if deletes and refusal(deletes, listed, Limits(most, fraction), complete=complete) is None:
        assert deletes <= most
        if fraction < 1:  # at 1 a share is not looked at
            assert complete
            assert listed < FRACTION_COUNTS_FROM or deletes <= fraction * listed
