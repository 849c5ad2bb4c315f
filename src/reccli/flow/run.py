"""Drives many cases at once: the only place with threads, batches and a window.

One coordinator thread owns every case, so that cases need no locks. Effects that are carried
out one by one go to the workers; looks at rows and writes of links are gathered over cases,
because Airtable counts requests; deletes wait until the run knows how many there would be.
Work in hand is bounded, whatever the number of recordings.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from reccli.core.errors import Failure
from reccli.core.guard import Due, Limits, refusal
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.case import StoppedError, reconcile
from reccli.flow.effects import (
    AskGuard,
    Copy,
    Effect,
    ObserveRows,
    Record,
    Refused,
    Stale,
    WriteLinks,
)
from reccli.flow.hands import Hands
from reccli.flow.lane import Lane, Task
from reccli.flow.linking import write_links
from reccli.flow.outcome import Candidate, Outcome, Rules
from reccli.flow.perform import find_rows, perform
from reccli.flow.ports import Event
from reccli.flow.result import Result
from reccli.flow.turn import Turn
from reccli.flow.unexpected import HANGS, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reccli.core.model import Recording
    from reccli.flow.ports import EventSink
    from reccli.flow.services import Services
    from reccli.flow.source import Sources

AIRTABLE_AT_ONCE = 5
"""Enough requests in flight to use up 5 a second at a second's latency each."""
GROUPS_AT_ONCE = 2
"""Groups of links under way: one is sent while the answers of the other come."""
CHUNK = 100
UNSAFE = Step(StepKind.HOLD, Reason.UNSAFE)
DECLINED = Step(StepKind.WAIT, Reason.DECLINED)
GRACE = 10.0
"""Seconds that a stopped run waits for the work in hand."""
OVERTIME = 20.0
"""Seconds that a run whose time is up goes on for the work in hand, and to link what was copied."""
_TICK = 0.25
_NOT_BEGUN = object()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run uses its machine; times in seconds. `linger` is how long a batch waits to fill.

    `stop_at` is the `time.monotonic()` from which nothing new is taken up; `limit` is how many
    recordings may be acted on: those that only wait or are held do not use it up.
    """

    concurrency: int = 32
    rows_linger: float = 0.1
    links_linger: float = 1.0
    stop_at: float | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Brake:
    """What may keep a run from deleting: figures, and a person who is asked once."""

    limits: Limits
    confirm: Callable[[Due], bool] = lambda _due: True


class Runner:
    """Runs one command once; not to be used twice."""

    def __init__(  # noqa: PLR0913 - the seams of a run, all but four with a default
        self,
        services: Services,
        rules: Rules,
        brake: Brake,
        sink: EventSink,
        *,
        pace: Pace | None = None,
        stop: threading.Event | None = None,
        copies: Executor | None = None,
        progress: Callable[[Result], None] = lambda _result: None,
    ) -> None:
        """`stop` may be set by a signal handler; `copies` carries out Copy elsewhere."""
        self._world, self._rules, self._brake, self._sink = services, rules, brake, sink
        self._pace, self._progress = pace or Pace(), progress
        self._stop = stop or threading.Event()
        self._workers = Hands(self._pace.concurrency, "reccli-worker")
        self._clerks = Hands(AIRTABLE_AT_ONCE, "reccli-airtable")
        self._reader = Hands(1, "reccli-source")
        self._copies = copies or self._workers
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        airtable = services.airtable
        self._rows = Lane(airtable.rows_a_find, self._pace.rows_linger, find_rows)
        self._writers = Hands(AIRTABLE_AT_ONCE, "reccli-links")
        write = partial(write_links, each=self._writers.map, turn=Turn())
        self._links = Lane(
            airtable.rows_a_look,
            self._pace.links_linger,
            write,
            airtable.rows_a_write,
            GROUPS_AT_ONCE,
        )
        self._linking = (GROUPS_AT_ONCE + 1) * airtable.rows_a_look
        self._window = max(CHUNK, 4 * self._pace.concurrency)
        self._result = Result(dry_run=rules.dry_run)
        self._active: set[Task] = set()
        self._parked: deque[Task] = deque()
        self._approved: deque[Task] = deque()
        self._due = Due()
        self._pulling = self._exhausted = self._halted = False
        self._feeding = self._listed = 0
        self._left = self._pace.limit

    def run(self, items: Iterator[Candidate | Outcome], sources: Sources) -> Result:
        """Run every case of the source to its end, or to the run's."""
        give_up = float("inf")
        try:
            while self._more(sources):
                self._pull(items)
                self._flush()
                self._receive()
                if self._over():
                    grace = GRACE if self._stop.is_set() else OVERTIME
                    give_up = min(give_up, time.monotonic() + grace)
                if time.monotonic() > give_up:
                    self._abandon()
        finally:
            for pool in (self._reader, self._clerks, self._writers, self._workers):
                pool.shutdown(wait=False, cancel_futures=True)
        self._result.failures.extend(sources.failures)
        self._result.outages = self._world.retry.outages
        self._result.interrupted = self._stop.is_set()
        return self._result

    # Which cases run

    def _more(self, sources: Sources) -> bool:
        if self._over():
            self._exhausted = True
            for queue in (self._approved, self._parked):
                while queue:
                    self._end(queue.popleft(), None)
        if self._active or self._pulling or not self._exhausted or self._approved:
            return True
        if self._parked:
            self._open_gate(complete=not sources.failures)
        return bool(self._approved or self._active)

    def _over(self) -> bool:
        stop_at = self._pace.stop_at
        late = stop_at is not None and time.monotonic() >= stop_at
        return late or self._stop.is_set() or self._halted

    def _pull(self, items: Iterator[Candidate | Outcome]) -> None:
        while self._approved and self._in_hand < self._window:
            task = self._approved.popleft()
            self._active.add(task)
            self._advance(task, None)
        room = self._room()
        if room and not self._exhausted and not self._pulling:
            self._pulling = True
            future = self._reader.submit(self._read, items, min(room, CHUNK))
            future.add_done_callback(lambda done: self._inbox.put(lambda: self._pulled(done)))

    def _room(self) -> int:
        """Tell how many items to read now, in few portions.

        When the limit is used up the rest is read only if the guard has to know how many there
        are; until then a case that ends without having acted gives its share back.
        """
        if self._left == 0:
            if self._active:
                return 0
            self._exhausted = self._exhausted or not self._parked
            return CHUNK
        room = self._window - self._in_hand
        if self._left is not None and self._left < room:
            return self._left
        return room if room >= CHUNK // 2 else 0

    @property
    def _in_hand(self) -> int:
        """Count the cases at work; some that only wait for their links hold up no other."""
        return len(self._active) - min(self._links.held, self._linking)

    def _read(self, items: Iterator[Candidate | Outcome], count: int) -> bool:
        """Hand over each item at once, for the next may take requests; tell if it was the last."""
        for item in islice(items, count):
            self._inbox.put(partial(self._begin, item))
            count -= 1
        return count > 0

    def _pulled(self, done: Future[bool]) -> None:
        self._pulling = False
        try:
            self._exhausted = done.result() or self._exhausted
        except Exception as error:  # noqa: BLE001 - a bug in a source must not undo what was done
            self._result.failures.append(unexpected(error))
            self._exhausted = True

    def _begin(self, item: Candidate | Outcome) -> None:
        if isinstance(item, Outcome):
            self._finish(item)
            return
        self._listed += 1
        if self._left == 0:
            return  # only counted
        if self._left is not None:
            self._left -= 1
        task = Task(item, reconcile(item, self._rules, self._world.now()))
        self._active.add(task)
        self._advance(task, None)

    def _open_gate(self, *, complete: bool) -> None:
        """Ask, now that everything has been seen, whether that many may be deleted."""
        due, limits = self._due, self._brake.limits
        reason = refusal(due.deletes, self._listed, limits, complete=complete)
        if self._result.failures:  # a bug in the source: nobody knows what it would have said
            self._refuse(UNSAFE)
        elif reason:
            if complete:  # else the failure that cut the listing says what went wrong
                self._result.refusal = reason
            self._refuse(UNSAFE)
        elif self._result.dry_run or self._brake.confirm(due):
            self._approved, self._parked = self._parked, deque()
        else:
            self._refuse(DECLINED)

    def _refuse(self, step: Step) -> None:
        while self._parked:
            task = self._parked.popleft()
            self._active.add(task)
            self._advance(task, Refused(step))

    def _park(self, task: Task, recording: Recording) -> None:
        """Hold a case whose next step is a delete; too many are refused without seeing them all."""
        self._active.discard(task)
        self._parked.append(task)
        self._due.add(recording)
        if self._due.deletes > self._brake.limits.max_deletes:
            self._result.refusal = refusal(self._due.deletes, 0, self._brake.limits, complete=True)
            self._refuse(UNSAFE)

    # One case

    def _advance(self, task: Task, reply: object) -> None:
        """Give a case its answer and see to the effects that it asks for next."""
        fatal = reply if isinstance(reply, Failure) and reply.ends_run else None
        self._halted = self._halted or fatal is not None
        try:
            effect = task.case.send(reply)
            while isinstance(effect, Record):
                self._record(task, effect)
                effect = task.case.send(None)
        except StopIteration as end:
            self._active.discard(task)
            self._finish(end.value)
            return
        except Exception as error:  # noqa: BLE001 - a bug in one case must not end the others
            self._end(task, unexpected(error))
            return
        linking = isinstance(effect, WriteLinks) or isinstance(reply, Stale)
        task.acts = task.acts or linking or isinstance(effect, Copy | AskGuard)
        if self._halted or (self._stop.is_set() and not linking):
            self._end(task, fatal)
            return
        if self._over() and (not task.acts or isinstance(effect, Copy | AskGuard)):
            self._end(task, None)
            return
        match effect:
            case AskGuard(recording):
                self._park(task, recording)
            case ObserveRows():
                self._rows.put(task, effect)
            case WriteLinks():
                self._links.put(task, effect)
            case _:
                pool = self._copies if isinstance(effect, Copy) else self._workers
                self._feeding += 1
                future = pool.submit(self._carry_out, effect)
                future.add_done_callback(
                    lambda done: self._inbox.put(lambda: self._fed(task, done))
                )

    def _carry_out(self, effect: Effect[object]) -> object:
        """Carry out one effect in a worker, unless the run was stopped while it was queued."""
        over = self._over() if isinstance(effect, Copy) else self._stop.is_set()
        return _NOT_BEGUN if over else perform(effect, self._world)

    def _fed(self, task: Task, done: Future[Any]) -> None:
        self._feeding -= 1
        reply = _reply(done)
        if task not in self._active:
            return
        if reply is _NOT_BEGUN:
            self._end(task, None)
        else:
            self._advance(task, reply)

    def _record(self, task: Task, effect: Record) -> None:
        candidate = task.candidate
        call_sid = (
            candidate.recording.call_sid if candidate.recording else None
        ) or candidate.ref.call_sid
        self._sink(
            Event(effect.name, self._world.now(), candidate.ref.sid, call_sid, effect.detail)
        )

    def _end(self, task: Task, failure: Failure | None) -> None:
        """End a case before its time: the next run takes it up from what it finds."""
        self._active.discard(task)
        try:
            task.case.throw(StoppedError)
        except StopIteration as end:
            failures = (*end.value.failures, failure) if failure is HANGS else end.value.failures
            self._finish(replace(end.value, failures=failures))
        except StoppedError:  # the case had not begun, or a bug has ended it
            step, ref = Step(StepKind.HOLD, Reason.STOPPED), task.candidate.ref
            failures = (failure,) if failure else ()
            self._finish(Outcome(ref.sid, ref.call_sid, step, failures=failures))

    def _finish(self, outcome: Outcome) -> None:
        if self._left is not None and outcome.sid and not (outcome.steps or outcome.failures):
            self._left += 1
        self._result.add(outcome)
        self._progress(self._result)

    # Batches

    def _flush(self) -> None:
        quiet = not self._feeding and not self._pulling and self._inbox.empty()
        while self._rows.due(quiet=quiet):
            self._send(self._rows, self._rows.take(quiet=quiet), feeds=True)
        quiet = quiet and not self._feeding
        while self._links.due(quiet=quiet):
            self._send(self._links, self._links.take(quiet=quiet), feeds=False)

    def _send(self, lane: Lane, batch: list[tuple[Task, Any]], *, feeds: bool) -> None:
        self._feeding += feeds
        future = self._clerks.submit(lane.carry_out, [effect for _, effect in batch], self._world)

        def answered(done: Future[list[Any]]) -> None:
            tasks = [task for task, _ in batch]
            self._inbox.put(lambda: self._answered(lane, tasks, done, feeds=feeds))

        future.add_done_callback(answered)

    def _answered(
        self, lane: Lane, tasks: list[Task], done: Future[list[Any]], *, feeds: bool
    ) -> None:
        lane.answered(len(tasks))
        self._feeding -= feeds
        replies = _reply(done)
        for at, task in enumerate(tasks):
            if task in self._active:
                self._advance(task, replies if isinstance(replies, Failure) else replies[at])

    def _receive(self) -> None:
        """Wait for one answer, and take all that have come with it."""
        try:
            self._inbox.get(timeout=_TICK if not self._links.waiting else _TICK / 5)()
            while True:
                self._inbox.get_nowait()()
        except Empty:
            return

    def _abandon(self) -> None:
        """Give up what hangs; threads that are still at it are left behind."""
        self._result.gave_up = True
        failure = None if self._stop.is_set() else HANGS
        if self._pulling and failure:
            self._result.failures.append(failure)
        for task in list(self._active):
            self._end(task, failure)
        self._pulling = False


def _reply(done: Future[Any]) -> Any:  # noqa: ANN401 - whatever the effect answers with
    """Take an answer; what no adapter foresaw becomes a failure of the cases that asked."""
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001 - see above
        return unexpected(error)
