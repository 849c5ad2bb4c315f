"""`TwilioPort` over the SDK: list, fetch, delete; the audio comes from `media`."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import httpx
from twilio.base.exceptions import TwilioException

from reccli.adapters.twilio import parse
from reccli.adapters.twilio.media import open_media
from reccli.adapters.twilio.session import Sessions
from reccli.adapters.twilio.twilio_failures import NotFoundError, bad_answer, failed, unconfirmed
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import TwilioState
from reccli.core.sids import RECORDING, is_sid
from reccli.flow.ports import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reccli.adapters.twilio.origin import Origin
    from reccli.adapters.twilio.session import Session
    from reccli.core.model import Recording, Ref
    from reccli.flow.ports import Listing, Media

_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""What the SDK raises over JSON of a shape that it does not know."""


class TwilioAdapter:
    """Recordings in every region of one account; safe to use from many threads.

    Never retries and never logs. `close()` ends every connection; nothing works after it.
    """

    def __init__(
        self,
        origins: Sequence[Origin],
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        """`origins`: the main region first. Seconds; the SDK's own default is to wait for ever."""
        if not origins:
            raise ValueError("at least one origin is needed")
        self._origins = {origin.region: origin for origin in origins}
        self._sessions = Sessions(httpx.Timeout(read_timeout, connect=connect_timeout))

    @property
    def regions(self) -> Sequence[str]:
        """The configured regions, the main one first."""
        return tuple(self._origins)

    def close(self) -> None:
        """Close the connections of every thread."""
        self._sessions.close()

    def page(self, listing: Listing, cursor: str | None) -> Page[Recording]:
        """List one page, newest first, within the bounds as far as a creation time is known."""
        session = self._session(listing.region)
        path = f"/2010-04-01/Accounts/{session.origin.account_sid}/Recordings.json"
        if cursor is None:
            filters = _filters(listing)
            payload = _ask(session, lambda sdk: sdk.page(page_size=listing.size, **filters))
        elif not cursor.startswith(f"{path}?"):
            raise bad_answer("Twilio named a next page that is not of this listing")
        else:
            url = session.origin.api_base.rstrip("/") + _resized(cursor, listing.size)
            payload = _ask(session, lambda sdk: sdk.get_page(url))
        # Both have to be there: a listing cut short must not look like a short one.
        items, following = payload.get("recordings"), payload.get("next_page_uri", 0)
        if not isinstance(items, list) or not (following is None or isinstance(following, str)):
            raise bad_answer(f"GET {path} was answered without recordings or next_page_uri")
        if cursor is not None and following == cursor:
            raise bad_answer(f"GET {path} named itself as its next page")
        recordings, odd = parse.recordings(items, session.origin)
        shown = [item for item in recordings if _within(listing, item)]
        return Page(shown, following or None, odd)

    def fetch(self, ref: Ref) -> Recording:
        """Fetch the metadata, of a soft-deleted recording too, from its region."""
        return self._fetch(self._session(ref.region or self.regions[0]), ref)

    def delete(self, recording: Recording) -> ServiceError | None:
        """Delete for ever; returns Twilio's refusal, or None if it took the request.

        A refusal, a 404 above all, may come from an earlier delete whose answer was lost, and how
        a second delete is answered is undocumented: `prove_deleted` finds out.
        """
        session = self._session(recording.region)
        _check(session.origin, recording.ref)
        try:
            _ask(session, lambda sdk: sdk(recording.sid).delete())
        except ServiceError as error:
            if not error.failure.lasting:
                raise
            return error
        return None

    def prove_deleted(self, recording: Recording, refusal: ServiceError | None) -> None:
        """Return if Twilio itself says that it is gone; raises a BUSY failure while it does not.

        The proof is a fetch with IncludeSoftDeleted, possible for 40 days (Twilio's Recording
        resource page); for some seconds it may still show what was deleted. After a 204, "there is
        no such recording" (a 404 with Twilio's own code) is as good as "deleted", for an account
        may not be shown what it has deleted, and nothing further is destroyed on it. After a
        refusal it proves nothing.
        """
        try:
            status = self._fetch(self._session(recording.region), recording.ref).status
        except ServiceError as error:
            if not isinstance(error, NotFoundError):
                raise
            if refusal is not None:
                raise refusal from error
            if _is_gone(error):
                return
            status = "nothing (404)"
        if status == TwilioState.DELETED:
            return
        if refusal is not None and not isinstance(refusal, NotFoundError):
            raise refusal
        raise unconfirmed(recording.sid, status)

    @contextmanager
    def media(self, recording: Recording, extension: str) -> Iterator[Media]:
        """Open the audio with all its channels; a 404 is NOT_YET, or GONE if it is old."""
        session = self._session(recording.region)
        _check(session.origin, recording.ref)
        with open_media(session, recording, extension) as media:
            yield media

    def _session(self, region: str) -> Session:
        if region not in self._origins:
            known = ", ".join(self.regions)
            message = f"region {region!r} is not configured; there is {known}"
            raise failed(FailureKind.PERMANENT, "unknown_region", message)
        return self._sessions.of(self._origins[region])

    def _fetch(self, session: Session, ref: Ref) -> Recording:
        _check(session.origin, ref)
        payload = _ask(session, lambda sdk: sdk(ref.sid).fetch(include_soft_deleted=True))
        found = parse.recording(payload, session.origin)
        if found.sid != ref.sid:
            raise bad_answer(f"Twilio was asked for {ref.sid} and answered with {found.sid}")
        return found


def _ask(session: Session, call: Callable[[Any], object]) -> Mapping[str, object]:
    """Send one request through the SDK, and return the JSON of its answer."""
    try:
        call(session.recordings)
    except _UNREADABLE as error:
        if not session.transport.payload:
            raise bad_answer(
                f"the SDK could not read Twilio's answer: {type(error).__name__}"
            ) from error
        # One odd date stops the SDK; what we read of the answer, and how, is our own.
    return session.transport.payload


def _check(origin: Origin, ref: Ref) -> None:
    """Refuse to build an address from what is not a SID, or with another account's."""
    if not is_sid(ref.sid, RECORDING):
        raise failed(FailureKind.PERMANENT, "bad_sid", "this is not the SID of a recording")
    if ref.account_sid != origin.account_sid:
        message = f"{ref.sid} belongs to account {ref.account_sid}, which is not configured"
        raise failed(FailureKind.PERMANENT, "other_account", message)


def _is_gone(error: ServiceError) -> bool:
    return error.failure.kind is FailureKind.GONE


def _resized(cursor: str, size: int) -> str:
    """Return the cursor of the same place in smaller pages: `Page` counts pages.

    Where the places do not meet, the page begins before the old one: nothing is passed over.
    """
    path, _, query = cursor.partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    before, number = asked.get("PageSize", ""), asked.get("Page", "0")
    if not (before.isdecimal() and number.isdecimal()) or int(before) <= size:
        return cursor
    place = {"PageSize": str(size), "Page": str(int(number) * int(before) // size)}
    return f"{path}?{urlencode(asked | place)}"


def _filters(listing: Listing) -> dict[str, str]:
    """Return the bounds in whole UTC days: what Twilio makes of a time of day is undocumented.

    `DateCreated<=` a day ends at the midnight with which that day begins, hence the day after.
    """
    filters = {}
    if listing.since is not None:
        filters["date_created_after"] = f"{listing.since.astimezone(UTC):%Y-%m-%d}"
    if listing.until is not None:
        following = listing.until.astimezone(UTC) + timedelta(days=1)
        filters["date_created_before"] = f"{following:%Y-%m-%d}"
    if listing.call_sid is not None:
        filters["call_sid"] = listing.call_sid
    if listing.conference_sid is not None:
        filters["conference_sid"] = listing.conference_sid
    return filters


def _within(listing: Listing, item: Recording) -> bool:
    """Whether a recording is within the exact bounds; one without a time is."""
    if item.created is None:
        return True
    since, until = listing.since or item.created, listing.until or item.created
    return since <= item.created <= until
