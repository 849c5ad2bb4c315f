"""The life of one recording in a run: observe, decide, act, and again until nothing is left.

A generator of effects: no I/O, no clock and no thread. The runner drives it in production,
the simulator in the tests. A side whose effect failed is Unknown for the rest of the run, so
that what follows a failure comes out of the decision table like everything else.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reccli.core.errors import Failure
from reccli.core.links import without_query
from reccli.core.model import (
    LinkState,
    Observation,
    Reason,
    Recording,
    Row,
    S3State,
    Step,
    StepKind,
    StoredObject,
    TwilioState,
)
from reccli.core.plan import decide, route
from reccli.core.rows import Subject, Survey, linked_keys, survey
from reccli.flow import telling
from reccli.flow.effects import (
    AskGuard,
    Copied,
    Copy,
    Delete,
    Effect,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Record,
    Refused,
    Rows,
    Stale,
    WriteLinks,
)
from reccli.flow.outcome import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from reccli.flow.outcome import Rules, Seed

MOST_STEPS = 12
"""A case takes at most four steps in a quiet world; others may move the rows under it."""
MOST_DELETES = 3
"""How often a delete that failed in passing is tried again, each time after a new look."""

_SETTLED = frozenset({StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST})
_WRITES = {
    StepKind.LINK_TWILIO: (LinkState.EMPTY,),
    StepKind.RELINK: (LinkState.TWILIO_LINK, LinkState.EMPTY),
    StepKind.RESIGN: (LinkState.S3_LINK_EXPIRING,),
}


Case = Generator[Effect, Any, Outcome]


class StoppedError(Exception):
    """Thrown into a case that must not go on: it ends with what it has done so far."""


def reconcile(seed: Seed, rules: Rules, now: datetime) -> Case:
    """Bring one recording as far as the rules allow; `now` (UTC) is when the run began."""
    return _Case(seed, rules, now).run()


@dataclass(slots=True)
class _Case:
    """What one case knows so far. A side that is a `Failure` is Unknown."""

    seed: Seed
    rules: Rules
    now: datetime
    recording: Recording | Failure | None = None
    rows: tuple[Row, ...] | Failure = ()
    stored: StoredObject = field(default_factory=lambda: StoredObject(S3State.UNKNOWN))
    key: str | None = None
    siblings: tuple[str, ...] = ()
    taken: list[StepKind] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
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
        yield from self._observe(self.seed.recording, self.seed.rows)
        if self.rules.dry_run:
            return self._would()
        for _ in range(MOST_STEPS):
            step = self._decide()
            if step.kind in _SETTLED or step.kind not in self.rules.may:
                yield from telling.ended(step, self._survey().state, self.key, self.taken)
                return self._outcome(step)
            held = yield from self._take(step)
            if held is not None:
                return self._outcome(held)
        return self._outcome(Step(StepKind.HOLD, Reason.UNSETTLED))

    # Observing

    def _observe(
        self, recording: Recording | None = None, rows: Rows | None = None, *, prove: bool = False
    ) -> Generator[Effect, Any, None]:
        """Look at all three sides; what is given need not be asked for again."""
        ref = self.recording.ref if isinstance(self.recording, Recording) else self.seed.ref
        self.recording = recording or self._known((yield ObserveRecording(ref)))
        if rows is not None:
            self.rows, self.now = rows.rows, rows.at
        else:
            yield from self._observe_rows()
        yield from self._observe_object(prove=prove)

    def _observe_rows(self) -> Generator[Effect, Any, None]:
        reply = self._known((yield ObserveRows(self.seed.ref.sid, self.call_sid)))
        if isinstance(reply, Rows):
            self.rows, self.now = reply.rows, reply.at
        else:
            self.rows = reply

    def _observe_object(self, *, prove: bool) -> Generator[Effect, Any, None]:
        rows = () if isinstance(self.rows, Failure) else self.rows
        keys = linked_keys(rows, self.seed.ref.sid, self.rules.book)
        self.stored = StoredObject(S3State.UNKNOWN)
        if isinstance(self.recording, Recording):
            self.stored = StoredObject(S3State.NO_KEY)
            if named := self.rules.naming.key(self.recording, rows):
                keys = tuple(dict.fromkeys((*keys, named)))
        self.key = next(iter(keys), None)
        for key in keys:
            stored = yield from self._look_at(key, prove=prove)
            if key == self.key or stored.state in {S3State.VERIFIED, S3State.UNKNOWN}:
                self.key, self.stored = key, stored
            if stored.state in {S3State.VERIFIED, S3State.UNKNOWN}:
                return  # rows may name several keys: one proven object is enough

    def _look_at(self, key: str, *, prove: bool) -> Generator[Effect, Any, StoredObject]:
        reply: StoredObject | Failure
        reply = self._known((yield ObserveObject(key, self.seed.ref.sid, prove)))
        if isinstance(reply, Failure):
            return StoredObject(S3State.UNKNOWN, failure=reply)
        return reply

    def _observe_siblings(self) -> Generator[Effect, Any, None]:
        """Look who else may take a free cell, and then at what they have taken by now."""
        sid = self.seed.ref.sid
        reply = self._known((yield ObserveSiblings(self.call_sid or "")))
        if isinstance(reply, Failure):
            self.rows = reply
            return
        self.siblings = reply if sid in reply else (*reply, sid)
        yield from self._observe_rows()

    def _known(self, reply: Any) -> Any:  # noqa: ANN401 - the type depends on the effect
        if isinstance(reply, Failure):
            self.failures.append(reply)
        return reply

    # Deciding

    def _decide(self) -> Step:
        return decide(self._observation(), self.rules.policy, self.now)

    def _observation(self) -> Observation:
        known = self.recording if isinstance(self.recording, Recording) else None
        return Observation(
            known.state if known else TwilioState.UNKNOWN,
            self.stored.state,
            self._survey().state,
            self.stored.age,
        )

    def _survey(self) -> Survey:
        if isinstance(self.rows, Failure):
            return Survey(LinkState.UNKNOWN)
        siblings = self.siblings or self.seed.siblings
        subject = Subject(self.seed.ref.sid, self.call_sid, siblings, self.key)
        return survey(self.rows, subject, self.rules.book, self.now)

    # Acting

    def _take(self, step: Step) -> Generator[Effect, Any, Step | None]:
        """Take one step; a step comes back where the case ends here."""
        match step.kind:
            case StepKind.COPY:
                yield from self._copy()
            case StepKind.DELETE:
                return (yield from self._delete())
            case StepKind.RELINK if not self.stored.proven:
                yield from self._observe_object(prove=True)
            case _:
                yield from self._write(step.kind)
        return None

    def _copy(self) -> Generator[Effect, Any, None]:
        recording, key = self._certain(), self.key or ""
        suffix = key.rpartition(".")[2]
        extension = self.rules.naming.extension(recording)
        if not recording.encryption and suffix in {"mp3", "wav"}:
            extension = suffix  # a row may name a key from before media_format was changed
        reply = self._known((yield Copy(recording, extension, key)))
        if isinstance(reply, Copied):
            self.stored, self.size = reply.stored, reply.size
            if reply.stored.state is S3State.VERIFIED:
                self.taken.append(StepKind.COPY)
            yield from telling.copied(key, reply)
        else:
            self.stored = StoredObject(S3State.UNKNOWN, failure=reply)
            yield telling.not_copied(reply)

    def _write(self, kind: StepKind) -> Generator[Effect, Any, None]:
        slots = self._survey().holding(*_WRITES[kind])
        if not (self.siblings or self.seed.siblings):
            named = tuple(slot for slot in slots if slot.state is not LinkState.EMPTY)
            if not named:  # which of the free cells is ours, others have a say in
                yield from self._observe_siblings()
                return
            slots = named
        fallback = kind is StepKind.LINK_TWILIO
        recording = self.recording if isinstance(self.recording, Recording) else None
        reply = self._known(
            (
                yield WriteLinks(
                    recording.ref if recording else self.seed.ref,
                    self.rules.naming.extension(recording) if recording else "mp3",
                    None if fallback else self.key,
                    slots,
                    self.now,
                )
            )
        )
        if isinstance(reply, Stale):
            yield from self._observe_rows()
        elif isinstance(reply, Failure):
            self.rows = reply
            yield telling.failed("airtable_update_error", reply)
        else:
            self._merge(reply)
            self.taken.append(kind)
            yield from telling.linked(kind, slots, self.stored)

    def _merge(self, answer: Rows) -> None:
        current = {row.id: row for row in ([] if isinstance(self.rows, Failure) else self.rows)}
        self.rows = tuple((current | {row.id: row for row in answer.rows}).values())
        self.now = max(self.now, answer.at)

    def _delete(self) -> Generator[Effect, Any, Step | None]:  # noqa: PLR0911 - a gauntlet
        """Delete, but only if everything, observed once more right now, still says so."""
        if not self.approved:
            refusal = yield AskGuard(self.seed.ref.sid)
            if isinstance(refusal, Refused):
                return Step(StepKind.HOLD, Reason.UNSAFE)
            self.approved = True
        yield from self._observe(prove=True)
        if self.deletes and self._observation().twilio is TwilioState.DELETED:
            yield from self._deleted()  # by the try whose answer was lost
        if self._decide().kind is not StepKind.DELETE:
            return None
        if not self.stored.proven:
            return Step(StepKind.HOLD, Reason.NOT_OBSERVED)
        recording = self._certain()
        reply = yield Delete(recording, self.now)
        if isinstance(reply, Stale):
            return None
        if isinstance(reply, Failure):
            self.deletes += 1
            if reply.transient and self.deletes < MOST_DELETES:
                return None  # look again, and only then try again
            self.recording = self._known(reply)
            yield telling.failed("twilio_recording_delete_error", reply)
            return None
        self.recording = replace(recording, status="deleted")
        yield from self._deleted()
        return None

    def _deleted(self) -> Generator[Effect, Any, None]:
        self.taken.append(StepKind.DELETE)
        yield Record("twilio_recording_deleted", {"key": self.key, "sha256": self.stored.sha256})

    def _would(self) -> Outcome:
        """End a dry run: the route, cut where this command has to stop."""
        would = []
        steps = route(self._observation(), self.rules.policy, self.now)
        for step in steps:
            if step.kind not in self.rules.may:
                break
            would.append(step.kind)
        self.taken = would
        return self._outcome(steps[len(would)])

    def _outcome(self, step: Step) -> Outcome:
        sid = self.seed.ref.sid
        rows = () if isinstance(self.rows, Failure) else self.rows
        slots = self._survey().slots
        texts = [r.links[s.field] for s in slots for r in rows if r.id == s.row_id and s.field]
        known = self.recording if isinstance(self.recording, Recording) else None
        return Outcome(
            sid,
            self.call_sid,
            step,
            tuple(self.taken),
            self._failures_that_matter(),
            next((without_query(text) for text in texts if sid in text), None),
            self.key,
            self.size,
            known.state if known else TwilioState.UNKNOWN,
            self.stored.state,
            known,
            self.stored.failure if self.stored.state is S3State.CONFLICT else None,
        )

    def _failures_that_matter(self) -> tuple[Failure, ...]:
        """Leave out that Twilio has forgotten a recording that is proven in S3.

        It does so 40 days after a delete, and links are renewed for years.
        """
        proven = self.stored.state is S3State.VERIFIED
        return tuple(f for f in self.failures if not (proven and f.code == "not_found"))

    @property
    def call_sid(self) -> str | None:
        known = self.recording if isinstance(self.recording, Recording) else None
        return known.call_sid if known else self.seed.ref.call_sid

    def _certain(self) -> Recording:
        """Tell the recording where the decision table has made sure that it is known."""
        if not isinstance(self.recording, Recording):  # pragma: no cover - decide forbids it
            message = "a step that needs the recording was taken without it"
            raise TypeError(message)
        return self.recording
