"""What one case comes to: its outcome, and what keeps the recording from going on. Pure.

`sides` says what is known; this says what of it matters to whoever reads the end of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.errors import Failure, forgotten_by_twilio
from reccli.core.links import host_only, without_query
from reccli.core.model import LinkState, Reason, S3State, Step, StepKind
from reccli.core.overdue import lateness
from reccli.flow import findings
from reccli.flow.outcome import Outcome

if TYPE_CHECKING:
    from reccli.flow.sides import Sides


def outcome(sides: Sides, step: Step) -> Outcome:
    """Return where the recording stands."""
    sid, known, row_state = sides.candidate.ref.sid, sides.known, sides.row_state()
    failures = _failures_that_matter(sides)
    forgotten = failures and all(map(forgotten_by_twilio, failures))
    if sides.candidate.reported and not known and forgotten:
        step, failures = Step(StepKind.WAIT, Reason.UNHEARD_OF), ()  # a test, or deleted since
    linked = row_state.holding(LinkState.S3_LINK, LinkState.S3_LINK_EXPIRING)
    if step.kind is StepKind.COPY and linked:  # and the command may not copy
        failures = (*failures, findings.vanished(sides.key or ""))
    links = (
        host_only(cell.text, sid) if cell.state is LinkState.ELSEWHERE else without_query(cell.text)
        for cell in row_state.cells
        if sid in cell.text
    )
    return Outcome(
        sid=sid,
        call_sid=sides.ref.call_sid,
        step=step,
        steps=tuple(sides.taken),
        failures=failures,
        link=next(links, None),
        key=sides.key,
        size=sides.size,
        twilio=sides.twilio,
        s3=sides.stored.state,
        recording=known,
        objection=_objection(sides, step),
        rows=row_state.state,
        stored=sides.stored.size,
    )


def _failures_that_matter(sides: Sides) -> tuple[Failure, ...]:
    """Leave out that Twilio has forgotten a recording that is proven in S3.

    It does so 40 days after a delete, and links are renewed for years.
    """
    proven = sides.stored.state is S3State.VERIFIED
    return tuple(one for one in sides.failures if not (proven and forgotten_by_twilio(one)))


def _objection(sides: Sides, step: Step) -> Failure | None:
    """Return what keeps the recording from going on, where nothing failed."""
    known, cells, found = sides.known, sides.row_state().holding, None
    match step.reason:
        case Reason.LENGTH_UNPROVEN:
            found = findings.unproven(known, sides.stored)
        case Reason.OVERDUE:
            late = lateness(known, sides.now) if known else None
            found = findings.overdue(known, late) if known and late else None
        case Reason.NOT_OBSERVED:
            listed = sides.candidate.recording is not None and _forgotten(sides.recording)
            found = findings.LISTED_NOT_FOUND if listed else None
        case Reason.ELSEWHERE:
            found = findings.elsewhere(cells(LinkState.ELSEWHERE), sides.rules.book)
        case Reason.WORD:
            found = findings.words(cells(LinkState.WORD))
        case Reason.UNREFERENCED | Reason.FULL_TWIN | Reason.CALL_UNREAD | Reason.NEEDS_ROW:
            found = _without_row(sides, step)
        case _:
            of_object = sides.stored.state in {S3State.CONFLICT, S3State.UNFIT}
            found = sides.stored.failure if of_object else None
    return found


def _forgotten(side: object) -> bool:
    return isinstance(side, Failure) and forgotten_by_twilio(side)


def _without_row(sides: Sides, step: Step) -> Failure | None:
    """Return why no row of the recording can be used; None where there is none: no news."""
    rows, ref, rules, row_state = sides.known_rows, sides.ref, sides.rules, sides.row_state()
    if row_state.state is LinkState.CALL_UNREAD:
        return findings.unread(row_state.holding(LinkState.CALL_UNREAD), rows, ref.call_sid)
    if step.reason is Reason.NEEDS_ROW and rows:
        missing = ((row.id, rules.naming.missing(row)) for row in rows)
        return next((findings.unkeyed(row_id, names) for row_id, names in missing if names), None)
    if row_state.state is not LinkState.NO_ROW:
        return findings.crowded(row_state.holding(LinkState.NO_FREE_SLOT), rows, rules.book)
    if ref.conference_sid and sides.known:
        return findings.unreferenced(ref.conference_sid, rules.conference_sid_field)
    return None if ref.call_sid else findings.NO_CALL
