"""Which events a case tells: the names are public, and dashboards are built on them.

Pure; used by the case alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.audio import long_enough
from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import LinkState, Reason, S3State, StepKind
from reccli.flow.effects import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reccli.core.model import Recording, Step, StoredObject
    from reccli.core.rows import Cell
    from reccli.flow.effects import Copied


VANISHED = "recording_object_vanished"
"""An object is gone to which a row links, while Twilio has the recording still."""


def vanished(key: str) -> Failure:
    """Say so; it passes with the next run of `process`, which looks for it."""
    return Failure(
        Service.S3,
        FailureKind.BUSY,
        "object_vanished",
        f"a row links to {key}, and there is no object any more",
        "reccli process copies it again in its next run; look for a lifecycle rule or a person "
        "that deletes objects, and turn bucket versioning on",
    )


ODD = "odd_recording"
ODD_HINT = "nothing is done with it, and the others go on; show Twilio's support the answer"


def odd(recording: Recording) -> Failure:
    """Say what Twilio tells of a recording that cannot be read."""
    message = f"what is told of {recording.sid} cannot be read: {recording.odd}"
    return Failure(Service.TWILIO, FailureKind.PERMANENT, ODD, message, ODD_HINT)


def left_behind() -> Failure:
    """Say that the object may be in a place that is not looked at: absent here is not lost."""
    return Failure(
        Service.S3,
        FailureKind.PERMANENT,
        "former_place",
        "the row links to a place of links.former, and the bucket does not have the object",
        "copy the object from there into the bucket, under the key that process would give it",
    )


def no_recording_of(call_sid: str) -> Failure:
    """Say that a call was named which has no recording: a word that was mistyped, most likely."""
    return Failure(
        Service.TWILIO,
        FailureKind.PERMANENT,
        "no_recording",
        f"no recording of the call {call_sid} is listed",
        "check the SID: it is of another account, was never recorded, or its recording is deleted",
    )


def unproven(known: Recording | None, stored: StoredObject) -> Failure:
    """Say why the length of a copy proves nothing, with both lengths where there are two."""
    holds = "S3 holds the audio" if stored.seconds is None else f"S3 holds {stored.seconds:.0f} s"
    duration = known.duration if known else None
    recorded = "tells no duration" if duration is None else f"recorded {duration} s"
    message = f"{holds}, and Twilio {recorded}"
    return Failure(Service.S3, FailureKind.PERMANENT, "length_unproven", message)


def unreferenced(known: Recording, conference_sid_field: str) -> Failure:
    """Say what a recording of a conference lacks: its rows are not those of a call."""
    conference = known.conference_sid
    message = f"it is of the conference {conference}, which no row names"
    if conference_sid_field:
        fix = f'create the conference\'s row, with {conference} in "{conference_sid_field}"'
    else:
        fix = (
            "set airtable.conference_sid_field to the field in which rows name conferences; or put "
            "the recording's Twilio link into a row, and run migrate-fallbacks"
        )
    return Failure(Service.AIRTABLE, FailureKind.PERMANENT, "no_conference_row", message, fix)


def unkeyed(row_id: str, missing: Sequence[str]) -> Failure:
    """Say which fields of a row are waited for: there is a row, and it is not filled in yet."""
    names = ", ".join(f"airtable.key_fields.{name}" for name in missing)
    message = f"row {row_id} has nothing in the field of {names}"
    return Failure(Service.AIRTABLE, FailureKind.PERMANENT, "empty_field", message)


def copied(key: str, reply: Copied, duration: int | None) -> Iterator[Record]:
    """Tell a copy that arrived, or found another object in its place; lengths are in seconds."""
    yield Record("recording_download_success", {"bytes": reply.size, "seconds": reply.seconds})
    seconds = reply.seconds
    if seconds is not None and duration is not None and not long_enough(duration, round(seconds)):
        yield Record("recording_longer_than_told", {"seconds": seconds, "duration": duration})
    if reply.stored.state is S3State.VERIFIED:
        yield Record("recording_s3_upload_success", {"key": key, "bytes": reply.size})


def not_copied(failure: Failure) -> Record:
    """Tell a copy that failed, and on which side."""
    to_s3 = failure.service is Service.S3
    return failed("recording_s3_upload_failed" if to_s3 else "recording_download_failed", failure)


def failed(name: str, failure: Failure) -> Record:
    """Tell a failure under a name."""
    return Record(name, {"code": failure.code, "error": failure.message})


def linked(kind: StepKind, cells: Sequence[Cell], stored: StoredObject) -> Iterator[Record]:
    """Tell which link the rows have now, and why if S3 could not take the audio."""
    detail = {"rows": ",".join(sorted({cell.row_id for cell in cells}))}
    if kind is not StepKind.LINK_TWILIO:
        yield Record("recording_saved_to_airtable_s3", detail)
        return
    unasked = {S3State.UNCOPIED, S3State.NO_KEY, S3State.BAD_KEY}
    if stored.state not in unasked:
        reason = stored.failure.message if stored.failure else stored.state.value
        yield Record("recording_s3_fallback_to_twilio", {"reason": reason})
    yield Record("recording_saved_to_airtable_twilio", detail)


def ended(
    step: Step, rows: LinkState, key: str | None, taken: Sequence[StepKind]
) -> Iterator[Record]:
    """Tell what somebody has to know of where a case ended."""
    match step.kind, step.reason:
        case StepKind.LOST, _:
            yield Record("recording_lost", {"key": key})
        case StepKind.HOLD, Reason.UNREFERENCED if rows is LinkState.NO_ROW:
            yield Record("call_log_not_found", {"key": key})
        case (
            StepKind.HOLD,
            Reason.S3_UNREACHABLE | Reason.UNCOPIED | Reason.CONFLICT | Reason.UNFIT,
        ):
            yield Record("twilio_recording_preserved", {"reason": step.reason.value})
        case StepKind.WAIT, Reason.IN_RETENTION if taken:
            until = step.until.isoformat() if step.until else None
            yield Record("twilio_deletion_scheduled", {"not_before": until})
        case _:
            pass
