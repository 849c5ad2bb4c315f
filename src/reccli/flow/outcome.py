"""What a case is given, and what it comes to: plain data between sources, cases and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.model import LinkState, S3State, TwilioState

if TYPE_CHECKING:
    from reccli.core.asked import Policy
    from reccli.core.errors import Failure
    from reccli.core.links import LinkBook
    from reccli.core.model import Recording, Ref, Step, StepKind
    from reccli.core.naming import Naming
    from reccli.flow.commands import Asked
    from reccli.flow.effects import Rows


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run brings to every case: what was asked for, and how things are named."""

    asked: Asked
    policy: Policy
    book: LinkBook
    naming: Naming
    conference_sid_field: str = ""

    @property
    def may(self) -> frozenset[StepKind]:
        """The steps that may be taken."""
        return self.asked.command.may


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where a case starts: a recording, and what its source has already seen of it.

    `siblings` are the recordings of the same call in order of creation, if all are known;
    `reported`: only a callback says that there is such a recording.
    """

    ref: Ref
    siblings: tuple[Ref, ...] = ()
    recording: Recording | None = None
    rows: Rows | None = None
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a recording stands at the end of a run, and what was done.

    `step` is what `decide` said last; `steps` were carried out (in a dry run: would be).
    `link` is fit to be shown: it carries no signature. `objection` is what keeps the recording from
    going on where nothing failed; `rows` is what the rows hold at the end. `size` is how many bytes
    were copied, `stored` how many the object at the key has.
    """

    sid: str | None
    call_sid: str | None
    step: Step
    steps: tuple[StepKind, ...] = ()
    failures: tuple[Failure, ...] = ()
    link: str | None = None
    key: str | None = None
    size: int = 0
    twilio: TwilioState = TwilioState.UNKNOWN
    s3: S3State = S3State.UNKNOWN
    recording: Recording | None = None
    objection: Failure | None = None
    rows: LinkState = LinkState.UNKNOWN
    stored: int | None = None
