"""The life of one recording in a run: observe, decide, act, and again until nothing is left.

A generator of effects: no I/O, no clock and no thread. The runner drives it in production,
the simulator in the tests. A side whose effect failed is Unknown for the rest of the run, so
that what follows a failure comes out of the decision table like everything else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reccli.core.errors import Failure
from reccli.core.model import (
    LinkState,
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
    Copied,
    Copy,
    Delete,
    Record,
    Refused,
    Routine,
    Stale,
    Unproven,
    ask,
)
from reccli.flow.ending import outcome
from reccli.flow.outcome import Outcome
from reccli.flow.reporting import VANISHED
from reccli.flow.sides import Sides
from reccli.flow.writes import LINKS, see_who_shares, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from reccli.flow.outcome import Candidate, Rules

MOST_STEPS = 12
"""A case takes at most four steps in a quiet services; others may move the rows under it."""
MOST_DELETES = 3
"""How often a delete that failed in passing is tried again, each time after a new look."""

_SETTLED = frozenset({StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST})


Case = Routine[Outcome]


class StoppedError(Exception):
    """Thrown into a case that must not go on: it ends with what it has done so far."""


def reconcile(candidate: Candidate, rules: Rules, now: datetime) -> Case:
    """Bring one recording as far as the rules allow; `now` (UTC) is when the run began."""
    return _Case(candidate, rules, Sides(candidate, rules, now)).run()


@dataclass(slots=True)
class _Case:
    """What one case knows, and what it has done so far."""

    candidate: Candidate
    rules: Rules
    sides: Sides
    taken: list[StepKind] = field(default_factory=list)
    size: int = 0
    approved: bool = False
    deletes: int = 0

    def run(self) -> Case:
        """Take steps until none is left; a case that is stopped still tells what it did."""
        try:
            return (yield from self._run())
        except StoppedError:
            return self._outcome(Step(StepKind.HOLD, Reason.STOPPED))

    def _run(self) -> Case:
        sides = self.sides
        yield from sides.observe(self.candidate.recording, self.candidate.rows)
        if self.rules.dry_run:
            return (yield from self._would())
        for _ in range(MOST_STEPS):
            step = self._decide()
            if step.kind in _SETTLED or step.kind not in self.rules.may:
                yield from self._note_what_vanished(step)
                yield from reporting.ended(step, sides.row_state().state, sides.key, self.taken)
                return self._outcome(step)
            held = yield from self._take(step)
            if held is not None:
                return self._outcome(held)
        return self._outcome(Step(StepKind.HOLD, Reason.UNSETTLED))

    def _decide(self) -> Step:
        return decide(self.sides.observation(), self.rules.policy, self.sides.now)

    def _take(self, step: Step) -> Routine[Step | None]:
        """Take one step; a step comes back where the case ends here."""
        match step.kind:
            case StepKind.COPY:
                yield from self._copy()
            case StepKind.DELETE:
                return (yield from self._delete())
            case _:
                yield from write(self.sides, step.kind, self.taken)
        return None

    def _copy(self) -> Routine[None]:
        sides, recording, key = self.sides, self._certain(), self.sides.key or ""
        suffix = key.rpartition(".")[2]
        extension = self.rules.naming.extension(recording)
        if not recording.encryption and suffix in {"mp3", "wav"}:
            extension = suffix  # a row may name a key from before media_format was changed
        accept = self.rules.accept_length
        reply = yield from sides.ask(Copy(recording, extension, key, accept))
        if isinstance(reply, Copied):
            sides.stored, self.size = reply.stored, reply.size
            if reply.stored.state in {S3State.VERIFIED, S3State.UNFIT}:
                self.taken.append(StepKind.COPY)
            yield from reporting.copied(key, reply, recording.duration)
        else:
            sides.not_copied(reply)
            yield reporting.not_copied(reply)

    def _delete(self) -> Routine[Step | None]:
        """Delete, but only if everything, observed once more right now, still says so."""
        sides = self.sides
        if not self.approved:
            refusal = yield from ask(AskGuard(self._certain()))
            if isinstance(refusal, Refused):
                return refusal.step
            self.approved = True
        yield from sides.observe(prove=True)
        if self.deletes and sides.observation().twilio is TwilioState.DELETED:
            yield from self._deleted()  # by the try whose answer was lost
        if self._decide().kind is not StepKind.DELETE:
            return None
        if not sides.stored.proven:
            return Step(StepKind.HOLD, Reason.NOT_OBSERVED)
        recording = self._certain()
        reply = yield from ask(Delete(recording, sides.key or "", sides.now))
        if isinstance(reply, Failure):
            yield from self._not_deleted(reply)
        elif isinstance(reply, Unproven):  # not asked for again: it may only show late
            yield from self._unproven(reply.failure)
        elif not isinstance(reply, Stale):
            sides.recording = replace(recording, status="deleted")
            yield from self._deleted()
        return None

    def _not_deleted(self, failure: Failure) -> Routine[None]:
        """Look again, and only then try again, where it may pass; else a side is Unknown."""
        self.deletes += 1
        if failure.service in LINKS:  # the link that is left does not open
            self.sides.stored = StoredObject(S3State.UNKNOWN, failure=self.sides.noted(failure))
        elif not failure.transient or self.deletes >= MOST_DELETES:
            yield from self._unproven(failure)

    def _unproven(self, failure: Failure) -> Routine[None]:
        """Tell that it cannot be said whether it is deleted; the next run looks."""
        self.sides.recording = self.sides.noted(failure)
        yield reporting.failed("twilio_recording_delete_error", failure)

    def _deleted(self) -> Routine[None]:
        self.taken.append(StepKind.DELETE)
        detail = {"key": self.sides.key, "sha256": self.sides.stored.sha256}
        yield Record("twilio_recording_deleted", detail)

    def _would(self) -> Case:
        """End a dry run: the route, cut where this command has to stop, or its guard does."""
        if self._decide().kind in self.rules.may:
            yield from see_who_shares(self.sides)
        for step in route(self.sides.observation(), self.rules.policy, self.sides.now):
            if step.kind not in self.rules.may:
                break
            if step.kind is StepKind.DELETE:
                refusal = yield from ask(AskGuard(self._certain()))
                if isinstance(refusal, Refused):
                    return self._outcome(refusal.step)
            self.taken.append(step.kind)
        deque(self._note_what_vanished(step), maxlen=0)
        return self._outcome(step)

    def _note_what_vanished(self, step: Step) -> Iterator[Record]:
        """Tell that an object is gone to which a row links, where this command may not copy."""
        links = (LinkState.S3_LINK, LinkState.S3_LINK_EXPIRING)
        if step.kind is StepKind.COPY and self.sides.row_state().holding(*links):
            failure = reporting.vanished(self.sides.key or "")
            self.sides.failures.append(failure)
            yield reporting.failed(VANISHED, failure)

    def _outcome(self, step: Step) -> Outcome:
        return outcome(self.sides, step, tuple(self.taken), self.size)

    def _certain(self) -> Recording:
        """Tell the recording where the decision table has made sure that it is known."""
        if self.sides.known is None:  # pragma: no cover - decide forbids it
            message = "a step that needs the recording was taken without it"
            raise TypeError(message)
        return self.sides.known
