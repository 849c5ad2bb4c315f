"""Which callbacks wait for which recordings, and what becomes of them then. Pure.

For `process` and for the server's worker, which must agree: a callback that one of them leaves
unfinished is work for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from reccli.core.model import Reason, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reccli.flow.outcome import Outcome

C = TypeVar("C")

FIRST = timedelta(seconds=2)
LONGEST = timedelta(minutes=15)
LONGEST_FOR_PEOPLE = timedelta(hours=6)
"""Between looks at what only people can mend: calls that never get a row can be many."""
GIVE_UP = timedelta(days=7)
"""How long to wait for what only people can do: a call's row, an object moved away."""
NO_RECORDING = timedelta(hours=1)
"""How long Twilio may know nothing of what it called for: it lists a recording from its start."""

_LINKED = frozenset({Reason.IN_RETENTION, Reason.LENGTH_UNPROVEN})
"""All links are there; whether and when Twilio's copy may go is for others."""
_SETTLED = frozenset({StepKind.DONE, StepKind.LOST, StepKind.DELETE})
"""Nothing is left to do but what other commands do: a Delete is due, so all links are there."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The callback is done with, and why."""

    reason: str
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """The callback is taken up again after that time, and why; no time means it was not tried."""

    after: timedelta
    reason: str = ""


class Waiting(Generic[C]):
    """Callbacks, each until all recordings that it is about have come to their end."""

    def __init__(self) -> None:
        self._by_sid: dict[str, list[tuple[C, set[str], list[Outcome]]]] = {}
        self._over: list[tuple[C, Sequence[Outcome]]] = []

    def __len__(self) -> int:
        """Count the recordings that are waited for."""
        return len(self._by_sid)

    def add(self, callback: C, sids: Iterable[str]) -> set[str]:
        """Let a callback wait for recordings; returns those that none waited for before."""
        open_ = set(sids)
        fresh = open_ - self._by_sid.keys()
        outcomes: list[Outcome] = []
        for sid in open_:
            self._by_sid.setdefault(sid, []).append((callback, open_, outcomes))
        if not open_:
            self._over.append((callback, outcomes))
        return fresh

    def ended(self, outcome: Outcome) -> None:
        """Let nobody wait for a recording any more."""
        sid = outcome.sid or ""
        for callback, open_, outcomes in self._by_sid.pop(sid, ()):
            open_.discard(sid)
            outcomes.append(outcome)
            if not open_:
                self._over.append((callback, outcomes))

    def over(self) -> list[tuple[C, Sequence[Outcome]]]:
        """Return the callbacks that wait no more, each once, with the ends of their recordings."""
        over, self._over = self._over, []
        return over


def verdict(outcomes: Sequence[Outcome], age: timedelta, attempts: int) -> Finished | Again:
    """Return what becomes of a callback, of whose recording, or whose call's, these are all ends.

    `age` counts from when it came in, `attempts` includes this one. What fails in passing, or
    for want of rights, is tried for ever: nothing that was acknowledged may be forgotten.
    """
    unsettled = [outcome for outcome in outcomes if not _settled(outcome)]
    if not outcomes:
        return _while_unknown("Twilio lists no recording of this call", age, attempts)
    if all(_unknown(outcome) for outcome in outcomes):
        return _while_unknown("Twilio knows no such recording", age, attempts)
    if not unsettled:
        return Finished("; ".join(dict.fromkeys(outcome.step.reason for outcome in outcomes)))
    reason = _why(unsettled[0])
    if any(outcome.step.reason is Reason.STOPPED for outcome in unsettled):
        return Again(timedelta(), Reason.STOPPED)
    passing = any(_may_pass(outcome) for outcome in unsettled)
    if passing or any(outcome.step.kind is StepKind.WAIT for outcome in unsettled):
        wait = later(attempts)
    else:
        wait = later(attempts, LONGEST_FOR_PEOPLE)
    if passing or age < GIVE_UP or any(map(_refused_by_a_field, unsettled)):
        return Again(wait, reason)
    return Finished(reason, given_up=True)


def later(attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """Return how long to wait after so many attempts: 2 s, doubled each time, with a bound."""
    return min(FIRST * 2 ** min(attempts - 1, 20), longest) if attempts > 0 else timedelta()


def _why(outcome: Outcome) -> str:
    """Return in full what keeps a recording from being settled, for the log and the ledger."""
    return ": ".join([outcome.step.reason, *(failure.message for failure in outcome.failures[:1])])


def _while_unknown(reason: str, age: timedelta, attempts: int) -> Finished | Again:
    if age < NO_RECORDING:
        return Again(later(attempts), reason)
    return Finished(reason, given_up=True)


def _unknown(outcome: Outcome) -> bool:
    """Whether Twilio answered that there is no such recording, and nothing else went wrong.

    That proves nothing and destroys nothing: `process` lists what there is at Twilio anyway.
    """
    return outcome.step.reason is Reason.UNHEARD_OF


def _settled(outcome: Outcome) -> bool:
    return outcome.step.kind in _SETTLED or outcome.step.reason in _LINKED


def _may_pass(outcome: Outcome) -> bool:
    return any(not failure.lasting for failure in outcome.failures)


def _refused_by_a_field(outcome: Outcome) -> bool:
    """Whether the right to a field is wanting, or its type is wrong: the same for every call."""
    return any(failure.field is not None for failure in outcome.failures)
