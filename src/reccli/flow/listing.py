"""Reads what Twilio lists: all pages, smaller ones where large ones are too much, in one order.

For `perform` and `source`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import TwilioState
from reccli.flow.ports import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reccli.core.model import Recording, Ref
    from reccli.flow.perform import World
    from reccli.flow.ports import Page

SMALLER = (500, 250, 100)
"""How many recordings a page is asked for where Twilio fails to give a larger one."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def recordings_of(sid: str, world: World) -> Iterator[Recording]:
    """List the recordings of a call or conference in every region; raises `ServiceError`."""
    call_sid, conference_sid = (None, sid) if sid.startswith("CF") else (sid, None)
    for region in world.twilio.regions:
        listing = Listing(region, None, None, call_sid, conference_sid, size=SMALLER[-1])
        yield from listed(listing, world)


def listed(listing: Listing, world: World) -> Iterator[Recording]:
    """Read all pages of a listing; raises `ServiceError` where it breaks off.

    And at its end if something in it could not be told for what it is: it was not seen whole.
    """
    cursor: str | None = None
    last_page: set[str] = set()
    odd: list[Failure] = []
    while True:
        listing, page = _page(listing, cursor, world)
        yield from (item for item in page.items if item.sid not in last_page)
        last_page = {item.sid for item in page.items}
        odd += page.odd
        cursor = page.cursor
        if cursor is None:
            break
    if odd:
        raise ServiceError(odd[0])


def _page(
    listing: Listing, cursor: str | None, world: World, *, patient: bool = True
) -> tuple[Listing, Page[Recording]]:
    """Read a page, a smaller one if that is too much for Twilio; the listing stays at that."""
    call = world.retry if patient else world.retry.once
    try:
        return listing, call(Service.TWILIO, world.twilio.page, listing, cursor)
    except ServiceError as error:
        size = next((size for size in SMALLER if size < listing.size), None)
        if size is None or error.failure.kind is not FailureKind.OUTAGE:
            raise
        return _page(replace(listing, size=size), cursor, world, patient=False)


def by_creation(recordings: Iterable[Recording]) -> tuple[Ref, ...]:
    """Order the recordings that can ever have a link, each of them once."""
    dead = {TwilioState.DELETED, TwilioState.FAILED}
    living = {one.sid: one for one in recordings if one.state not in dead}
    return tuple(one.ref for one in sorted(living.values(), key=age_order))


def age_order(recording: Recording) -> tuple[datetime, str]:
    """Sort by creation, oldest first; the SID makes it one order for everybody."""
    return recording.created or _BEGINNING, recording.sid
