"""What the rows of a call say about one recording, and which cells a step would write.

The link fields of a row are cells. A link says by its SID whose cell it is; recordings of the
row's call or conference that no cell names take the free ones in the order of their creation, so
that two runs that look at the same time choose the same cells. A word ("pending") is nobody's link:
the cell stays that of the recording whose turn it is, which waits for a person to empty the cell.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.cells import names_a_call
from reccli.core.links import FORMER, ObjectLink, TwilioLink, Word
from reccli.core.model import LinkState
from reccli.core.sids import CALL, CONFERENCE, is_sid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from reccli.core.links import Link, LinkBook
    from reccli.core.model import Ref, Row

_FURTHEST_FIRST = (
    LinkState.TWILIO_LINK,
    LinkState.EMPTY,
    LinkState.S3_LINK_EXPIRING,
    LinkState.ELSEWHERE,
    LinkState.CALL_UNREAD,
    LinkState.WORD,
    LinkState.NO_FREE_SLOT,
    LinkState.S3_LINK,
)


@dataclass(frozen=True, slots=True)
class Target:
    """Whose link is looked for. `siblings` may want the same cells, in order of creation."""

    ref: Ref
    siblings: tuple[Ref, ...] = ()
    key: str | None = None

    @property
    def sid(self) -> str:
        """The recording's own SID."""
        return self.ref.sid


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that holds, or may take, the link of one recording; `text` is what it holds now."""

    row_id: str
    field: str
    state: LinkState
    text: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RowState:
    """The Airtable side of one recording: the state that counts, and every cell of it."""

    state: LinkState
    cells: tuple[Cell, ...] = ()

    def holding(self, *states: LinkState) -> tuple[Cell, ...]:
        """Return the cells in one of these states."""
        return tuple(cell for cell in self.cells if cell.state in states)


def linked_keys(
    rows: Iterable[Row], sid: str, book: LinkBook, *, former: bool = False
) -> tuple[str, ...]:
    """Return the keys that the rows' own links name for this recording, in the order of the rows.

    Those of links into the bucket, or those of links into `former` places.
    """
    links = (book.parse(text) for row in rows for text in row.links.values())
    mine = (link for link in links if isinstance(link, ObjectLink) and link.sid == sid)
    return tuple(dict.fromkeys(link.key for link in mine if (link.style == FORMER) is former))


def named_sids(row: Row, book: LinkBook) -> frozenset[str]:
    """Return the SIDs of the recordings that the links of a row name."""
    links = (book.parse(text) for text in row.links.values())
    return frozenset(link.sid for link in links if isinstance(link, TwilioLink | ObjectLink))


def concerns(row: Row, ref: Ref) -> bool:
    """Whether a row is about a recording: by call, by conference, or as a link mentions the SID."""
    return _stands_for(row, ref) or _mentions(row, ref.sid)


def shared(row: Row) -> frozenset[str]:
    """Return the call and the conference whose recordings may all want a free cell of the row."""
    return frozenset(
        sid for sid in (row.call_sid, row.conference_sid) if is_sid(sid, CALL, CONFERENCE)
    )


def _stands_for(row: Row, ref: Ref) -> bool:
    return row.call_sid == ref.call_sid or row.conference_sid == ref.conference_sid


def unread(row: Row, call_sid: str | None) -> bool:
    """Whether a row can be the call's although it does not name it as its own.

    Its cell holds the SID and more; or no SID at all, and Airtable finds it by one: what a formula
    sees of a linked record is its text, and what a request is given is its ID.
    """
    if call_sid is None or not row.call_cell:
        return False
    return call_sid in row.call_cell or not names_a_call(row.call_cell)


def _mentions(row: Row, sid: str) -> bool:
    return any(sid in text for text in row.links.values())


def row_state(rows: Iterable[Row], target: Target, book: LinkBook, now: datetime) -> RowState:
    """Return what the rows hold for a recording.

    A link to another key than the target's counts as expiring: every row must name one object.
    """
    cells = tuple(cell for row in rows for cell in _all_cells(row, target, book, now))
    present = {cell.state for cell in cells}
    state = next((state for state in _FURTHEST_FIRST if state in present), LinkState.NO_ROW)
    if state is LinkState.NO_FREE_SLOT and LinkState.S3_LINK in present:
        state = LinkState.FULL_TWIN
    return RowState(state, cells)


def _all_cells(row: Row, target: Target, book: LinkBook, now: datetime) -> list[Cell]:
    if concerns(row, target.ref):
        return _cells(row, target, book, now)
    return [Cell(row.id, "", LinkState.CALL_UNREAD)] if unread(row, target.ref.call_sid) else []


def _cells(row: Row, target: Target, book: LinkBook, now: datetime) -> list[Cell]:
    links = {name: book.parse(text) for name, text in row.links.items()}
    mine = []
    for name, link in links.items():
        if isinstance(link, TwilioLink) and link.sid == target.sid:
            mine.append(Cell(row.id, name, LinkState.TWILIO_LINK, row.links[name]))
        elif isinstance(link, ObjectLink) and link.sid == target.sid:
            good = link.key == target.key and book.usable(link, now)
            state = LinkState.S3_LINK if good else LinkState.S3_LINK_EXPIRING
            mine.append(Cell(row.id, name, state, row.links[name]))
    # Whatever else names the recording is its cell all the same, so it takes no second one.
    return mine or _elsewhere(row, target) or [_free_cell(row, target, book, links)]


def _elsewhere(row: Row, target: Target) -> list[Cell]:
    return [
        Cell(row.id, name, LinkState.ELSEWHERE, text)
        for name, text in row.links.items()
        if target.sid in text
    ]


def _free_cell(row: Row, target: Target, book: LinkBook, links: Mapping[str, Link | None]) -> Cell:
    named = named_sids(row, book)
    siblings = (one.sid for one in target.siblings if _stands_for(row, one))
    waiting = [sid for sid in siblings if sid not in named and not _mentions(row, sid)]
    places = [name for name, link in links.items() if link is None or isinstance(link, Word)]
    if target.sid in waiting:
        places = places[waiting.index(target.sid) :]
    else:  # which one is its place, nobody knows yet: not the one with the word, if it has a choice
        places.sort(key=lambda name: links[name] is not None)
    if not places:
        return Cell(row.id, "", LinkState.NO_FREE_SLOT)
    state = LinkState.EMPTY if links[places[0]] is None else LinkState.WORD
    return Cell(row.id, places[0], state, row.links[places[0]])
