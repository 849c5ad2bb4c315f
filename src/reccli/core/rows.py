"""What the rows of a call say about one recording, and which cells a step would write.

The link fields of a row are slots. A link says by its SID whose slot it is; recordings of the
row's call or conference that no slot names take the free ones in the order of their creation, so
that two runs that look at the same time choose the same slots. A word ("pending") is nobody's link:
the slot stays that of the recording whose turn it is, which waits for a person to empty the cell.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.cells import names_a_call
from reccli.core.links import FORMER, ObjectLink, TwilioLink, Word
from reccli.core.model import LinkState

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


_SHARED = re.compile(r"(?:CA|CF)[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose link is looked for. `siblings` may want the same cells, in order of creation."""

    ref: Ref
    siblings: tuple[Ref, ...] = ()
    key: str | None = None

    @property
    def sid(self) -> str:
        """The recording's own SID."""
        return self.ref.sid


@dataclass(frozen=True, slots=True)
class Slot:
    """One cell that holds, or may take, the link of one recording; `text` is what it holds now."""

    row_id: str
    field: str
    state: LinkState
    text: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Survey:
    """The Airtable side of one recording: the state that counts, and every slot of it."""

    state: LinkState
    slots: tuple[Slot, ...] = ()

    def holding(self, *states: LinkState) -> tuple[Slot, ...]:
        """Pick the slots in one of these states."""
        return tuple(slot for slot in self.slots if slot.state in states)


def linked_keys(
    rows: Iterable[Row], sid: str, book: LinkBook, *, former: bool = False
) -> tuple[str, ...]:
    """Tell the keys that the rows' own links name for this recording, in the order of the rows.

    Those of links into the bucket, or those of links into `former` places.
    """
    links = (book.parse(text) for row in rows for text in row.links.values())
    mine = (link for link in links if isinstance(link, ObjectLink) and link.sid == sid)
    return tuple(dict.fromkeys(link.key for link in mine if (link.style == FORMER) is former))


def named_sids(row: Row, book: LinkBook) -> frozenset[str]:
    """Tell which recordings the links of a row name."""
    links = (book.parse(text) for text in row.links.values())
    return frozenset(link.sid for link in links if isinstance(link, TwilioLink | ObjectLink))


def concerns(row: Row, ref: Ref) -> bool:
    """Whether a row is about a recording: by call, by conference, or as a link mentions the SID."""
    return _stands_for(row, ref) or _mentions(row, ref.sid)


def shared(row: Row) -> frozenset[str]:
    """Tell the call and the conference whose recordings may all want a free cell of the row."""
    return frozenset(filter(_SHARED.fullmatch, (row.call_sid, row.conference_sid)))


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


def survey(rows: Iterable[Row], subject: Subject, book: LinkBook, now: datetime) -> Survey:
    """Say what the rows hold for a recording.

    A link to another key than the subject's counts as expiring: every row must name one object.
    """
    slots = tuple(slot for row in rows for slot in _all_slots(row, subject, book, now))
    present = {slot.state for slot in slots}
    state = next((state for state in _FURTHEST_FIRST if state in present), LinkState.NO_ROW)
    if state is LinkState.NO_FREE_SLOT and LinkState.S3_LINK in present:
        state = LinkState.FULL_TWIN
    return Survey(state, slots)


def _all_slots(row: Row, subject: Subject, book: LinkBook, now: datetime) -> list[Slot]:
    if concerns(row, subject.ref):
        return _slots(row, subject, book, now)
    return [Slot(row.id, "", LinkState.CALL_UNREAD)] if unread(row, subject.ref.call_sid) else []


def _slots(row: Row, subject: Subject, book: LinkBook, now: datetime) -> list[Slot]:
    links = {name: book.parse(text) for name, text in row.links.items()}
    mine = []
    for name, link in links.items():
        if isinstance(link, TwilioLink) and link.sid == subject.sid:
            mine.append(Slot(row.id, name, LinkState.TWILIO_LINK, row.links[name]))
        elif isinstance(link, ObjectLink) and link.sid == subject.sid:
            good = link.key == subject.key and book.usable(link, now)
            state = LinkState.S3_LINK if good else LinkState.S3_LINK_EXPIRING
            mine.append(Slot(row.id, name, state, row.links[name]))
    # Whatever else names the recording is its cell all the same, so it takes no second one.
    return mine or _elsewhere(row, subject) or [_free_slot(row, subject, book, links)]


def _elsewhere(row: Row, subject: Subject) -> list[Slot]:
    return [
        Slot(row.id, name, LinkState.ELSEWHERE, text)
        for name, text in row.links.items()
        if subject.sid in text
    ]


def _free_slot(
    row: Row, subject: Subject, book: LinkBook, links: Mapping[str, Link | None]
) -> Slot:
    named = named_sids(row, book)
    siblings = (one.sid for one in subject.siblings if _stands_for(row, one))
    waiting = [sid for sid in siblings if sid not in named and not _mentions(row, sid)]
    places = [name for name, link in links.items() if link is None or isinstance(link, Word)]
    if subject.sid in waiting:
        places = places[waiting.index(subject.sid) :]
    else:  # which one is its place, nobody knows yet: not the one with the word, if it has a choice
        places.sort(key=lambda name: links[name] is not None)
    if not places:
        return Slot(row.id, "", LinkState.NO_FREE_SLOT)
    state = LinkState.EMPTY if links[places[0]] is None else LinkState.WORD
    return Slot(row.id, places[0], state, row.links[places[0]])
