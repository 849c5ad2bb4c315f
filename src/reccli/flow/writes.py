"""The steps of a case that write links into rows: LinkTwilio, Relink and Resign.

Like `case`, for which alone this is, it yields effects and holds no I/O, no clock and no thread;
`linking` carries them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service
from reccli.core.model import LinkState, S3State, StepKind, StoredObject
from reccli.flow import reporting
from reccli.flow.effects import Rows, Stale, WriteLinks

if TYPE_CHECKING:
    from reccli.flow.effects import Routine
    from reccli.flow.sides import Sides

LINKS = frozenset({Service.S3, Service.RECCLI})
"""Whose failure says that a link does not open."""
_WRITES = {
    StepKind.LINK_TWILIO: (LinkState.EMPTY,),
    StepKind.RELINK: (LinkState.TWILIO_LINK, LinkState.EMPTY),
    StepKind.RESIGN: (LinkState.S3_LINK_EXPIRING,),
}


def write(sides: Sides, kind: StepKind) -> Routine[None]:
    """Write the links of one step into the rows."""
    cells = sides.row_state().holding(*_WRITES[kind])
    if sharing := sides.sharing(cells):
        named = tuple(cell for cell in cells if cell.state is not LinkState.EMPTY)
        if not named:  # which of the free cells is ours, others have a say in
            yield from sides.observe_siblings(sharing)
            return
        cells = named
    fallback = kind is StepKind.LINK_TWILIO
    recording = sides.known
    reply = yield from sides.ask(
        WriteLinks(
            sides.ref,
            sides.rules.naming.extension(recording) if recording else "mp3",
            None if fallback else sides.key,
            cells,
            sides.now,
        )
    )
    match reply:
        case Rows(written):
            # `now` stays that of the look: other rows of the call were not seen again.
            sides.rows = tuple({row.id: row for row in (*sides.known_rows, *written)}.values())
            sides.taken.append(kind)
            yield from reporting.linked(kind, cells, sides.stored)
        case Stale():
            yield from sides.observe_rows()
        case Failure(service) if service in LINKS and not fallback:
            # No link that opens can be made: as good as an S3 that cannot be reached.
            sides.stored = StoredObject(S3State.UNKNOWN, failure=reply)
        case Failure(service):
            sides.rows = reply
            if service is not Service.S3:  # without a bucket, Airtable is not asked
                yield reporting.failed("airtable_update_error", reply)


def see_who_shares(sides: Sides) -> Routine[None]:
    """Look who else may take the free cell that would be written, as before a write."""
    row_state = sides.row_state()
    if row_state.state is LinkState.EMPTY and (sharing := sides.sharing(row_state.cells)):
        yield from sides.observe_siblings(sharing)
