"""When everything on Twilio is compared with S3 again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from reccli.adapters.ledger import Ledger, LedgerError
from reccli.core.errors import Failure, FailureKind, Service
from reccli.flow.telling import VANISHED
from reccli.history import COMPARED, comparison_is_due, remember_comparison

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass
class Memory:
    """A ledger that tells when two events were last kept."""

    compared: datetime | None = None
    vanished: datetime | None = None
    broken: bool = False

    def last_event(self, name: str) -> datetime | None:
        if self.broken:
            raise broken()
        return {COMPARED: self.compared, VANISHED: self.vanished}[name]

    def record(self, *_args: object) -> None:
        raise broken()


def broken() -> LedgerError:
    return LedgerError(Failure(Service.LEDGER, FailureKind.OUTAGE, "locked", "locked"))


@pytest.mark.parametrize(
    ("memory", "due"),
    [
        (None, True),
        (Memory(), True),
        (Memory(broken=True), True),
        (Memory(NOW - DAY), True),
        (Memory(NOW - DAY + SECOND), False),
        (Memory(NOW - SECOND, NOW - 2 * SECOND), False),
        (Memory(NOW - 2 * SECOND, NOW - SECOND), True),
    ],
)
def test_it_is_due_after_a_day_or_when_something_vanished(
    memory: Memory | None, *, due: bool
) -> None:
    assert comparison_is_due(cast("Ledger | None", memory), NOW) is due


def test_it_is_remembered_and_a_ledger_that_fails_is_left_alone(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        assert ledger.last_event(COMPARED) is None
        for at in (NOW, NOW - DAY):
            remember_comparison(ledger, "r1", at)
        assert ledger.last_event(COMPARED) == NOW
        assert ledger.last_event(VANISHED) is None
    remember_comparison(None, "r1", NOW)
    remember_comparison(cast("Ledger", Memory()), "r1", NOW)
