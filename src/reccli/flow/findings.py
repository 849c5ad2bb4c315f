"""What can be wrong with a recording, its object or its rows: each finding with what mends it.

Never what a cell holds: it may be a secret, or somebody's number. Pure.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from reccli.core.cells import shown
from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.links import ForeignLink, Oddity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reccli.core.links import LinkBook
    from reccli.core.model import Recording, Row, StoredObject
    from reccli.core.rows import Cell

_twilio = partial(Failure, Service.TWILIO, FailureKind.PERMANENT)
_s3 = partial(Failure, Service.S3, FailureKind.PERMANENT)
_airtable = partial(Failure, Service.AIRTABLE, FailureKind.PERMANENT)

# At Twilio

ODD = "odd_recording"
ODD_HINT = "nothing is done with it, and the others go on; show Twilio's support the answer"
LISTED_NOT_FOUND = _twilio(
    "listed_not_found",
    "Twilio lists the recording and answers 404 when it is asked for",
    "look at it in Twilio's console: it may have been deleted just now, or be kept elsewhere",
)


def odd(recording: Recording) -> Failure:
    """Describe what cannot be read of the recording."""
    message = f"what is told of {recording.sid} cannot be read: {recording.odd}"
    return _twilio(ODD, message, ODD_HINT)


def no_recording_of(call_sid: str) -> Failure:
    """Describe a call without recordings that somebody named: the SID was mistyped, most likely."""
    return _twilio(
        "no_recording",
        f"no recording of the call {call_sid} is listed",
        "check the SID: it is of another account, was never recorded, or its recording is deleted",
    )


def overdue(recording: Recording, late: timedelta) -> Failure:
    """Describe a recording that Twilio has not completed so long after it began."""
    return Failure(
        Service.TWILIO,
        FailureKind.BUSY,
        "overdue",
        f"Twilio calls it {recording.status} {late / timedelta(hours=1):.0f} h after it began",
        "look at it in Twilio's console, and ask Twilio's support: nothing else can complete it",
    )


# In S3

LEFT_BEHIND = _s3(
    "former_place",
    "the row links to a place of links.former, and the bucket does not have the object",
    "copy the object from there into the bucket, under the key that process would give it",
)
"""The object may be in a place that is not looked at: absent here is not lost."""
TEMPORARY = _s3(
    "temporary_credentials",
    "S3's credentials are temporary, and presigned links die with them in hours: none is written, "
    "and nothing is deleted",
    'set links.style = "permalink", or give a long-lived key for signing alone: '
    "s3.signing_access_key_id and s3.signing_secret_access_key",
)
OBJECT_VANISHED = "object_vanished"


def vanished(key: str) -> Failure:
    """Describe a row whose object is gone; the next run of `process` looks for it."""
    return Failure(
        Service.S3,
        FailureKind.BUSY,
        OBJECT_VANISHED,
        f"a row links to {key}, and there is no object any more",
        "reccli process copies it again in its next run; look for a lifecycle rule or a person "
        "that deletes objects, and turn bucket versioning on",
    )


def unproven(recording: Recording | None, stored: StoredObject) -> Failure:
    """Describe a copy whose length proves nothing, with both lengths where there are two."""
    holds = "S3 holds the audio" if stored.seconds is None else f"S3 holds {stored.seconds:.0f} s"
    duration = recording.duration if recording else None
    recorded = "tells no duration" if duration is None else f"recorded {duration} s"
    return _s3("length_unproven", f"{holds}, and Twilio {recorded}")


# In Airtable

NO_CALL = _airtable(
    "no_call",
    "Twilio names no call for it, so its row cannot be found",
    "put its SID or its Twilio link into the link field of its row, and run migrate-fallbacks",
)
_ALONE = "put the address of the recording into the cell, and nothing else"
_FIXES = {
    Oddity.SECRET: "there is a password in the cell, most likely the account's auth token: make a "
    "new one in Twilio's console, for Airtable keeps the old texts of a cell; then put the "
    "address without it",
    Oddity.MARKUP: _ALONE,
    Oddity.SEVERAL: f"{_ALONE}; a second recording goes into the next link field",
    Oddity.TEXT: _ALONE,
    Oddity.OLD_VERSION: "write 2010-04-01 instead of 2008-08-01",
    Oddity.OTHER_ACCOUNT: "see whose recording it is: an account of its own needs a configuration "
    "of its own, and a cell that is wrong can be emptied",
    Oddity.OTHER_REGION: "add the region to twilio.regions, with its own token",
    Oddity.NO_SCHEME: "write https:// before it",
    Oddity.OTHER_HOST: "see where it leads, and correct the link; nothing was fetched from there",
    Oddity.UNREAD: "correct the link in the row",
}


def unreferenced(conference_sid: str, conference_sid_field: str) -> Failure:
    """Describe what a recording of a conference lacks: its rows are not those of a call."""
    if conference_sid_field:
        fix = f'create the conference\'s row, with {conference_sid} in "{conference_sid_field}"'
    else:
        fix = (
            "set airtable.conference_sid_field to the field in which rows name conferences; or put "
            "the recording's Twilio link into a row, and run migrate-fallbacks"
        )
    message = f"it is of the conference {conference_sid}, which no row names"
    return _airtable("no_conference_row", message, fix)


def unkeyed(row_id: str, missing: Sequence[str]) -> Failure:
    """Describe a row in which fields that the key is made of are not filled in yet."""
    names = ", ".join(f"airtable.key_fields.{name}" for name in missing)
    return _airtable("empty_field", f"row {row_id} has nothing in the field of {names}")


def not_a_link(row_id: str, field: str, what: Oddity) -> Failure:
    """Describe a cell that has to do with Twilio, and is no link that can be used."""
    code = f"cell_{what.name.lower()}"
    return _airtable(code, f"{field!r} of row {row_id} holds {what}", _FIXES[what])


def elsewhere(cells: Iterable[Cell], book: LinkBook) -> Failure | None:
    """Describe the first cell that has to do with Twilio, of those that name the recording."""
    odd = ((cell, book.twilio.oddity(cell.text)) for cell in cells)
    return next((not_a_link(cell.row_id, cell.field, what) for cell, what in odd if what), None)


def words(cells: Iterable[Cell]) -> Failure:
    """Describe the texts that stand where the link belongs."""
    found = (f"{cell.field!r} of row {cell.row_id} holds {shown(cell.text)}" for cell in cells)
    fix = "empty the cell; process fills it then (no text is ever written over)"
    return _airtable("word_in_cell", "; ".join(found), fix)


def unread(cells: Iterable[Cell], rows: Iterable[Row], call_sid: str | None) -> Failure:
    """Describe rows that Airtable finds by the call, although their cells are not its SID."""
    texts, ids = {row.id: row.call_cell for row in rows}, [cell.row_id for cell in cells]
    if also := [row_id for row_id in ids if call_sid and call_sid in texts[row_id]]:
        return _airtable(
            "call_sid_and_more",
            f"the cell of airtable.call_sid_field in row {', '.join(also)} holds more than "
            f"{call_sid}",
            "leave the SID in the cell and nothing else: one row stands for one call",
        )
    return _airtable(
        "call_sid_unread",
        f"Airtable finds row {', '.join(ids)} by the SID of this call, or of another that was "
        "asked for with it, and the cell of airtable.call_sid_field gives no SID: a linked record "
        "gives its ID",
        "let airtable.call_sid_field name a field that gives the SID: text, or a lookup of it",
    )


def crowded(cells: Iterable[Cell], rows: Iterable[Row], book: LinkBook) -> Failure:
    """Describe what fills the rows that have no place for the link."""
    full = sorted({cell.row_id for cell in cells})
    texts = [text for row in rows if row.id in full for text in row.links.values()]
    foreign = sum(isinstance(book.parse(text), ForeignLink) for text in texts)
    ids = f"row{'s' * (len(full) > 1)} {', '.join(full)}"
    if not foreign:
        return _airtable(
            "more_recordings_than_fields",
            f"the {len(texts)} link fields of {ids} are those of other recordings",
            "add a field to the table and to airtable.link_fields, or see if a link is misplaced",
        )
    whose = "somebody's own links" if foreign == len(texts) else "somebody's own and other links"
    return _airtable(
        "fields_are_taken",
        f"{ids} {'are' if len(full) > 1 else 'is'} full of {whose}",
        "empty one of its link fields, or add one to airtable.link_fields; or delete the row, if "
        "it is there twice",
    )
