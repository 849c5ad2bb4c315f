"""The figures of `report`: what is at risk, what Twilio keeps and costs, how the runs went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from reccli.core.model import S3State, TwilioState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reccli.flow.result import Result

FREE_MINUTES = 10_000
USD_PER_MINUTE_MONTH = 0.0005
"""Twilio's storage price: each recording rounded up to whole minutes, the first 10,000 minutes of
the parent account free (support article 14486716328091)."""

_STORED = "recording_s3_upload_success"
_FELL_BACK = "recording_s3_fallback_to_twilio"
_UPDATE_FAILED = "airtable_update_error"


class Statistics(Protocol):
    """What the history can tell."""

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Count events of a window by name."""

    def callbacks_pending(self) -> int:
        """Count callbacks that are not finished."""


@dataclass(frozen=True, slots=True)
class Report:
    """The `report` object of the contract; hours, minutes and USD as named.

    A rate is None when nothing happened in the window, a count when there is no ledger.
    """

    fallback_rows: int
    at_risk: int
    oldest_waiting_hours: float | None
    preserved_recordings: int
    preserved_minutes: int
    monthly_cost_usd: float
    s3_success_rate: float | None
    fallback_rate: float | None
    airtable_update_failures: int | None
    callbacks_pending: int | None
    lost: int
    nothing_recorded: int
    since: str
    until: str

    def as_json(self) -> dict[str, object]:
        """Give plain data."""
        return asdict(self)

    def breach(self, fallback_rate_above: float) -> str | None:
        """Say which threshold is breached."""
        if self.fallback_rate is not None and self.fallback_rate > fallback_rate_above:
            return (
                f"{self.fallback_rate:.1%} of the recordings fell back to Twilio links, "
                f"and alerts.fallback_rate_above allows {fallback_rate_above:.1%}"
            )
        return None


def report_on(
    result: Result, fallbacks: int, statistics: Statistics | None, window: tuple[datetime, datetime]
) -> Report:
    """Derive the figures from a read-only run over everything on Twilio, and the history."""
    since, until = window
    kept = [o for o in result.outcomes if o.twilio is TwilioState.COMPLETED and o.recording]
    risky = [o for o in kept if o.s3 is not S3State.VERIFIED]
    created = [o.recording.created for o in risky if o.recording and o.recording.created]
    minutes = sum(-(-(o.recording.duration or 0) // 60) for o in kept if o.recording)
    counts = (
        statistics.count_events((_STORED, _FELL_BACK, _UPDATE_FAILED), since, until)
        if statistics
        else {}
    )
    stored, fell_back = counts.get(_STORED, 0), counts.get(_FELL_BACK, 0)
    tried = stored + fell_back
    return Report(
        fallback_rows=fallbacks,
        at_risk=len(risky),
        oldest_waiting_hours=(
            round((until - min(created)).total_seconds() / 3600, 2) if created else None
        ),
        preserved_recordings=len(kept),
        preserved_minutes=minutes,
        monthly_cost_usd=round(max(0, minutes - FREE_MINUTES) * USD_PER_MINUTE_MONTH, 4),
        s3_success_rate=round(stored / tried, 4) if tried else None,
        fallback_rate=round(fell_back / tried, 4) if tried else None,
        airtable_update_failures=counts.get(_UPDATE_FAILED, 0) if statistics else None,
        callbacks_pending=statistics.callbacks_pending() if statistics else None,
        lost=result.counts["lost"],
        nothing_recorded=sum(o.twilio is TwilioState.FAILED for o in result.outcomes),
        since=since.isoformat(),
        until=until.isoformat(),
    )
