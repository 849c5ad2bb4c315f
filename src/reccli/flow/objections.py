"""What stands in the way of a recording that is held: what was found, where, and the fix.

One text for each cause, and never what a cell holds: it may be a secret, or somebody's number.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.cells import shown
from reccli.core.errors import Failure, FailureKind, Service, forgotten_by_twilio
from reccli.core.links import ForeignLink, Oddity
from reccli.core.model import LinkState, Reason, S3State
from reccli.core.overdue import lateness
from reccli.flow.reporting import unkeyed, unproven, unreferenced

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from reccli.core.links import LinkBook
    from reccli.core.model import Recording, Row, Step
    from reccli.core.rows import Cell, RowState
    from reccli.flow.sides import Sides

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


def objection(step: Step, row_state: RowState, sides: Sides) -> Failure | None:
    """Say what keeps the recording of a case from going on, where nothing failed."""
    found: Failure | None
    match step.reason:
        case Reason.LENGTH_UNPROVEN:
            found = unproven(sides.known, sides.stored)
        case Reason.OVERDUE:
            found = _overdue(sides.known, sides.now)
        case Reason.NOT_OBSERVED:
            found = _listed_only(sides)
        case Reason.ELSEWHERE:
            found = _elsewhere(row_state.holding(LinkState.ELSEWHERE), sides.rules.book)
        case Reason.WORD:
            found = _words(row_state.holding(LinkState.WORD))
        case Reason.UNREFERENCED | Reason.FULL_TWIN | Reason.CALL_UNREAD | Reason.NEEDS_ROW:
            found = _without_row(step, row_state, sides)
        case _:
            of_object = sides.stored.state in {S3State.CONFLICT, S3State.UNFIT}
            found = sides.stored.failure if of_object else None
    return found


def _without_row(step: Step, row_state: RowState, sides: Sides) -> Failure | None:
    """Say why no row of the recording can be used; None where there is none, which is no news."""
    rows, ref = sides.known_rows, sides.ref
    if row_state.state is LinkState.CALL_UNREAD:
        return _unread(row_state.holding(LinkState.CALL_UNREAD), rows, ref.call_sid)
    if step.reason is Reason.NEEDS_ROW and rows:
        return _unkeyed(sides)
    if row_state.state is not LinkState.NO_ROW:
        return _crowded(row_state, rows, sides.rules.book)
    if ref.conference_sid and sides.known:
        return unreferenced(sides.known, sides.rules.conference_sid_field)
    return None if ref.call_sid else _no_call()


def not_a_link(row_id: str, field: str, what: Oddity) -> Failure:
    """Say what is wrong with a cell that has to do with Twilio."""
    code = f"cell_{what.name.lower()}"
    return _objection(code, f"{field!r} of row {row_id} holds {what}", _FIXES[what])


def _elsewhere(cells: Iterable[Cell], book: LinkBook) -> Failure | None:
    """Say what is wrong with cells that name the recording, where they have to do with Twilio."""
    for cell in cells:
        if what := book.oddity(cell.text):
            return not_a_link(cell.row_id, cell.field, what)
    return None


def _words(cells: Iterable[Cell]) -> Failure:
    """Say which texts stand where the link belongs."""
    found = "; ".join(
        f"{cell.field!r} of row {cell.row_id} holds {shown(cell.text)}" for cell in cells
    )
    fix = "empty the cell; process fills it then (no text is ever written over)"
    return _objection("word_in_cell", found, fix)


def _unread(cells: Iterable[Cell], rows: Iterable[Row], call_sid: str | None) -> Failure:
    """Say which rows Airtable finds by the call, although their cells are not its SID."""
    texts = {row.id: row.call_cell for row in rows}
    also = [cell.row_id for cell in cells if call_sid and call_sid in texts[cell.row_id]]
    ids = ", ".join(also or [cell.row_id for cell in cells])
    if also:
        message = f"the cell of airtable.call_sid_field in row {ids} holds more than {call_sid}"
        fix = "leave the SID in the cell and nothing else: one row stands for one call"
        return _objection("call_sid_and_more", message, fix)
    message = (
        f"Airtable finds row {ids} by the SID of this call, or of another that was asked for with "
        "it, and the cell of airtable.call_sid_field gives no SID: a linked record gives its ID"
    )
    fix = "let airtable.call_sid_field name a field that gives the SID: text, or a lookup of it"
    return _objection("call_sid_unread", message, fix)


def _unkeyed(sides: Sides) -> Failure | None:
    """Say of which row the key cannot be made, and for want of which fields."""
    for row in sides.known_rows:
        if missing := sides.rules.naming.missing(row):
            return unkeyed(row.id, missing)
    return None


def _crowded(row_state: RowState, rows: Iterable[Row], book: LinkBook) -> Failure:
    """Say what fills the rows that have no place for the link."""
    full = {cell.row_id for cell in row_state.holding(LinkState.NO_FREE_SLOT)}
    cells = [text for row in rows if row.id in full for text in row.links.values()]
    links = [book.parse(text) for text in cells]
    foreign = sum(isinstance(link, ForeignLink) for link in links)
    ids = f"row{'s' * (len(full) > 1)} {', '.join(sorted(full))}"
    if not foreign:
        message = f"the {len(links)} link fields of {ids} are those of other recordings"
        fix = "add a field to the table and to airtable.link_fields, or see if a link is misplaced"
        return _objection("more_recordings_than_fields", message, fix)
    whose = "somebody's own links" if foreign == len(links) else "somebody's own and other links"
    fix = "empty one of its link fields, or add one to airtable.link_fields; or delete the row, if "
    fix += "it is there twice"
    return _objection(
        "fields_are_taken", f"{ids} {'are' if len(full) > 1 else 'is'} full of {whose}", fix
    )


def _no_call() -> Failure:
    """Say that there can be no row: Twilio tells neither a call nor a conference."""
    fix = "put its SID or its Twilio link into the link field of its row, and run migrate-fallbacks"
    return _objection("no_call", "Twilio names no call for it, so its row cannot be found", fix)


def _listed_only(sides: Sides) -> Failure | None:
    """Say that Twilio contradicts itself: what it lists, it says that it has not."""
    said = sides.recording
    if sides.candidate.recording is None or not isinstance(said, Failure):
        return None
    if not forgotten_by_twilio(said):
        return None
    message = "Twilio lists the recording and answers 404 when it is asked for"
    fix = "look at it in Twilio's console: it may have been deleted just now, or be kept elsewhere"
    return Failure(Service.TWILIO, FailureKind.PERMANENT, "listed_not_found", message, fix)


def _overdue(known: Recording | None, now: datetime) -> Failure | None:
    """Say how long Twilio has not completed it."""
    late = lateness(known, now) if known else None
    if known is None or late is None:
        return None
    message = f"Twilio calls it {known.status} {late / timedelta(hours=1):.0f} h after it began"
    fix = "look at it in Twilio's console, and ask Twilio's support: nothing else can complete it"
    return Failure(Service.TWILIO, FailureKind.BUSY, "overdue", message, fix)


def _objection(code: str, message: str, hint: str) -> Failure:
    return Failure(Service.AIRTABLE, FailureKind.PERMANENT, code, message, hint)
