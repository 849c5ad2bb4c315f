"""The figures of `report`: what is at risk, what Twilio keeps and costs, how the runs went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from reccli.core.errors import Service, ServiceError
from reccli.core.model import Reason, S3State, TwilioState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from reccli.flow.result import Result

T = TypeVar("T")
_log = structlog.get_logger("reccli")

FREE_MINUTES = 10_000
USD_PER_MINUTE_MONTH = 0.0005
"""Twilio's storage price: each recording rounded up to whole minutes, the first 10,000 minutes of
the parent account free (support article 14486716328091)."""

_STORED = "recording_s3_upload_success"
_FELL_BACK = "recording_s3_fallback_to_twilio"
_UPDATE_FAILED = "airtable_update_error"


class Statistics(Protocol):
    """What the history knows; every method may raise `ServiceError`."""

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Count events of a window by name."""

    def recordings_with(self, name: str, since: datetime, until: datetime) -> set[str]:
        """Return of which recordings an event of that name was kept within a window."""

    def callbacks_pending(self) -> int:
        """Count callbacks that are not finished."""

    def count_callbacks(self, since: datetime, until: datetime) -> Mapping[str, int]:
        """Count what came in within a window by status."""


@dataclass(frozen=True, slots=True)
class Report:
    """The `report` object of the contract; hours, minutes and USD as named.

    What was not observed is None, never 0. A rate is also None when nothing happened in the window,
    and the oldest one when none waits. Both rates are of the recordings that were stored or fell
    back in the window, each counted once: `s3_success_rate` is what never fell back there,
    `fallback_rate` what some row links at Twilio still.
    """

    fallback_rows: int | None
    at_risk: int | None
    oldest_waiting_hours: float | None
    preserved_recordings: int | None
    preserved_minutes: int | None
    monthly_cost_usd: float | None
    s3_success_rate: float | None
    fallback_rate: float | None
    airtable_update_failures: int | None
    callbacks_pending: int | None
    callbacks: dict[str, int] | None
    lost: int | None
    nothing_recorded: int | None
    since: str
    until: str

    def as_json(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)

    def breach(self, fallback_rate_above: float) -> str | None:
        """Return which threshold is breached."""
        if self.fallback_rate is not None and self.fallback_rate > fallback_rate_above:
            return (
                f"{self.fallback_rate:.1%} of the recordings are on Twilio links still, "
                f"and alerts.fallback_rate_above allows {fallback_rate_above:.1%}"
            )
        return None


def report_on(
    result: Result,
    fallbacks: Mapping[str, Collection[str]] | None,
    statistics: Statistics | None,
    window: tuple[datetime, datetime],
    *,
    complete: bool = True,
) -> Report:
    """Derive the figures from a read-only run over what is on Twilio, and the history.

    `fallbacks` are the recordings that rows link at Twilio, by row; `complete` is whether the run
    was over everything on Twilio.
    """
    since, until = window
    seen = complete and _saw_everything(result)
    kept = [o for o in result.outcomes if o.twilio is TwilioState.COMPLETED and o.recording]
    risky = [o for o in kept if o.s3 is not S3State.VERIFIED]
    risky += [o for o in result.outcomes if o.step.reason is Reason.OVERDUE]
    created = [o.recording.created for o in risky if o.recording and o.recording.created]
    minutes = sum(o.recording.minutes for o in kept if o.recording)
    handled = _known(lambda of: _handled(of, since, until), statistics)
    everyone, fell_back = handled or (set(), set())
    linked = set().union(*(fallbacks or {}).values())
    return Report(
        fallback_rows=None if fallbacks is None else len(fallbacks),
        at_risk=len(risky) if seen else None,
        oldest_waiting_hours=(
            round((until - min(created)).total_seconds() / 3600, 2) if seen and created else None
        ),
        preserved_recordings=len(kept) if seen else None,
        preserved_minutes=minutes if seen else None,
        monthly_cost_usd=(
            round(max(0, minutes - FREE_MINUTES) * USD_PER_MINUTE_MONTH, 4) if seen else None
        ),
        s3_success_rate=_share(everyone - fell_back, everyone),
        fallback_rate=None if fallbacks is None else _share(everyone & linked, everyone),
        airtable_update_failures=_known(
            lambda of: of.count_events((_UPDATE_FAILED,), since, until)[_UPDATE_FAILED], statistics
        ),
        callbacks_pending=_known(lambda of: of.callbacks_pending(), statistics),
        callbacks=_known(lambda of: _by_kind(of.count_callbacks(since, until)), statistics),
        lost=None,  # nobody looks for what Twilio does not list any more
        nothing_recorded=(
            sum(o.twilio is TwilioState.FAILED for o in result.outcomes) if seen else None
        ),
        since=since.isoformat(),
        until=until.isoformat(),
    )


def _saw_everything(result: Result) -> bool:
    """Whether the listing of Twilio came to its end; scans of Airtable have no part in it."""
    cut = (failure for failure in result.failures if failure.service is not Service.AIRTABLE)
    return not any(cut) and not result.interrupted


def _handled(statistics: Statistics, since: datetime, until: datetime) -> tuple[set[str], set[str]]:
    """Return which recordings were stored or fell back, and which of them fell back."""
    stored, fell_back = (
        statistics.recordings_with(name, since, until) for name in (_STORED, _FELL_BACK)
    )
    return stored | fell_back, fell_back


def _share(some: set[str], of: set[str]) -> float | None:
    return round(len(some) / len(of), 4) if of else None


def _by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Add up the streams that stopped: each has its own SID in its status."""
    kinds: dict[str, int] = {}
    for status, count in sorted(counts.items()):
        kind = status.partition(" ")[0]
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds


def _known(ask: Callable[[Statistics], T], statistics: Statistics | None) -> T | None:
    """Return what the history knows; it informs only, so None where there is none or it fails."""
    try:
        return ask(statistics) if statistics else None
    except ServiceError as error:
        _log.warning("ledger_error", error=str(error))
        return None
