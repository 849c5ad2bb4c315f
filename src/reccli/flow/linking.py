"""Writes links into rows, and only into updates that still hold what was decided on.

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
from reccli.flow.effects import Rows, Stale
from reccli.flow.findings import TEMPORARY
from reccli.flow.refusals import CellId, Updates, batches, each, named
from reccli.flow.turn import Turn
from reccli.flow.unexpected import unexpected

if TYPE_CHECKING:
    from datetime import datetime

    from reccli.core.rows import Cell
    from reccli.flow.effects import WriteLinks
    from reccli.flow.services import Services

FRESH = timedelta(seconds=3)
"""How old a look at a cell may be when it is written."""
_ROUNDS = 4
"""How often rows that were not written in time are looked at again, as after a pause of 30 s."""
_STALE = Failure(Service.RECCLI, FailureKind.PERMANENT, "stale", "it was seen too long ago")
_KNOWN = Failure(Service.RECCLI, FailureKind.PERMANENT, "known", "another answer has decided it")

Answers = Mapping[CellId, Row | Failure]
Each = Callable[[Callable[[Updates], Answers], Iterable[Updates]], Iterable[Answers]]
"""`map`, or that of an executor: what is paced must not wait for answers as well."""


def write_links(
    effects: Sequence[WriteLinks], services: Services, each: Each = map, turn: Turn | None = None
) -> list[Rows | Stale | Failure]:
    """Write the links of many cases together; replies in the order of the effects.

    Those who write at the same time share a `turn`.
    """
    try:
        services.checks.before_write()
    except ServiceError as error:
        return [error.failure] * len(effects)
    urls = [_minted(effect, services) for effect in effects]
    group = _Group(services, each, turn or Turn())
    for number, (effect, url) in enumerate(zip(effects, urls, strict=True)):
        if isinstance(url, str):
            group.add(number, effect, url)
    at = services.now()
    group.write()
    return [
        url if isinstance(url, Failure) else group.reply(number, effect, url, at)
        for number, (effect, url) in enumerate(zip(effects, urls, strict=True))
    ]


@dataclass(slots=True)
class _Group:
    """Effects that are written together: each cell by one of them, each row in one request."""

    services: Services
    each: Each
    turn: Turn
    effects: dict[int, tuple[WriteLinks, str]] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    answers: dict[CellId, Row | Failure] = field(default_factory=dict)

    def add(self, number: int, effect: WriteLinks, url: str) -> None:
        """Add an effect, unless another one writes one of its cells."""
        updates = {(cell.row_id, cell.field) for cell in effect.cells}
        if not updates & self.taken:
            self.taken |= updates
            self.effects[number] = effect, url
            for cell in effect.cells:
                before = self.seen.get(cell.row_id, effect.seen_at)
                self.seen[cell.row_id] = min(before, effect.seen_at)

    def write(self) -> None:
        """Look and write; what was not written in time is looked at again, a few times."""
        refusals = self.services.checks.refusals
        for _ in range(_ROUNDS):
            self.turn.begin()
            try:
                self.answers |= refusals.sieve(self._updates())[1]
                self._look_again()
                requests = list(batches(self._updates(), refusals.batch))
                self.turn.expect(len(requests))
                under_way = self.each(self._write_batch, requests)
            finally:
                self.turn.sent()
            for answers in under_way:
                self.answers |= {cell_id: a for cell_id, a in answers.items() if a is not _STALE}
            if not requests:
                return

    def reply(
        self, number: int, effect: WriteLinks, url: str, at: datetime
    ) -> Rows | Stale | Failure:
        """Return what became of one effect; the rows as Airtable answered are the read-back."""
        rows = []
        for cell in effect.cells:
            cell_id = cell.row_id, cell.field
            answer = self.answers.get(cell_id) if number in self.effects else None
            if answer is None:
                return Stale()
            if isinstance(answer, Failure):
                return answer
            if answer.links.get(cell.field) != url:
                return _not_stored(cell.row_id, cell.field)
            rows.append(answer)
        return Rows(tuple({row.id: row for row in rows}.values()), at)

    def _updates(self) -> dict[str, dict[str, str]]:
        """Return what is still to be written, by row."""
        updates: dict[str, dict[str, str]] = {}
        for effect, url in self.effects.values():
            for cell in effect.cells:
                if (cell.row_id, cell.field) not in self.answers:
                    updates.setdefault(cell.row_id, {})[cell.field] = url
        return updates

    def _look_again(self) -> None:
        """Look at the rows that were seen too long ago, and drop what holds something else now."""
        at = self.services.now()
        updates = self._updates()
        old = [row_id for row_id in updates if at - self.seen[row_id] > FRESH]
        if not old:
            return
        try:
            rows = self.services.retry.more(Service.AIRTABLE, self.services.airtable.read, old)
        except ServiceError as error:
            unseen = {row_id: updates[row_id] for row_id in old}
            self.answers |= dict.fromkeys(each(unseen), error.failure)
            return
        self.seen |= dict.fromkeys(old, at)
        found = {row.id: row.links for row in rows}
        looked_at = set(old)
        self.effects = {
            number: (effect, url)
            for number, (effect, url) in self.effects.items()
            if all(
                cell.row_id not in looked_at
                or _as_decided(effect, cell, found.get(cell.row_id, {}))
                for cell in effect.cells
            )
        }

    def _write_batch(self, updates: Updates) -> Answers:
        with ExitStack() as stack:
            stack.callback(self.turn.sent)
            try:
                return self._write(updates, stack.close)
            except Exception as error:  # noqa: BLE001 - must not undo what others have written
                return dict.fromkeys(each(updates), unexpected(error))

    def _write(self, updates: Updates, sent: Callable[[], None]) -> Answers:
        """Write updates; what is refused is found, so that it blocks no other.

        Whether a refused request was written in part is not documented. It is asked for anew in
        parts, and the same link twice does no harm.
        """
        services, refusals = self.services, self.services.checks.refusals
        left, known = refusals.sieve(updates)
        if not left:
            return known

        def check() -> None:
            if services.now() - min(self.seen[row_id] for row_id in left) > FRESH:
                raise ServiceError(_STALE)
            if refusals.sieve(left)[1]:
                raise ServiceError(_KNOWN)
            sent()

        answers: dict[CellId, Row | Failure] = {**known}
        try:
            rows = services.retry.more(
                Service.AIRTABLE, services.airtable.write, left, before=check
            )
        except ServiceError as error:
            failure = named(error.failure, left)
        else:
            refusals.took(left)
            return answers | _by_cell_id(left, rows)
        if failure is _KNOWN:
            return {**answers, **self._write(left, sent)}
        parts = refusals.learn(left, failure) if failure.lasting and failure is not _STALE else ()
        answers |= dict.fromkeys(each(left), failure)
        for part in parts:
            answers |= self._write(part, sent)
        return answers


def _as_decided(effect: WriteLinks, cell: Cell, links: Mapping[str, str]) -> bool:
    """Whether the cell holds what it did, and a free one is still the recording's only cell."""
    free = cell.state is LinkState.EMPTY
    named = free and any(effect.recording.sid in text for text in links.values())
    return links.get(cell.field) == cell.text and not named


def _minted(effect: WriteLinks, services: Services) -> str | Failure:
    """Make the link, and see once a run that such a link opens."""
    if effect.key is None:
        return services.book.twilio.write(effect.recording, effect.extension)
    try:
        url = services.book.write(effect.key)
        if url is None:
            if services.s3.signs_temporarily():
                return TEMPORARY
            url = services.s3.presign(effect.key)
        services.checks.before_link(effect.key, url)
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


def _by_cell_id(updates: Updates, rows: Sequence[Row]) -> dict[CellId, Row | Failure]:
    missing = Failure(
        Service.AIRTABLE,
        FailureKind.OUTAGE,
        "odd_answer",
        "Airtable's answer to an update does not name this row",
    )
    found = {row.id: row for row in rows}
    return {cell_id: found.get(cell_id[0], missing) for cell_id in each(updates)}
