"""Events go to the log at once, and to the ledger in small groups.

The ledger informs and never authorises, so its failures are logged and swallowed here: a full
disk must not keep recordings from being archived.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

import structlog

from reccli.core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reccli.flow.ports import Event
    from reccli.flow.result import Result

_log = structlog.get_logger("reccli")

GROUP = 100
"""How many events may be lost for the history, not for safety, when a run is killed."""

FAILED, MOST_FAILED = "failed_sids", 1000
"""Which recordings failed stands in the run's record: they are the last of the next run's line."""

_ERRORS = frozenset(
    {"airtable_update_error", "recording_lost", "twilio_recording_delete_error"}
    | {"recording_download_failed", "recording_s3_upload_failed"}
)
_WARNINGS = frozenset(
    {"recording_s3_fallback_to_twilio", "twilio_recording_preserved", "call_log_not_found"}
)


class History(Protocol):
    """Where events and runs are kept; every method may raise `ServiceError`."""

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events."""

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Add a run that begins."""

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Write how a run ended."""


class EventLog:
    """The event sink of one run."""

    def __init__(self, history: History | None, run_id: str, *, group: int = GROUP) -> None:
        """Without a history events are only logged; `group` of them are written together."""
        self._history, self._run_id, self._group = history, run_id, group
        self._waiting: list[Event] = []

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Write what has not been written yet."""
        self._flush()

    def __call__(self, event: Event) -> None:
        """Log one event, and write it with others."""
        level = "error" if event.name in _ERRORS else "info"
        level = "warning" if event.name in _WARNINGS else level
        getattr(_log, level)(
            event.name,
            recording_sid=event.recording_sid,
            call_sid=event.call_sid,
            **event.detail,
        )
        self._waiting.append(event)
        if len(self._waiting) >= self._group:
            self._flush()

    def started(self, command: str, at: datetime) -> None:
        """Write that the run begins."""
        self._try(lambda history: history.start_run(self._run_id, command, at))

    def finished(self, result: Result, failed: Sequence[str] = ()) -> None:
        """Write how the run ended, and which recordings come last in the next one."""
        self._flush()
        summary = {**result.summary, FAILED: list(failed[:MOST_FAILED])}
        ended = (datetime.now(UTC), int(result.exit_code), summary)
        self._try(lambda history: history.finish_run(self._run_id, *ended))

    def _flush(self) -> None:
        events, self._waiting = self._waiting, []
        if events:
            self._try(lambda history: history.record(self._run_id, events))

    def _try(self, write: Callable[[History], None]) -> None:
        try:
            if self._history:
                write(self._history)
        except ServiceError as error:
            _log.warning("ledger_error", error=str(error))
            self._history = None
