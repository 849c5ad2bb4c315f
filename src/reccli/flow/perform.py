"""Carries out effects through the ports: the bridge between a case and the world.

Used by the runner for many cases at once, and by the simulator for one effect at a time.
Whatever goes wrong outside comes back as a `Failure`; nothing is raised into a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import Recording, StoredObject, TwilioState
from reccli.core.rows import concerns
from reccli.flow.copy import copy
from reccli.flow.effects import (
    Copied,
    Copy,
    Delete,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Rows,
    Stale,
    WriteLinks,
)
from reccli.flow.ports import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reccli.core.links import LinkBook
    from reccli.core.model import Row
    from reccli.flow.ports import AirtablePort, S3Port, TwilioPort
    from reccli.flow.retry import Retry

Single = ObserveRecording | ObserveSiblings | ObserveObject | Copy | Delete
"""Effects that are carried out one by one; the others are gathered into batches."""


BATCH = 10
"""How many rows Airtable updates in one request."""
FRESH = timedelta(seconds=30)
"""How old a look at a cell may be when it is written: Airtable has no conditional write."""

DELETE_WITHIN = timedelta(seconds=60)
"""How old the proof may be when a delete is sent; reading an object back takes its time."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_STALE = Failure(Service.RECCLI, FailureKind.PERMANENT, "stale", "it was seen too long ago")


@dataclass(frozen=True, slots=True)
class World:
    """The three services, the patience with them, and our clock (UTC)."""

    twilio: TwilioPort
    s3: S3Port
    airtable: AirtablePort
    book: LinkBook
    retry: Retry
    now: Callable[[], datetime]


Answer = Recording | tuple[str, ...] | StoredObject | Copied | Stale | Failure | None


def perform(effect: Single, world: World) -> Answer:  # noqa: PLR0911 - one for each effect
    """Carry out one effect."""
    try:
        match effect:
            case ObserveRecording(ref):
                return world.retry(Service.TWILIO, world.twilio.fetch, ref)
            case ObserveSiblings(call_sid):
                return by_creation(of_call(call_sid, world))
            case ObserveObject(key, sid, read_back):
                return world.retry(Service.S3, world.s3.observe, key, sid, read_back=read_back)
            case Copy():
                return copy(effect, world.twilio, world.s3, world.retry)
            case Delete(recording, seen_at):
                if world.now() - seen_at > DELETE_WITHIN:
                    return Stale()
                # Never repeated here: what was proven may have changed while a retry waits.
                world.retry.once(Service.TWILIO, world.twilio.delete, recording)
                return None
    except ServiceError as error:
        return error.failure


def of_call(call_sid: str, world: World) -> Iterator[Recording]:
    """List the recordings of a call in every region; raises `ServiceError`."""
    for region in world.twilio.regions:
        yield from listed(Listing(region, call_sid=call_sid), world)


def listed(listing: Listing, world: World) -> Iterator[Recording]:
    """Read all pages of a listing; raises `ServiceError` where it breaks off."""
    cursor: str | None = None
    last_page: set[str] = set()
    while True:
        page = world.retry(Service.TWILIO, world.twilio.page, listing, cursor)
        yield from (item for item in page.items if item.sid not in last_page)
        last_page = {item.sid for item in page.items}
        cursor = page.cursor
        if cursor is None:
            return


def by_creation(recordings: Iterable[Recording]) -> tuple[str, ...]:
    """Order the recordings of a call that can ever have a link."""
    living = [r for r in recordings if r.state in {TwilioState.COMPLETED, TwilioState.PENDING}]
    return tuple(recording.sid for recording in sorted(living, key=age_order))


def age_order(recording: Recording) -> tuple[datetime, str]:
    """Sort by creation, oldest first; the SID makes it one order for everybody."""
    return recording.created or _BEGINNING, recording.sid


def find_rows(effects: Sequence[ObserveRows], world: World) -> list[Rows | Failure]:
    """Observe the rows of many cases in one go; answers in the order of the effects."""
    subjects = [(effect.sid, effect.call_sid) for effect in effects]
    at = world.now()  # before asking: what is seen is at least as new as this
    try:
        rows = world.retry(Service.AIRTABLE, world.airtable.find, subjects)
    except ServiceError as error:
        return [error.failure] * len(effects)
    return [Rows(about(rows, effect.sid, effect.call_sid), at) for effect in effects]


