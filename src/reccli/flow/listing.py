"""Reads what Twilio knows, region by region: one that fails says nothing of another.

Of a listing all pages, smaller ones where large ones are too much, in one order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError, forgotten_by_twilio
from reccli.core.model import TwilioState
from reccli.core.sids import CONFERENCE, is_sid
from reccli.flow.ports import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reccli.core.model import Recording, Ref
    from reccli.flow.ports import Page
    from reccli.flow.services import Services

SMALLER = (500, 250, 100)
"""How many recordings a page is asked for where Twilio fails to give a larger one."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_LONGEST_CALL = timedelta(hours=24)
"""Twilio ends a call after 24 hours at the latest."""


@dataclass(frozen=True, slots=True)
class ListedCalls:
    """The recordings that Twilio lists between two times, by SID."""

    recordings: Mapping[str, Recording] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    by_call: Mapping[str | None, Sequence[Recording]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, everyone: Iterable[Recording], since: datetime | None, until: datetime | None
    ) -> ListedCalls:
        """Hold a listing to the exact time of its beginning; what has no time may be of any."""
        recordings = {
            one.sid: one
            for one in everyone
            if since is None or one.created is None or one.created >= since
        }
        by_call: dict[str | None, list[Recording]] = defaultdict(list)
        for recording in recordings.values():
            by_call[recording.call_sid].append(recording)
        return cls(recordings, since, until, by_call)

    def siblings(self, recording: Recording) -> tuple[Ref, ...]:
        """Return all recordings of a recording's call; none if the bounds may have cut the call."""
        created = recording.created
        whole = (
            created is not None
            and (self.since is None or self.since + _LONGEST_CALL <= created)
            and (self.until is None or created <= self.until - _LONGEST_CALL)
        )
        return by_creation(self.by_call[recording.call_sid]) if recording.call_sid and whole else ()


def fetch(ref: Ref, services: Services) -> Recording:
    """Fetch a recording, if need be from the first region that has it; raise `ServiceError`.

    One that can't be asked outweighs a 404 of another: the recording may be there. So does a 404
    that another than Twilio wrote.
    """
    errors: list[ServiceError] = []
    for region in _regions(ref.region, services):
        try:
            there = replace(ref, region=region)
            return services.retry_in(region)(Service.TWILIO, services.twilio.fetch, there)
        except ServiceError as error:
            errors.append(error)
    raise min(errors, key=_says_that_it_is_gone)


def _says_that_it_is_gone(error: ServiceError) -> int:
    """Return how surely an error says so: not at all, with a 404 of whomever, in Twilio's words."""
    return error.failure.lasting + forgotten_by_twilio(error.failure)


def recordings_of(sid: str, services: Services, region: str | None = None) -> list[Recording]:
    """Return the recordings of a call or conference: all of them are in the region where it is.

    Raises `ServiceError` if none is found and a region could not be asked.
    """
    errors: list[ServiceError] = []
    for name in _regions(region, services):
        try:
            if found := list(listed(whole(sid, name), services)):
                return found
        except ServiceError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return []


def whole(sid: str, region: str) -> Listing:
    """Return the listing of all recordings of a call or conference in a region."""
    call_sid, conference_sid = (None, sid) if is_sid(sid, CONFERENCE) else (sid, None)
    return Listing(region, None, None, call_sid, conference_sid, size=SMALLER[-1])


def _regions(known: str | None, services: Services) -> Sequence[str]:
    return services.twilio.regions if known is None else (known,)


def listed(listing: Listing, services: Services) -> Iterator[Recording]:
    """Yield the recordings of all pages; raise `ServiceError` where the listing breaks off.

    And at its end if something in it could not be read: it was not seen whole.
    """
    cursor: str | None = None
    last_page: set[str] = set()
    odd: list[Failure] = []
    while True:
        listing, page = _page(listing, cursor, services)
        yield from (item for item in page.items if item.sid not in last_page)
        last_page = {item.sid for item in page.items}
        odd += page.odd
        cursor = page.cursor
        if cursor is None:
            break
    if odd:
        raise ServiceError(odd[0])


def _page(
    listing: Listing, cursor: str | None, services: Services, *, patient: bool = True
) -> tuple[Listing, Page[Recording]]:
    """Read a page, a smaller one if that is too much for Twilio; the listing stays at that."""
    retry = services.retry_in(listing.region)
    call = retry.more if patient else retry.once
    try:
        return listing, call(Service.TWILIO, services.twilio.page, listing, cursor)
    except ServiceError as error:
        size = next((size for size in SMALLER if size < listing.size), None)
        if size is None or error.failure.kind is not FailureKind.OUTAGE:
            raise
        return _page(replace(listing, size=size), cursor, services, patient=False)


def by_creation(recordings: Iterable[Recording]) -> tuple[Ref, ...]:
    """Return the recordings that can ever have a link, each once, oldest first."""
    dead = {TwilioState.DELETED, TwilioState.FAILED}
    living = {one.sid: one for one in recordings if one.state not in dead}
    return tuple(one.ref for one in sorted(living.values(), key=age_order))


def age_order(recording: Recording) -> tuple[datetime, str]:
    """Return a sort key: by creation, oldest first; the SID makes it one order for everybody."""
    return recording.created or _BEGINNING, recording.sid
