"""What one case knows of its recording: Twilio, S3 and Airtable as last seen, and how to look.

A side whose look failed is Unknown until it is seen again. For `case` alone; like it, this holds
no I/O, no clock and no thread: looks are effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from reccli.core.asked import Observation
from reccli.core.audio import proves_length
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import (
    LinkState,
    Recording,
    Row,
    S3State,
    StoredObject,
    TwilioState,
)
from reccli.core.naming import can_be
from reccli.core.overdue import lateness
from reccli.core.rows import RowState, Target, concerns, linked_keys, row_state, shared
from reccli.flow import findings
from reccli.flow.effects import (
    Effect,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Routine,
    Rows,
    ask,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from reccli.core.model import Ref, StepKind
    from reccli.core.rows import Cell
    from reccli.flow.outcome import Candidate, Rules

R = TypeVar("R")
UNKNOWN = StoredObject(S3State.UNKNOWN)


@dataclass(slots=True)
class Sides:
    """The three sides, and what was done to them; a side that is a `Failure` is Unknown.

    `now` is when the rows were seen, `size` how many bytes were copied.
    """

    candidate: Candidate
    rules: Rules
    now: datetime
    recording: Recording | Failure | None = None
    rows: tuple[Row, ...] | Failure = ()
    stored: StoredObject = UNKNOWN
    key: str | None = None
    siblings: tuple[Ref, ...] = ()
    listed: frozenset[str] = frozenset()
    """The calls and conferences of which `siblings` are all recordings."""
    failures: list[Failure] = field(default_factory=list)
    taken: list[StepKind] = field(default_factory=list)
    size: int = 0
    approved: bool = False
    """The guard lets the recording be deleted."""
    deletes: int = 0
    """How often a delete has failed in passing."""
    no_media: bool = False
    """Twilio answered in this run that it has no audio of it, or none yet."""
    read_back: StoredObject | None = None
    """The object whose bytes were read and hashed in this run: once is enough."""

    def __post_init__(self) -> None:
        """Apply what the source knows of the other recordings of the call."""
        self.siblings, call_sid = self.candidate.siblings, self.candidate.ref.call_sid
        if self.siblings and call_sid:
            self.listed = frozenset({call_sid})

    def observe(
        self, recording: Recording | None = None, rows: Rows | None = None, *, prove: bool = False
    ) -> Routine[None]:
        """Look at all three sides; what is given need not be asked for again."""
        found = recording or (yield from self.ask(ObserveRecording(self.ref)))
        if isinstance(found, Recording) and found.odd:
            found = self.noted(findings.odd(found))
        self.recording = found
        if rows is not None:
            self.rows, self.now = rows.rows, rows.at
        else:
            yield from self.observe_rows()
        yield from self.observe_object(prove=prove)

    def observe_rows(self) -> Routine[None]:
        """Look at every row about the recording."""
        reply = yield from self.ask(ObserveRows(self.ref))
        if isinstance(reply, Rows):
            self.rows, self.now = reply.rows, reply.at
        else:
            self.rows = reply

    def observe_object(self, *, prove: bool = False) -> Routine[None]:
        """Look at the keys where the object may be: rows may name several, one proven is enough.

        A former place only says where it may have been: what is not there has no key by that. What
        a link names and no object can be called is nowhere.
        """
        # A row that only may be the call's says nothing of the key.
        rows = tuple(row for row in self.known_rows if concerns(row, self.ref))
        sid, book = self.candidate.ref.sid, self.rules.book
        former = tuple(filter(can_be, linked_keys(rows, sid, book, former=True)))
        named, self.stored = self._named(rows)
        keys = (*filter(can_be, linked_keys(rows, sid, book)), *named)
        self.key = next(iter(keys), None)
        for key in dict.fromkeys((*keys, *former)):
            stored = yield from self._look_at(key, prove=prove)
            found = stored.state in {S3State.VERIFIED, S3State.UNFIT, S3State.UNKNOWN}
            if found or key == self.key:
                self.key, self.stored = key, stored
            if found:
                return
        gone = self.twilio is TwilioState.DELETED
        if former and gone and self.stored.state is S3State.ABSENT:
            self.stored = StoredObject(S3State.UNKNOWN, failure=self.noted(findings.LEFT_BEHIND))
        if self.stored.state is S3State.BAD_KEY:
            self.noted(self.stored.failure)

    def _named(self, rows: Iterable[Row]) -> tuple[tuple[str, ...], StoredObject]:
        """Return the key by the template, if any, and what is known of S3 where there is none."""
        if self.known is None:
            return (), UNKNOWN
        try:
            key = self.rules.naming.key(self.known, rows)
        except ServiceError as error:
            return (), StoredObject(S3State.BAD_KEY, failure=error.failure)
        return (key,) if key else (), StoredObject(S3State.NO_KEY)

    def _look_at(self, key: str, *, prove: bool) -> Routine[StoredObject]:
        sid, before = self.candidate.ref.sid, self.read_back
        stored = yield from self._asked(ObserveObject(key, sid, prove and before is None))
        if prove and before is not None and not stored.proven:
            if _same(before, stored):
                return replace(stored, proven=True)
            stored = yield from self._asked(ObserveObject(key, sid, read_back=True))
        if prove and stored.proven:
            self.read_back = stored
        return stored

    def _asked(self, effect: ObserveObject) -> Routine[StoredObject]:
        reply = yield from self.ask(effect)
        if isinstance(reply, Failure):
            return StoredObject(S3State.UNKNOWN, failure=reply)
        return reply

    def observe_siblings(self, of: frozenset[str]) -> Routine[None]:
        """List who else may take a free cell, and look what they have taken by now."""
        mine = self.ref
        reply = yield from self.ask(ObserveSiblings(tuple(sorted(of)), mine.region))
        if isinstance(reply, Failure):
            self.rows = reply
            return
        among = any(one.sid == mine.sid for one in reply)
        self.siblings, self.listed = (reply if among else (*reply, mine)), of
        yield from self.observe_rows()

    def not_copied(self, failure: Failure) -> None:
        """Apply what a failed copy says of each side: of S3 nothing, where S3 was not asked."""
        of_twilio = failure.service is Service.TWILIO
        self.no_media = of_twilio and failure.kind in {FailureKind.NOT_YET, FailureKind.GONE}
        unasked = of_twilio or failure.service is Service.MACHINE
        self.stored = StoredObject(
            S3State.UNCOPIED if unasked else S3State.UNKNOWN, failure=failure
        )

    def ask(self, effect: Effect[R]) -> Routine[R | Failure]:
        """Yield one effect, and return its reply; a failure is noted."""
        return self.noted((yield from ask(effect)))

    def noted(self, reply: R) -> R:
        """Add a failure to those of the case, and return the reply."""
        if isinstance(reply, Failure):
            self.failures.append(reply)
        return reply

    # What is known now

    @property
    def known(self) -> Recording | None:
        """The recording, if Twilio has shown it."""
        return self.recording if isinstance(self.recording, Recording) else None

    @property
    def twilio(self) -> TwilioState:
        """The state of the Twilio copy."""
        state = self.known.state if self.known else TwilioState.UNKNOWN
        return TwilioState.NO_MEDIA if self.no_media and state is TwilioState.COMPLETED else state

    @property
    def known_rows(self) -> tuple[Row, ...]:
        """The rows; none if they could not be read."""
        return () if isinstance(self.rows, Failure) else self.rows

    @property
    def ref(self) -> Ref:
        """The recording, with its call and conference as far as they are known."""
        return self.known.ref if self.known else self.candidate.ref

    def sharing(self, cells: Iterable[Cell]) -> frozenset[str]:
        """Return the calls and conferences whose recordings may want these free cells as well.

        Empty where all of them are known already: then it is certain which cell is whose.
        """
        free = {cell.row_id for cell in cells if cell.state is LinkState.EMPTY}
        of = frozenset[str]().union(*(shared(row) for row in self.known_rows if row.id in free))
        return frozenset() if of <= self.listed else of

    def row_state(self) -> RowState:
        """Return what the rows hold for the recording."""
        if isinstance(self.rows, Failure):
            return RowState(LinkState.UNKNOWN)
        target = Target(self.ref, self.siblings, self.key)
        return row_state(self.rows, target, self.rules.book, self.now)

    def observation(self) -> Observation:
        """Return the three sides as `decide` wants them."""
        known, stored = self.known, self.stored
        return Observation(
            self.twilio,
            stored.state,
            self.row_state().state,
            stored.age,
            proves_length(
                known.duration if known else None, stored.seconds, accepted=stored.accepted
            ),
            overdue=known is not None and lateness(known, self.now) is not None,
        )


def _same(before: StoredObject, now: StoredObject) -> bool:
    """Whether it is still the object that was read back."""
    facts = (now.state, now.etag, now.size, now.sha256)
    return now.etag is not None and facts == (before.state, before.etag, before.size, before.sha256)