def about(rows: Sequence[Row], sid: str, call_sid: str | None) -> tuple[Row, ...]:
    """Pick the rows that concern one recording, in a stable order."""
    mine = {row.id: row for row in rows if concerns(row, sid, call_sid)}
    return tuple(mine[row_id] for row_id in sorted(mine))


def write_links(effects: Sequence[WriteLinks], world: World) -> list[Rows | Stale | Failure]:
    """Write the links of many cases, in as few requests as there are tens of rows.

    What was seen too long ago is not written, not by a second try after a long wait either.
    """
    cells: dict[str, dict[str, str]] = {}
    seen: dict[str, datetime] = {}
    urls: list[str | Failure] = []
    for effect in effects:
        try:
            url: str | Failure = _mint(effect, world)
        except ServiceError as error:
            url = error.failure
        urls.append(url)
        if isinstance(url, str):
            for slot in effect.slots:
                cells.setdefault(slot.row_id, {})[slot.field] = url
                seen[slot.row_id] = min(effect.seen_at, seen.get(slot.row_id, effect.seen_at))
    at = world.now()
    answers: dict[str, Row | Failure] = {}
    pending = iter(cells.items())
    while batch := dict(islice(pending, BATCH)):
        answers |= _write(batch, seen, world)
    return [
        url if isinstance(url, Failure) else _reply(effect, url, answers, at)
        for effect, url in zip(effects, urls, strict=True)
    ]


def _mint(effect: WriteLinks, world: World) -> str:
    if effect.key is None:
        return world.book.twilio_url(effect.recording, effect.extension)
    match world.book.style:
        case "permalink":
            return world.book.permalink(effect.key)
        case "object":
            return world.book.object_url(effect.key)
        case _:
            return world.s3.presign(effect.key)


def _reply(
    effect: WriteLinks, url: str, answers: Mapping[str, Row | Failure], at: datetime
) -> Rows | Stale | Failure:
    rows = []
    for slot in effect.slots:
        answer = answers[slot.row_id]
        if isinstance(answer, Failure):
            return Stale() if answer is _STALE else answer
        if answer.links.get(slot.field) != url:
            return Failure(
                Service.AIRTABLE,
                FailureKind.PERMANENT,
                "link_not_stored",
                f"row {slot.row_id} still holds another link in {slot.field!r} after the update",
                "look for an automation that rewrites this field",
            )
        rows.append(answer)
    return Rows(tuple({row.id: row for row in rows}.values()), at)


def _write(
    cells: Mapping[str, Mapping[str, str]], seen: Mapping[str, datetime], world: World
) -> dict[str, Row | Failure]:
    """Write rows; when the batch is refused, find the bad row so that it blocks no other.

    Whether a refused batch was written in part is not documented, so it is read first.
    """

    def check() -> None:
        if world.now() - min(seen[row_id] for row_id in cells) > FRESH:
            raise ServiceError(_STALE)

    try:
        rows = world.retry(Service.AIRTABLE, world.airtable.write, cells, before=check)
        return _by_id(cells, rows)
    except ServiceError as error:
        failure = error.failure
    if failure.kind is not FailureKind.PERMANENT or failure is _STALE or len(cells) == 1:
        return dict.fromkeys(cells, failure)
    try:
        current = world.retry(Service.AIRTABLE, world.airtable.read, list(cells))
    except ServiceError as error:
        return dict.fromkeys(cells, error.failure)
    stored = (row for row in current if row.id in cells)
    done = {row.id: row for row in stored if cells[row.id].items() <= row.links.items()}
    left = [row_id for row_id in cells if row_id not in done]
    answers: dict[str, Row | Failure] = {**done}
    for half in (left[: len(left) // 2], left[len(left) // 2 :]):
        if half:
            answers |= _write({row_id: cells[row_id] for row_id in half}, seen, world)
    return answers


def _by_id(cells: Mapping[str, object], rows: Sequence[Row]) -> dict[str, Row | Failure]:
    missing = Failure(
        Service.AIRTABLE,
        FailureKind.OUTAGE,
        "odd_answer",
        "Airtable's answer to an update does not name this row",
    )
    return dict.fromkeys(cells, missing) | {r.id: r for r in rows if r.id in cells}
