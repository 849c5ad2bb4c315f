"""Where effects of many cases wait to be carried out together. For `scheduler` alone.

Pure: the time is handed in, in seconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reccli.flow.case import Case
    from reccli.flow.effects import Effect
    from reccli.flow.outcome import Candidate


@dataclass(slots=True, eq=False)
class Task:
    """One running case; `acts` once it has begun to change something."""

    candidate: Candidate
    case: Case
    acts: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Effects of one kind that are carried out by one call, and the cases that wait for them."""

    tasks: tuple[Task, ...]
    effects: tuple[Effect[object], ...]

    def __len__(self) -> int:
        """Count the effects."""
        return len(self.tasks)


@dataclass(slots=True)
class Batches:
    """Effects of one kind; `linger` is how many seconds the first waits for others to come.

    With `at_once` batches under way, what comes meanwhile waits and fills the next one; while none
    is, `enough` effects need not wait for more.
    """

    size: int
    linger: float
    enough: int = 1000
    at_once: int = 1000
    under_way: int = 0
    sent: int = 0
    waiting: deque[tuple[Task, Effect[object]]] = field(default_factory=deque)
    since: float | None = None
    """When the first of those that wait was seen to wait."""

    def put(self, task: Task, effect: Effect[object]) -> None:
        """Queue an effect."""
        self.waiting.append((task, effect))

    def due(self, now: float, *, idle: bool) -> bool:
        """Whether to carry out now: the batch is full, has waited, or nothing more is coming."""
        if not self.waiting or self.under_way >= self.at_once:
            return False
        wanted = self.size if self.under_way else min(self.size, self.enough)
        return len(self.waiting) >= wanted or self._overdue(now) or idle

    def take(self, now: float, *, idle: bool = True) -> Batch:
        """Remove a batch from the queue; while others come, only as many as fill requests."""
        count = min(self.size, len(self.waiting))
        if not idle and count > self.enough and not self._overdue(now):
            count -= count % self.enough
        self.since = now  # what stays behind begins to wait anew
        self.under_way += 1
        self.sent += count
        tasks, effects = zip(*(self.waiting.popleft() for _ in range(count)), strict=True)
        if not self.waiting:
            self.since = None
        return Batch(tasks, effects)

    def answered(self, effects: int) -> None:
        """Forget a batch of so many effects, which is over."""
        self.under_way -= 1
        self.sent -= effects

    @property
    def held(self) -> int:
        """How many effects wait, or are under way."""
        return len(self.waiting) + self.sent

    def _overdue(self, now: float) -> bool:
        if self.since is None:
            self.since = now
        return now - self.since >= self.linger
