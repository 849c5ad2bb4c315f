"""The life of one recording in a run: observe, decide, act, and again until nothing is left.

A generator of effects: no I/O, no clock and no thread. The runner drives it in production,
the simulator in the tests. A side whose effect failed is Unknown for the rest of the run, so
that what follows a failure comes out of the decision table like everything else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reccli.core.errors import Failure
from reccli.core.model import (
    Reason,
    Recording,
    S3State,
    Step,
    StepKind,
    StoredObject,
    TwilioState,
)
from reccli.core.plan import decide, route
from reccli.flow import reporting
from reccli.flow.effects import (
    AskGuard,
    Copy,
    Delete,
    Record,
    Routine,
    Unproven,
    ask,
)
from reccli.flow.ending import outcome
from reccli.flow.outcome import Outcome
from reccli.flow.sides import Sides
from reccli.flow.writes import LINKS, see_who_shares, write

if TYPE_CHECKING:
    from datetime import datetime

    from reccli.flow.outcome import Candidate, Rules

MOST_STEPS = 12
"""A case takes at most four steps while nothing else moves; others may move the rows under it."""
MOST_DELETES = 3
"""How often a delete that failed in passing is tried again, each time after a new look."""

_SETTLED = frozenset({StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST})


Case = Routine[Outcome]


class StoppedError(Exception):
    """Thrown into a case that must not go on: it ends with what it has done so far."""


def reconcile(candidate: Candidate, rules: Rules, now: datetime) -> Case:
    """Bring one recording as far as the rules allow; `now` (UTC) is when the run began."""
    sides = Sides(candidate, rules, now)
    try:
        yield from sides.observe(candidate.recording, candidate.rows)
        step = yield from (_plan(sides) if rules.asked.dry_run else _act(sides))
    except StoppedError:
        step = Step(StepKind.HOLD, Reason.STOPPED)
    ended = outcome(sides, step)
    if not rules.asked.dry_run:
        yield from reporting.ended(ended)
    return ended


def _act(sides: Sides) -> Routine[Step]:
    """Carry out steps until none is left, and return where it ends."""
    for _ in range(MOST_STEPS):
        step = _next(sides)
        if step.kind in _SETTLED or step.kind not in sides.rules.may:
            return step
        match step.kind:
            case StepKind.COPY:
                yield from _copy(sides)
            case StepKind.DELETE:
                if refused := (yield from _delete(sides)):
                    return refused
            case _:
                yield from write(sides, step.kind)
    return Step(StepKind.HOLD, Reason.UNSETTLED)


def _plan(sides: Sides) -> Routine[Step]:
    """Return where a dry run ends: the route, cut where its command or the guard stops it."""
    if _next(sides).kind in sides.rules.may:
        yield from see_who_shares(sides)
    for step in route(sides.observation(), sides.rules.policy, sides.now):
        if step.kind not in sides.rules.may:
            break
        if step.kind is StepKind.DELETE and (refused := (yield from _refused(sides))):
            return refused
        sides.taken.append(step.kind)
    return step


def _next(sides: Sides) -> Step:
    return decide(sides.observation(), sides.rules.policy, sides.now)


def _copy(sides: Sides) -> Routine[None]:
    recording, key = _certain(sides), sides.key or ""
    suffix = key.rpartition(".")[2]
    extension = sides.rules.naming.extension(recording)
    if not recording.encryption and suffix in {"mp3", "wav"}:
        extension = suffix  # a row may name a key from before media_format was changed
    copied = yield from sides.ask(Copy(recording, extension, key, sides.rules.asked.accept_length))
    if isinstance(copied, Failure):
        sides.not_copied(copied)
        yield reporting.not_copied(copied)
        return
    sides.stored, sides.size = copied.stored, copied.size
    if copied.stored.state in {S3State.VERIFIED, S3State.UNFIT}:
        sides.taken.append(StepKind.COPY)
    yield from reporting.copied(key, copied, recording.duration)


def _delete(sides: Sides) -> Routine[Step | None]:
    """Delete, but only if everything, observed once more right now, still says so.

    Returns a step where the case ends here.
    """
    if not sides.approved:
        if refused := (yield from _refused(sides)):
            return refused
        sides.approved = True
    yield from sides.observe(prove=True)
    if sides.deletes and sides.twilio is TwilioState.DELETED:
        yield from _deleted(sides)  # by the try whose answer was lost
    if _next(sides).kind is not StepKind.DELETE:
        return None
    if not sides.stored.proven:
        return Step(StepKind.HOLD, Reason.NOT_OBSERVED)
    recording = _certain(sides)
    match (yield from ask(Delete(recording, sides.key or "", sides.now))):
        case None:
            sides.recording = replace(recording, status="deleted")
            yield from _deleted(sides)
        case Unproven(failure):  # not asked for again: it may only show late
            yield from _unproven(sides, failure)
        case Failure() as failure:
            yield from _not_deleted(sides, failure)
    return None


def _refused(sides: Sides) -> Routine[Step | None]:
    """Ask the guard, and return where the case ends if it says no."""
    answer = yield from sides.ask(AskGuard(_certain(sides)))
    if isinstance(answer, Failure):
        return Step(StepKind.HOLD, Reason.UNSAFE)
    return answer.step if answer else None


def _not_deleted(sides: Sides, failure: Failure) -> Routine[None]:
    """Look again, and only then try again, where it may pass; else a side is Unknown."""
    sides.deletes += 1
    if failure.service in LINKS:  # the link that is left does not open
        sides.stored = StoredObject(S3State.UNKNOWN, failure=sides.noted(failure))
    elif not failure.transient or sides.deletes >= MOST_DELETES:
        yield from _unproven(sides, failure)


def _unproven(sides: Sides, failure: Failure) -> Routine[None]:
    """Make Twilio's side Unknown: whether it is deleted, the next run sees."""
    sides.recording = sides.noted(failure)
    yield reporting.failed("twilio_recording_delete_error", failure)


def _deleted(sides: Sides) -> Routine[None]:
    sides.taken.append(StepKind.DELETE)
    yield Record("twilio_recording_deleted", {"key": sides.key, "sha256": sides.stored.sha256})


def _certain(sides: Sides) -> Recording:
    """Return the recording where the decision table has made sure that it is known."""
    if sides.known is None:  # pragma: no cover - decide forbids it
        message = "a step that needs the recording was taken without it"
        raise TypeError(message)
    return sides.known
