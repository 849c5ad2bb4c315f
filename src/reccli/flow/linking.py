"""Writes links into rows, and only into cells that still hold what was decided on.

Airtable has no conditional write, so the rows are looked at once more right before they are
written: what a person has put into a cell meanwhile is theirs. Used by the runner and by the
simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import LinkState, Row
from reccli.flow.checks import TEMPORARY
from reccli.flow.effects import Rows, Stale
from reccli.flow.refusals import Cell, Cells, batches, each, named
from reccli.flow.turn import Turn
from reccli.flow.unexpected import unexpected

if TYPE_CHECKING:
    from datetime import datetime

    from reccli.core.rows import Slot
    from reccli.flow.effects import WriteLinks
    from reccli.flow.perform import World

FRESH = timedelta(seconds=3)
"""How old a look at a cell may be when it is written."""
_ROUNDS = 4
"""How often rows that were not written in time are looked at again, as after a pause of 30 s."""
_STALE = Failure(Service.RECCLI, FailureKind.PERMANENT, "stale", "it was seen too long ago")
_KNOWN = Failure(Service.RECCLI, FailureKind.PERMANENT, "known", "another answer has decided it")

Answers = Mapping[Cell, Row | Failure]
Each = Callable[[Callable[[Cells], Answers], Iterable[Cells]], Iterable[Answers]]
"""`map`, or that of an executor: what is paced must not wait for answers as well."""


def write_links(
    effects: Sequence[WriteLinks], world: World, each: Each = map, turn: Turn | None = None
) -> list[Rows | Stale | Failure]:
    """Write the links of many cases, ten rows in a request; replies in the order of the effects.

    Those who write at the same time share a `turn`.
    """
    try:
        world.checks.before_write()
    except ServiceError as error:
        return [error.failure] * len(effects)
    urls = [_minted(effect, world) for effect in effects]
    group = _Group(world, each, turn or Turn())
    for number, (effect, url) in enumerate(zip(effects, urls, strict=True)):
        if isinstance(url, str):
            group.add(number, effect, url)
    at = world.now()
    group.write()
    return [
        url if isinstance(url, Failure) else group.reply(number, effect, url, at)
        for number, (effect, url) in enumerate(zip(effects, urls, strict=True))
    ]


@dataclass(slots=True)
class _Group:
    """Effects that are written together: each cell by one of them, each row in one request."""

    world: World
    each: Each
    turn: Turn
    effects: dict[int, tuple[WriteLinks, str]] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    answers: dict[Cell, Row | Failure] = field(default_factory=dict)

    def add(self, number: int, effect: WriteLinks, url: str) -> None:
        """Take an effect in, unless another one writes one of its cells."""
        cells = {(slot.row_id, slot.field) for slot in effect.slots}
        if not cells & self.taken:
            self.taken |= cells
            self.effects[number] = effect, url
            for slot in effect.slots:
                before = self.seen.get(slot.row_id, effect.seen_at)
                self.seen[slot.row_id] = min(before, effect.seen_at)

    def write(self) -> None:
        """Look and write; what was not written in time is looked at again, a few times."""
        refusals = self.world.checks.refusals
        for _ in range(_ROUNDS):
            self.turn.begin()
            try:
                self.answers |= refusals.sieve(self._cells())[1]
                self._look_again()
                requests = list(batches(self._cells(), refusals.batch))
                self.turn.expect(len(requests))
                under_way = self.each(self._write_batch, requests)
            finally:
                self.turn.sent()
            for answers in under_way:
                self.answers |= {cell: a for cell, a in answers.items() if a is not _STALE}
            if not requests:
                return

    def reply(
        self, number: int, effect: WriteLinks, url: str, at: datetime
    ) -> Rows | Stale | Failure:
        """Say what became of one effect; the rows as Airtable answered them are the read-back."""
        rows = []
        for slot in effect.slots:
            cell = slot.row_id, slot.field
            answer = self.answers.get(cell) if number in self.effects else None
            if answer is None:
                return Stale()
            if isinstance(answer, Failure):
                return answer
            if answer.links.get(slot.field) != url:
                return _not_stored(slot.row_id, slot.field)
            rows.append(answer)
        return Rows(tuple({row.id: row for row in rows}.values()), at)

    def _cells(self) -> dict[str, dict[str, str]]:
        """Tell what is still to be written, by row."""
        cells: dict[str, dict[str, str]] = {}
        for effect, url in self.effects.values():
            for slot in effect.slots:
                if (slot.row_id, slot.field) not in self.answers:
                    cells.setdefault(slot.row_id, {})[slot.field] = url
        return cells

    def _look_again(self) -> None:
        """Look at the rows that were seen too long ago, and drop what holds something else now."""
        at = self.world.now()
        cells = self._cells()
        old = [row_id for row_id in cells if at - self.seen[row_id] > FRESH]
        if not old:
            return
        try:
            rows = self.world.retry.more(Service.AIRTABLE, self.world.airtable.read, old)
        except ServiceError as error:
            unseen = {row_id: cells[row_id] for row_id in old}
            self.answers |= dict.fromkeys(each(unseen), error.failure)
            return
        self.seen |= dict.fromkeys(old, at)
        found = {row.id: row.links for row in rows}
        looked_at = set(old)
        self.effects = {
            number: (effect, url)
            for number, (effect, url) in self.effects.items()
            if all(
                slot.row_id not in looked_at
                or _as_decided(effect, slot, found.get(slot.row_id, {}))
                for slot in effect.slots
            )
        }

    def _write_batch(self, cells: Cells) -> Answers:
        with ExitStack() as stack:
            stack.callback(self.turn.sent)
            try:
                return self._write(cells, stack.close)
            except Exception as error:  # noqa: BLE001 - must not undo what others have written
                return dict.fromkeys(each(cells), unexpected(error))

    def _write(self, cells: Cells, sent: Callable[[], None]) -> Answers:
        """Write cells; what is refused is found, so that it blocks no other.

        Whether a refused request was written in part is not documented. It is asked for anew in
        parts, and the same link twice does no harm.
        """
        world, refusals = self.world, self.world.checks.refusals
        left, known = refusals.sieve(cells)
        if not left:
            return known

        def check() -> None:
            if world.now() - min(self.seen[row_id] for row_id in left) > FRESH:
                raise ServiceError(_STALE)
            if refusals.sieve(left)[1]:
                raise ServiceError(_KNOWN)
            sent()

        answers: dict[Cell, Row | Failure] = {**known}
        try:
            rows = world.retry.more(Service.AIRTABLE, world.airtable.write, left, before=check)
        except ServiceError as error:
            failure = named(error.failure, left)
        else:
            refusals.took(left)
            return answers | _by_cell(left, rows)
        if failure is _KNOWN:
            return {**answers, **self._write(left, sent)}
        parts = refusals.learn(left, failure) if failure.lasting and failure is not _STALE else ()
        answers |= dict.fromkeys(each(left), failure)
        for part in parts:
            answers |= self._write(part, sent)
        return answers


def _as_decided(effect: WriteLinks, slot: Slot, links: Mapping[str, str]) -> bool:
    """Whether the cell holds what it did, and a free one is still the recording's only cell."""
    free = slot.state is LinkState.EMPTY
    named = free and any(effect.recording.sid in text for text in links.values())
    return links.get(slot.field) == slot.text and not named


def _minted(effect: WriteLinks, world: World) -> str | Failure:
    """Make the link, and see once a run that such a link opens."""
    if effect.key is None:
        return world.book.twilio_url(effect.recording, effect.extension)
    try:
        match world.book.style:
            case "permalink":
                url = world.book.permalink(effect.key)
            case "object":
                url = world.book.object_url(effect.key)
            case _ if world.s3.signs_temporarily():
                return TEMPORARY
            case _:
                url = world.s3.presign(effect.key)
        world.checks.before_link(effect.key, url)
    except ServiceError as error:
        return error.failure
    return url


def _not_stored(row_id: str, name: str) -> Failure:
    return Failure(
        Service.AIRTABLE,
        FailureKind.PERMANENT,
        "link_not_stored",
        f"row {row_id} still holds another link in {name!r} after the update",
        "look for an automation that rewrites this field",
    )


def _by_cell(cells: Cells, rows: Sequence[Row]) -> dict[Cell, Row | Failure]:
    missing = Failure(
        Service.AIRTABLE,
        FailureKind.OUTAGE,
        "odd_answer",
        "Airtable's answer to an update does not name this row",
    )
    found = {row.id: row for row in rows}
    return {cell: found.get(cell[0], missing) for cell in each(cells)}
