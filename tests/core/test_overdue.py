"""When a recording that is not completed is one to worry about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reccli.core.overdue import lateness

from .samples import NOW, make_recording

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("status", "hours"),
    [("processing", 6), ("in-progress", 30), ("paused", 30), ("stopped", 30)],
)
def test_it_is_late_from_some_hours_on(status: str, hours: int) -> None:
    for age, late in ((timedelta(hours=hours), False), (timedelta(hours=hours) + SECOND, True)):
        found = lateness(make_recording(status=status, created=NOW - age), NOW)
        assert found == (age if late else None)


@pytest.mark.parametrize("status", ["completed", "deleted", "absent", "failed", "unheard-of"])
def test_only_what_is_to_be_completed_can_be_late(status: str) -> None:
    old = make_recording(status=status, created=NOW - timedelta(days=9))
    assert lateness(old, NOW) is None


def test_nobody_knows_without_a_time() -> None:
    assert lateness(make_recording(status="processing", created=None), NOW) is None
