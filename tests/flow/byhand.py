"""A case driven by hand: it is handed the replies, and what it asked for is kept."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from reccli.core.asked import Policy
from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.links import LinkBook
from reccli.core.model import Recording, Ref, Row, S3State, StepKind, StoredObject
from reccli.core.naming import Naming
from reccli.flow.case import reconcile
from reccli.flow.commands import Asked, Command
from reccli.flow.effects import (
    Copied,
    Copy,
    Effect,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Record,
    Rows,
    WriteLinks,
)
from reccli.flow.outcome import Candidate, Outcome, Rules
from tests.core.samples import KEY, NOW, make_book, make_recording, make_ref

EVERYTHING = frozenset(StepKind) - {StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST}
OLD = timedelta(days=30)
GOOD = StoredObject(S3State.VERIFIED, OLD, 16_000, "ab" * 32, proven=True, etag='"1"')
CLAIMED = replace(GOOD, proven=False)
NAMING = Naming("call-recordings/", "{call_sid}/{recording_sid}.{ext}", "mp3")


def failed(service: Service, kind: FailureKind = FailureKind.PERMANENT) -> Failure:
    return Failure(service, kind, f"{service}-{kind}", "made up")


@dataclass
class Stage:
    """What the three services say; `says` holds other replies, for one effect after another."""

    rows: tuple[Row, ...] = ()
    objects: dict[str, StoredObject] = field(default_factory=lambda: {KEY: GOOD})
    recording: Recording | Failure = field(default_factory=lambda: make_recording(duration=4))
    siblings: tuple[Ref, ...] | Failure = (make_ref(),)
    may: frozenset[StepKind] = EVERYTHING
    book: LinkBook = field(default_factory=make_book)
    naming: Naming = NAMING
    dry_run: bool = False
    says: dict[type[Any], deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[Effect[object]] = field(default_factory=list)

    def command(self, command: Command) -> Stage:
        self.may = command.may
        return self

    def will_say(self, kind: type[Any], *replies: Any) -> Stage:  # noqa: ANN401
        self.says[kind].extend(replies)
        return self

    def play(self, candidate: Candidate | None = None) -> Outcome:
        """Run the case to its end."""
        policy = Policy(timedelta(hours=24))
        asked = Asked(Command("by-hand", self.may), dry_run=self.dry_run)
        rules = Rules(asked, policy, self.book, self.naming)
        case = reconcile(candidate or Candidate(make_recording().ref, (make_ref(),)), rules, NOW)
        reply: Any = None
        try:
            while True:
                effect = case.send(reply)
                self.asked.append(effect)
                reply = self._reply(effect)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def _reply(self, effect: Effect[object]) -> Any:  # noqa: ANN401, PLR0911 - one for each effect
        if self.says[type(effect)]:
            return self.says[type(effect)].popleft()
        match effect:
            case ObserveRecording():
                return self.recording
            case ObserveSiblings():
                return self.siblings
            case ObserveRows():
                return Rows(self.rows, NOW)
            case ObserveObject(key):
                return self.objects.get(key, StoredObject(S3State.ABSENT))
            case Copy(_, _, key):
                self.objects[key] = GOOD
                return Copied(GOOD, 16_000, 4.0)
            case WriteLinks():
                return self._written(effect)
        return None

    def _written(self, effect: WriteLinks) -> Rows:
        url = f"https://api.twilio.com/2010-04-01/Accounts/{effect.recording.account_sid}/Recordings/{effect.recording.sid}.mp3"
        if effect.key is not None:
            url = presigned_link(effect.key)
        rows = {row.id: row for row in self.rows}
        for cell in effect.cells:
            row = rows[cell.row_id]
            rows[row.id] = replace(row, links={**row.links, cell.field: url})
        self.rows = tuple(rows.values())
        return Rows(self.rows, NOW)

    def of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.asked if isinstance(effect, kind)]

    @property
    def told(self) -> list[str]:
        return [record.name for record in self.of(Record)]

    @property
    def read_backs(self) -> list[bool]:
        return [effect.read_back for effect in self.of(ObserveObject)]

    @property
    def keys(self) -> list[str]:
        return [effect.key for effect in self.of(ObserveObject)]


def presigned_link(key: str = KEY) -> str:
    """Write a link into the bucket that lives long enough."""
    return (
        f"https://calls.s3.ap-southeast-2.amazonaws.com/{key}?X-Amz-Date=20261122T000000Z"
        "&X-Amz-Expires=604800&X-Amz-Signature=ab12"
    )


def codes(failures: Iterable[Failure]) -> list[str]:
    return [failure.code for failure in failures]
