"""Where effects wait to be carried out together. Used by the runner alone, in its one thread."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.flow.case import Case
    from reccli.flow.effects import ObserveRows, WriteLinks
    from reccli.flow.outcome import Candidate
    from reccli.flow.services import Services


@dataclass(slots=True, eq=False)
class Task:
    """One running case; `acts` once it has begun to change something."""

    candidate: Candidate
    case: Case
    acts: bool = False


@dataclass(slots=True)
class Lane:
    """Effects of one kind; `linger` is how many seconds the first waits for others to come.

    With `at_once` batches under way, what comes meanwhile waits and fills the next one; while none
    is, `enough` effects need not wait for more.
    """

    size: int
    linger: float
    carry_out: Callable[[list[Any], Services], list[Any]]
    enough: int = 1000
    at_once: int = 1000
    under_way: int = 0
    sent: int = 0
    waiting: deque[tuple[Task, Any]] = field(default_factory=deque)
    since: float = 0.0

    def put(self, task: Task, effect: ObserveRows | WriteLinks) -> None:
        """Queue an effect."""
        if not self.waiting:
            self.since = time.monotonic()
        self.waiting.append((task, effect))

    def due(self, *, quiet: bool) -> bool:
        """Whether to carry out now: the batch is full, has waited, or nothing more is coming."""
        if not self.waiting or self.under_way >= self.at_once:
            return False
        overdue = time.monotonic() - self.since >= self.linger
        wanted = self.size if self.under_way else min(self.size, self.enough)
        return len(self.waiting) >= wanted or overdue or quiet

    def take(self, *, quiet: bool = True) -> list[tuple[Task, Any]]:
        """Take a batch out; while others come, only as many as fill requests."""
        count = min(self.size, len(self.waiting))
        if not quiet and count > self.enough and time.monotonic() - self.since < self.linger:
            count -= count % self.enough
        self.since = time.monotonic()  # what stays behind begins to wait anew
        self.under_way += 1
        batch = [self.waiting.popleft() for _ in range(count)]
        self.sent += len(batch)
        return batch

    def answered(self, effects: int) -> None:
        """Take note that a batch of so many effects is over."""
        self.under_way -= 1
        self.sent -= effects

    @property
    def held(self) -> int:
        """How many effects wait, or are under way."""
        return len(self.waiting) + self.sent
