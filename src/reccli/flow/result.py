"""What a run came to: counts, exit code and the error list, all derived from outcomes alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind
from reccli.core.model import Reason, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reccli.flow.commands import Asked
    from reccli.flow.outages import Outage
    from reccli.flow.outcome import Outcome


class Exit(IntEnum):
    """The exit codes of the contract."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNSAFE = 3
    DENIED = 4
    TRANSIENT = 5
    THRESHOLD = 6
    LOCKED = 11
    INTERRUPTED = 130


_TAKEN = {
    StepKind.COPY: "copied",
    StepKind.RELINK: "relinked",
    StepKind.LINK_TWILIO: "fallback",
    StepKind.RESIGN: "resigned",
}
_ENDED = {StepKind.HOLD: "held", StepKind.DONE: "done"}
ENDS = ("deleted", "waiting", "held", "lost", "failed", "done")
"""Where a recording can stand; each stands in exactly one of them, so they add up to `seen`."""
COUNTS = ("seen", *_TAKEN.values(), *ENDS, "bytes")


def end(outcome: Outcome) -> str:
    """Return in which of `ENDS` a recording stands: what is gone first, then what went wrong."""
    step = outcome.step
    if step.kind is StepKind.LOST:
        return "lost"
    if StepKind.DELETE in outcome.steps:
        return "deleted"
    if outcome.failures:
        return "failed"
    if step.reason is Reason.STOPPED:
        return "waiting"
    return _ENDED.get(step.kind, "waiting")


@dataclass(slots=True)
class Ending:
    """How a run itself ended; `failures` are no recording's, such as that of a listing.

    `outages` are services that it gave up asking, `refusal` says why nothing was deleted.
    """

    failures: list[Failure] = field(default_factory=list)
    outages: tuple[Outage, ...] = ()
    refusal: str | None = None
    interrupted: bool = False
    gave_up: bool = False
    """Threads may be left behind at what hung: the process must not wait for them."""


@dataclass(slots=True)
class Result(Ending):
    """What a run came to: grows with each outcome, and is whole when the run has ended."""

    asked: Asked = field(kw_only=True)
    outcomes: list[Outcome] = field(default_factory=list)
    breach: str | None = None
    older: int = 0
    """How many older recordings have no copy yet and were left for the next runs."""
    counts: Counter[str] = field(default_factory=Counter)

    def ended(self, ending: Ending) -> None:
        """Add how the run itself ended."""
        self.failures += ending.failures
        self.outages, self.refusal = ending.outages, ending.refusal
        self.interrupted, self.gave_up = ending.interrupted, ending.gave_up

    def add(self, outcome: Outcome) -> None:
        """Add one recording; in a dry run the counts say what would be done."""
        self.outcomes.append(outcome)
        self.counts.update(("seen", end(outcome)))
        self.counts.update(_TAKEN[kind] for kind in outcome.steps if kind in _TAKEN)
        self.counts["bytes"] += outcome.size

    @property
    def summary(self) -> dict[str, int]:
        """The counts of the contract, every one of them present."""
        return {name: self.counts[name] for name in COUNTS}

    @property
    def exit_code(self) -> Exit:  # noqa: PLR0911 - a ladder, worst first
        """What the run means to cron; the worst thing that happened counts."""
        kinds = {failure.kind for failure in self._all_failures()}
        if self.interrupted:
            return Exit.INTERRUPTED
        if self.counts["lost"]:
            return Exit.FAILED
        if FailureKind.CONFIG in kinds:
            return Exit.USAGE
        if FailureKind.DENIED in kinds:
            return Exit.DENIED
        if FailureKind.FATAL in kinds or any(one.lasting for one in self._all_failures()):
            return Exit.FAILED
        if self.refusal:
            return Exit.UNSAFE
        if kinds:
            return Exit.TRANSIENT
        return Exit.THRESHOLD if self.breach else Exit.OK

    def _all_failures(self) -> Iterable[Failure]:
        yield from self.failures
        for outcome in self.outcomes:
            yield from outcome.failures
