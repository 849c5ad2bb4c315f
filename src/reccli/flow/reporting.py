"""The events of a case, under their public names: dashboards are built on them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.audio import long_enough
from reccli.core.errors import Failure, Service
from reccli.core.model import LinkState, Reason, S3State, StepKind
from reccli.flow.effects import Record
from reccli.flow.findings import OBJECT_VANISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reccli.core.model import StoredObject
    from reccli.core.rows import Cell
    from reccli.flow.effects import Copied
    from reccli.flow.outcome import Outcome

VANISHED = "recording_object_vanished"
"""An object is gone to which a row links, while Twilio has the recording still."""


def copied(key: str, reply: Copied, duration: int | None) -> Iterator[Record]:
    """Yield a copy that arrived, or found another object in its place; lengths are in seconds."""
    yield Record("recording_download_success", {"bytes": reply.size, "seconds": reply.seconds})
    seconds = reply.seconds
    if seconds is not None and duration is not None and not long_enough(duration, round(seconds)):
        yield Record("recording_longer_than_told", {"seconds": seconds, "duration": duration})
    if reply.stored.state is S3State.VERIFIED:
        yield Record("recording_s3_upload_success", {"key": key, "bytes": reply.size})


def not_copied(failure: Failure) -> Record:
    """Return a copy that failed, named after the side that failed."""
    to_s3 = failure.service is Service.S3
    return failed("recording_s3_upload_failed" if to_s3 else "recording_download_failed", failure)


def failed(name: str, failure: Failure) -> Record:
    """Return a failure under a name."""
    return Record(name, {"code": failure.code, "error": failure.message})


def linked(kind: StepKind, cells: Sequence[Cell], stored: StoredObject) -> Iterator[Record]:
    """Yield which link the rows have now, and why if S3 could not take the audio."""
    detail = {"rows": ",".join(sorted({cell.row_id for cell in cells}))}
    if kind is not StepKind.LINK_TWILIO:
        yield Record("recording_saved_to_airtable_s3", detail)
        return
    unasked = {S3State.UNCOPIED, S3State.NO_KEY, S3State.BAD_KEY}
    if stored.state not in unasked:
        reason = stored.failure.message if stored.failure else stored.state.value
        yield Record("recording_s3_fallback_to_twilio", {"reason": reason})
    yield Record("recording_saved_to_airtable_twilio", detail)


def ended(outcome: Outcome) -> Iterator[Record]:
    """Yield what somebody has to know of where a case ended."""
    match outcome.step.kind, outcome.step.reason:
        case StepKind.COPY, _:  # which the command may not
            gone = (one for one in outcome.failures if one.code == OBJECT_VANISHED)
            yield from (failed(VANISHED, failure) for failure in gone)
        case StepKind.LOST, _:
            yield Record("recording_lost", {"key": outcome.key})
        case StepKind.HOLD, Reason.UNREFERENCED if outcome.rows is LinkState.NO_ROW:
            yield Record("call_log_not_found", {"key": outcome.key})
        case (
            StepKind.HOLD,
            (Reason.S3_UNREACHABLE | Reason.UNCOPIED | Reason.CONFLICT | Reason.UNFIT) as reason,
        ):
            yield Record("twilio_recording_preserved", {"reason": reason.value})
        case StepKind.WAIT, Reason.IN_RETENTION if outcome.steps:
            until = outcome.step.until
            detail = {"not_before": until.isoformat() if until else None}
            yield Record("twilio_deletion_scheduled", detail)
        case _:
            pass
