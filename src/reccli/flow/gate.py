"""The gate before deletes: cases wait here until the run knows how much it would delete.

Then the figures are judged, and a person is asked, once for all of them. For `scheduler`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.guard import Due, Limits, refusal
from reccli.core.model import Reason, Step, StepKind
from reccli.flow.batches import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.core.model import Recording

UNSAFE = Step(StepKind.HOLD, Reason.UNSAFE)
DECLINED = Step(StepKind.WAIT, Reason.DECLINED)


@dataclass(frozen=True, slots=True)
class Guard:
    """What may keep a run from deleting: figures, and a person who is asked once."""

    limits: Limits
    confirm: Callable[[Due], bool] = lambda _due: True


class Gate:
    """Holds the cases whose next step is a delete; `refusal` says why none of them may go on."""

    def __init__(self, guard: Guard, *, dry_run: bool) -> None:
        """Nobody is asked in a dry run."""
        self._guard, self._dry_run = guard, dry_run
        self._due = Due()
        self.parked = deque[Task]()
        self.refusal: str | None = None

    def park(self, task: Task, recording: Recording) -> Step | None:
        """Hold a case; return where all cases end if there are too many to need to see the rest."""
        self.parked.append(task)
        self._due.add(recording)
        if self._due.deletes <= self._guard.limits.max_deletes:
            return None
        self.refusal = refusal(self._due.deletes, 0, self._guard.limits, complete=True)
        return UNSAFE

    def ask(self, listed: int, *, complete: bool, broken: bool) -> Step | None:
        """Return where all cases end, or None if they may go on, now that everything was seen.

        `listed` is how many recordings were, `complete` whether the source read all that there
        are; a `broken` one had a bug, and nobody knows what it would have given.
        """
        reason = refusal(self._due.deletes, listed, self._guard.limits, complete=complete)
        if reason and complete and not broken:  # else the failure itself says what went wrong
            self.refusal = reason
        if reason or broken:
            return UNSAFE
        return None if self._dry_run or self._guard.confirm(self._due) else DECLINED
