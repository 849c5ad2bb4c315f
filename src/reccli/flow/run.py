"""Runs many cases at once: the threads of a run, its queue, and how it stops. Nothing else.

What goes on next is the scheduler's to say, and what may be deleted the gate's. One thread, that
of `run`, owns both; everything that waits for a service is carried out by the executors, and comes
back through the queue. Executors and clock may be replaced: the simulator in the tests drives this
very runner in one thread.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from reccli.flow.case import reconcile
from reccli.flow.effects import Copy, ObserveRows, WriteLinks
from reccli.flow.executors import Executors, Pace
from reccli.flow.gate import Gate, Guard
from reccli.flow.linking import write_links
from reccli.flow.perform import find_rows, perform
from reccli.flow.ports import Event
from reccli.flow.result import Ending
from reccli.flow.scheduler import Phase, Scheduler
from reccli.flow.turn import Turn
from reccli.flow.unexpected import HANGS, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reccli.core.errors import Failure
    from reccli.flow.batches import Batch
    from reccli.flow.effects import Record
    from reccli.flow.outcome import Candidate, Outcome, Rules
    from reccli.flow.ports import EventSink
    from reccli.flow.services import Services
    from reccli.flow.source import Sources

GRACE = 10.0
"""Seconds that a stopped run waits for the work in hand."""
OVERTIME = 20.0
"""Seconds that a run whose time is up goes on for the work in hand, and to link what was copied."""
_TICK, _TICK_LINKING = 0.25, 0.05
"""Seconds between looks at the clock, where nothing comes."""


@dataclass(frozen=True, slots=True)
class _Portion:
    """The source was read for a while; the result is whether that was its end."""

    done: Future[bool]


@dataclass(frozen=True, slots=True)
class _Answers:
    """A batch was carried out; None if it was not, because the run ends."""

    batch: Batch
    done: Future[Sequence[object] | None]


class Runner:
    """Runs one command once; not to be used twice."""

    def __init__(  # noqa: PLR0913 - the seams of a run, all but four with a default
        self,
        services: Services,
        rules: Rules,
        guard: Guard,
        sink: EventSink,
        *,
        pace: Pace | None = None,
        stop: threading.Event | None = None,
        executors: Executors | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """`stop` may be set by a signal handler; `on_outcome` is called as each case ends.

        `executors` are closed at the end of the run; `clock` is in seconds and never goes back.
        """
        pace = pace or Pace()
        self._services, self._sink = services, sink
        self._stop, self._stop_at, self._clock = stop or threading.Event(), pace.stop_at, clock
        self._executors = executors or Executors.threads(pace.concurrency)
        self._turn = Turn()
        self._queue: SimpleQueue[Candidate | Outcome | _Portion | _Answers] = SimpleQueue()
        self._reading = False
        self._ending = Ending()
        self._gate = Gate(guard, dry_run=rules.asked.dry_run)
        self._scheduler = Scheduler(
            pace,
            self._gate,
            services.airtable,
            limit=rules.asked.most_acted_on,
            new=lambda candidate: reconcile(candidate, rules, services.now()),
            start=self._start,
            record=self._record,
            on_outcome=on_outcome,
        )

    def run(self, items: Iterator[Candidate | Outcome], sources: Sources) -> Ending:
        """Run every case of the source to its end, or to the run's; return how the run ended."""
        try:
            self._run(items, sources)
        finally:
            self._executors.close()
        ending = self._ending
        ending.failures += sources.failures
        ending.outages = self._services.retry.outages
        ending.refusal = self._gate.refusal
        ending.interrupted = self._stop.is_set()
        return ending

    def _run(self, items: Iterator[Candidate | Outcome], sources: Sources) -> None:
        give_up = float("inf")
        while self._goes_on(sources):
            self._scheduler.admit()
            self._read(items)
            idle = not self._reading and self._queue.empty()
            self._scheduler.flush(self._clock(), idle=idle)
            if self._ends() is not Phase.RUNNING:
                grace = GRACE if self._stop.is_set() else OVERTIME
                give_up = min(give_up, self._clock() + grace)
            if self._clock() > give_up:
                self._abandon()
            else:
                self._receive()

    def _goes_on(self, sources: Sources) -> bool:
        scheduler = self._scheduler
        scheduler.enter(self._ends())
        if scheduler.busy or self._reading or not scheduler.exhausted:
            return True
        scheduler.open_gate(complete=not sources.failures, broken=bool(self._ending.failures))
        scheduler.enter(self._ends())  # it takes a person some time to answer
        return scheduler.busy

    def _ends(self) -> Phase:
        """Return how much the run may still do; threads ask as well."""
        if self._stop.is_set():
            return max(Phase.STOPPED, self._scheduler.phase)
        late = self._stop_at is not None and self._clock() >= self._stop_at
        return max(Phase.LATE if late else Phase.RUNNING, self._scheduler.phase)

    # Items in

    def _read(self, items: Iterator[Candidate | Outcome]) -> None:
        room = 0 if self._reading else self._scheduler.room()
        if room:
            self._reading = True
            future = self._executors.source.submit(self._hand_over, items, room)
            future.add_done_callback(lambda done: self._queue.put(_Portion(done)))

    def _hand_over(self, items: Iterator[Candidate | Outcome], count: int) -> bool:
        """Queue each item at once, for the next may take requests; return if it was the last."""
        for item in islice(items, count):
            self._queue.put(item)
            count -= 1
        return count > 0

    def _portion(self, done: Future[bool]) -> None:
        self._reading = False
        try:
            exhausted = done.result()
        except Exception as error:  # noqa: BLE001 - a bug in a source must not undo what was done
            self._ending.failures.append(unexpected(error))
            exhausted = True
        self._scheduler.exhausted = exhausted or self._scheduler.exhausted

    # Effects out, answers in

    def _start(self, batch: Batch) -> None:
        match batch.effects[0]:
            case ObserveRows() | WriteLinks():
                pool = self._executors.airtable
            case Copy():
                pool = self._executors.copies
            case _:
                pool = self._executors.workers
        future = pool.submit(self._carry_out, batch)
        future.add_done_callback(lambda done: self._queue.put(_Answers(batch, done)))

    def _carry_out(self, batch: Batch) -> Sequence[object] | None:
        """Carry out a batch in a worker, unless the run has ended while it was queued."""
        effect = batch.effects[0]
        match effect:
            case ObserveRows():
                looks = [one for one in batch.effects if isinstance(one, ObserveRows)]
                return find_rows(looks, self._services)
            case WriteLinks():
                writes = [one for one in batch.effects if isinstance(one, WriteLinks)]
                return write_links(writes, self._services, self._executors.links.map, self._turn)
            case _:
                last = Phase.RUNNING if isinstance(effect, Copy) else Phase.LATE
                return None if self._ends() > last else [perform(effect, self._services)]

    def _receive(self) -> None:
        """Wait for one message, if there is something to wait for, and take all that have come."""
        tick = _TICK_LINKING if self._scheduler.linking else _TICK
        waits = self._reading or self._scheduler.in_flight
        try:
            message = self._queue.get(timeout=tick if waits else 0)
            while True:
                self._handle(message)
                message = self._queue.get_nowait()
        except Empty:
            return

    def _handle(self, message: Candidate | Outcome | _Portion | _Answers) -> None:
        self._scheduler.enter(self._ends())
        match message:
            case _Answers(batch, done):
                self._scheduler.answer(batch, _replies(done))
            case _Portion(done):
                self._portion(done)
            case item:
                self._scheduler.begin(item)

    def _record(self, candidate: Candidate, effect: Record) -> None:
        ref, recording = candidate.ref, candidate.recording
        call_sid = (recording.call_sid if recording else None) or ref.call_sid
        self._sink(Event(effect.name, self._services.now(), ref.sid, call_sid, effect.detail))

    def _abandon(self) -> None:
        """End what hangs; threads that are still at it are left behind."""
        self._ending.gave_up = True
        failure = None if self._stop.is_set() else HANGS
        if self._reading and failure:
            self._ending.failures.append(failure)
        self._scheduler.end_all(failure)
        self._reading = False


def _replies(done: Future[Sequence[object] | None]) -> Sequence[object] | Failure | None:
    """Return the answers; what no adapter foresaw becomes a failure of the cases that asked."""
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001 - see above
        return unexpected(error)
