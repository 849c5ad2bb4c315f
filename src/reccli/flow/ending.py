"""What one case comes to, told from its three sides as last seen. For `case` alone.

`sides` says what is known; this says what of it matters to whoever reads the end of a run. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.errors import forgotten_by_twilio
from reccli.core.links import host_only, without_query
from reccli.core.model import LinkState, Reason, S3State, Step, StepKind
from reccli.flow import objections
from reccli.flow.outcome import Outcome

if TYPE_CHECKING:
    from reccli.core.errors import Failure
    from reccli.flow.sides import Sides


def outcome(sides: Sides, step: Step, taken: tuple[StepKind, ...], size: int) -> Outcome:
    """Say where the recording stands; `size` is how many bytes were copied."""
    sid, known, row_state = sides.candidate.ref.sid, sides.known, sides.row_state()
    failures = _failures_that_matter(sides)
    if sides.candidate.told and not known and failures and all(map(forgotten_by_twilio, failures)):
        step, failures = Step(StepKind.WAIT, Reason.UNHEARD_OF), ()  # a test, or deleted since
    links = (
        host_only(cell.text, sid) if cell.state is LinkState.ELSEWHERE else without_query(cell.text)
        for cell in row_state.cells
        if sid in cell.text
    )
    return Outcome(
        sid,
        sides.ref.call_sid,
        step,
        taken,
        failures,
        next(links, None),
        sides.key,
        size,
        sides.twilio,
        sides.stored.state,
        known,
        objections.objection(step, row_state, sides),
        row_state.state,
        sides.stored.size,
    )


def _failures_that_matter(sides: Sides) -> tuple[Failure, ...]:
    """Leave out that Twilio has forgotten a recording that is proven in S3.

    It does so 40 days after a delete, and links are renewed for years.
    """
    proven = sides.stored.state is S3State.VERIFIED
    return tuple(one for one in sides.failures if not (proven and forgotten_by_twilio(one)))
