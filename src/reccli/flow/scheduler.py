"""Which case goes on and what is carried out next: turns, the window, the limit, and batches.

Pure: no I/O, no thread and no clock. `run` carries out what is handed to `start`, and brings the
answers back in whatever order they come. Cases need no locks, because one scheduler owns them all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING

from reccli.core.errors import Failure
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.batches import Batch, Batches, Task
from reccli.flow.case import StoppedError
from reccli.flow.effects import AskGuard, Copy, ObserveRows, Record, Refused, Stale, WriteLinks
from reccli.flow.outcome import Candidate, Outcome
from reccli.flow.unexpected import unexpected

if TYPE_CHECKING:
    from reccli.flow.case import Case
    from reccli.flow.executors import Pace
    from reccli.flow.gate import Gate
    from reccli.flow.ports import AirtablePort

CHUNK = 100
"""The fewest cases in hand that a run has room for, and the most that it reads at once."""
GROUPS_AT_ONCE = 2
"""Groups of links under way: one is sent while the answers of the other come."""


class Phase(IntEnum):
    """What a run still does. It begins with everything and never goes back."""

    RUNNING = 0
    LATE = 1
    """Its time is up: what has begun to act goes on, but copies nothing and deletes nothing."""
    STOPPED = 2
    """Links are written to what was copied."""
    HALTED = 3
    """Nothing."""


class Scheduler:
    """Owns the cases of one run; not to be used twice."""

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        pace: Pace,
        gate: Gate,
        airtable: AirtablePort,
        *,
        limit: int | None,
        new: Callable[[Candidate], Case],
        start: Callable[[Batch], None],
        record: Callable[[Candidate, Record], None],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """Call `new` to make a case, and `start` to have a batch carried out.

        Of `airtable` only the sizes of its requests are read.
        """
        self._gate = gate
        self._new, self._start, self._record, self._on_outcome = new, start, record, on_outcome
        self._window, self._left = pace.window or max(CHUNK, 4 * pace.concurrency), limit
        self._portion = min(CHUNK, self._window)
        self._rows = Batches(airtable.rows_a_find, pace.rows_linger)
        self._links = Batches(
            airtable.rows_a_look, pace.links_linger, airtable.rows_a_write, GROUPS_AT_ONCE
        )
        self._active: set[Task] = set()
        self._approved: deque[Task] = deque()
        self._listed = 0
        self.phase = Phase.RUNNING
        self.in_flight = 0  # batches that were started, and have no answer yet
        self.exhausted = False  # whether there is no more to begin with

    # Which cases run

    @property
    def busy(self) -> bool:
        """Whether cases are in hand, other than those that wait at the gate."""
        return bool(self._active or self._approved)

    @property
    def linking(self) -> bool:
        """Whether links wait to be written."""
        return bool(self._links.waiting)

    def enter(self, phase: Phase) -> None:
        """Do less from now on; a run that is no longer running begins with nothing new."""
        self.phase = max(self.phase, phase)
        if self.phase is not Phase.RUNNING:
            self.exhausted = True
            for queue in (self._approved, self._gate.parked):
                while queue:
                    self._end(queue.popleft())

    def room(self) -> int:
        """Return how many items to read now, in few portions; 0 for none.

        When the limit is used up the rest is read only if the guard has to know how many there
        are; until then a case that ends without having acted gives its share back.
        """
        if self._left == 0 and not self._active:
            self.exhausted = self.exhausted or not self._gate.parked
        if self.exhausted or (self._left == 0 and self._active):
            return 0
        room = self._window - self._in_hand
        if self._left is not None and self._left < room:
            return min(self._left or CHUNK, self._portion)
        return min(room, self._portion) if room >= (self._portion + 1) // 2 else 0

    @property
    def _in_hand(self) -> int:
        """Count the cases at work; some that only wait for their links hold up no other."""
        return len(self._active) - min(self._links.held, (GROUPS_AT_ONCE + 1) * self._links.size)

    def begin(self, item: Candidate | Outcome) -> None:
        """Begin a case; what the limit has no room for is only counted."""
        if isinstance(item, Outcome):
            self._on_outcome(item)
            return
        self._listed += 1
        if self._left == 0:
            return
        if self._left is not None:
            self._left -= 1
        self._go_on(Task(item, self._new(item)), None)

    def admit(self) -> None:
        """Let cases through the gate, as far as there is room."""
        while self._approved and self._in_hand < self._window:
            self._go_on(self._approved.popleft(), None)

    def open_gate(self, *, complete: bool, broken: bool) -> None:
        """Have those that wait go on or end, now that everything has been seen (see `Gate.ask`)."""
        if not self._gate.parked:
            return
        step = self._gate.ask(self._listed, complete=complete, broken=broken)
        if step is None:
            self._approved.extend(self._gate.parked)
            self._gate.parked.clear()
        else:
            self._refuse(step)

    def _refuse(self, step: Step) -> None:
        while self._gate.parked:
            self._go_on(self._gate.parked.popleft(), Refused(step))

    # One case

    def _go_on(self, task: Task, reply: object) -> None:
        """Send a case its answer, and see to the effects that it asks for next."""
        self._active.add(task)
        if isinstance(reply, Failure) and reply.ends_run:
            self.phase = Phase.HALTED
        try:
            effect = task.case.send(reply)
            while isinstance(effect, Record):
                self._record(task.candidate, effect)
                effect = task.case.send(None)
        except StopIteration as end:
            self._active.discard(task)
            self._finish(end.value)
            return
        except Exception as error:  # noqa: BLE001 - a bug in one case must not end the others
            self._end(task, unexpected(error))
            return
        links = isinstance(effect, WriteLinks) or isinstance(reply, Stale)
        begins = isinstance(effect, Copy | AskGuard)
        task.acts = task.acts or links or begins
        if not self._may(task, links=links, begins=begins):
            self._end(task)
            return
        match effect:
            case AskGuard(recording):
                self._active.discard(task)
                if (step := self._gate.park(task, recording)) is not None:
                    self._refuse(step)
            case ObserveRows():
                self._rows.put(task, effect)
            case WriteLinks():
                self._links.put(task, effect)
            case _:
                self._send(Batch((task,), (effect,)))

    def _may(self, task: Task, *, links: bool, begins: bool) -> bool:
        """Whether a case may go on: with its `links`, or with what `begins` something."""
        return {
            Phase.RUNNING: True,
            Phase.LATE: task.acts and not begins,
            Phase.STOPPED: links and not begins,
            Phase.HALTED: False,
        }[self.phase]

    def _end(self, task: Task, failure: Failure | None = None) -> None:
        """End a case before its time: the next run takes it up from what it finds."""
        self._active.discard(task)
        failures = (failure,) if failure else ()
        try:
            task.case.throw(StoppedError)
        except StopIteration as end:
            outcome = end.value
            self._finish(replace(outcome, failures=(*outcome.failures, *failures)))
        except StoppedError:  # the case had not begun, or a bug has ended it
            step, ref = Step(StepKind.HOLD, Reason.STOPPED), task.candidate.ref
            self._finish(Outcome(ref.sid, ref.call_sid, step, failures=failures))

    def end_all(self, failure: Failure | None) -> None:
        """End every case that is in hand."""
        for task in list(self._active):
            self._end(task, failure)

    def _finish(self, outcome: Outcome) -> None:
        if self._left is not None and outcome.sid and not (outcome.steps or outcome.failures):
            self._left += 1
        self._on_outcome(outcome)

    # Batches

    def flush(self, now: float, *, idle: bool) -> None:
        """Start the batches that are due at a time; `idle`: no answer is waiting to be read."""
        for batches in (self._rows, self._links):  # what is found may lead to links
            idle = idle and self.in_flight == self._links.under_way
            while batches.due(now, idle=idle):
                self._send(batches.take(now, idle=idle))

    def answer(self, batch: Batch, replies: Sequence[object] | Failure | None) -> None:
        """Bring the answers of a batch; None if it was not carried out, because the run ends."""
        self.in_flight -= 1
        match batch.effects[0]:
            case ObserveRows():
                self._rows.answered(len(batch))
            case WriteLinks():
                self._links.answered(len(batch))
        for at, task in enumerate(batch.tasks):
            if task not in self._active:
                continue
            if replies is None:
                self._end(task)
            else:
                self._go_on(task, replies if isinstance(replies, Failure) else replies[at])

    def _send(self, batch: Batch) -> None:
        self.in_flight += 1
        self._start(batch)
