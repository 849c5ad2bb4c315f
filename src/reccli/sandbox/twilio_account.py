"""What one account of a local Twilio holds, and its lists of recordings."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from reccli.sandbox.recordings import Deletion, FakeRecording, document, order
from reccli.sandbox.standin import Request, Response, StandIn
from reccli.sandbox.twilio_params import (
    API,
    DATE_FILTERS,
    TwilioError,
    date_limit,
    flat_query,
    whole_number,
)

METADATA_KEPT = timedelta(days=40)
PAGING = {"PageSize", "Page", "PageToken"}
MAX_PAGE_SIZE = 1000


class TwilioAccount(StandIn):
    """The recordings of one account, by SID, and those that are gone."""

    def __init__(self, account_sid: str, clock: Callable[[], datetime], port: int) -> None:
        super().__init__(port=port)
        self.account_sid = account_sid
        self.clock = clock
        self.whole_days = False
        """Ignore the time in date filters (whether Twilio honours it is not documented)."""
        self.reset_pages()
        self.recordings: dict[str, FakeRecording] = {}
        self.deletions: list[Deletion] = []
        self._pages: dict[str, tuple[datetime, str]] = {}

    def reset_pages(self) -> None:
        """Page as documented."""
        self.too_much: Callable[[int, int], bool] = lambda _size, _page: False
        """Whether a page (its PageSize, its Page) is answered 500, as a slow database does."""
        self.page_scale = 1
        """Show one recording for so many asked for: many pages of few recordings."""
        self.bare_cursors = False
        """Name the next page by its number alone, without a token."""

    def add(  # noqa: PLR0913
        self,
        call_sid: str | None = None,
        *,
        sid: str | None = None,
        duration: int = 4,
        channels: int = 1,
        status: str = "completed",
        created: datetime | None = None,
        source: str = "RecordVerb",
        conference_sid: str | None = None,
        encryption_details: Mapping[str, str] | None = None,
        audio: bytes | None = None,
        media_404_times: int = 0,
        error_code: int | None = None,
    ) -> FakeRecording:
        """Record a call."""
        recording = FakeRecording(
            sid=sid or f"RE{uuid.uuid4().hex}",
            call_sid=call_sid or f"CA{uuid.uuid4().hex}",
            duration=duration,
            channels=channels,
            status=status,
            created=(created or self.clock()).astimezone(UTC),
            source=source,
            conference_sid=conference_sid,
            encryption_details=encryption_details,
            audio=audio,
            media_404_times=media_404_times,
            error_code=error_code,
        )
        with self.lock:
            self.recordings[recording.sid] = recording
        return recording

    def add_conference(self, **how: Any) -> FakeRecording:  # noqa: ANN401 - as `add`
        """Record a conference, which belongs to no call."""
        recording = self.add(
            **{"conference_sid": f"CF{uuid.uuid4().hex}", "source": "Conference", **how}
        )
        recording.call_sid = ""
        return recording

    def recording_url(self, recording: FakeRecording) -> str:
        """Return `RecordingUrl` as callbacks and Airtable rows do: without an extension."""
        return f"{self.url}{API}{self.account_sid}/Recordings/{recording.sid}"

    def delete(self, sid: str) -> None:
        """Delete a recording, as anybody with a console may."""
        with self.lock:
            recording = self.recordings[sid]
            recording.status, recording.deleted_at = "deleted", self.clock()
            recording.audio = None
            self.deletions.append(Deletion(sid, recording.deleted_at))

    def visible(self, recording: FakeRecording, query: Mapping[str, str]) -> bool:
        """Return whether its metadata is shown, as IncludeSoftDeleted has it."""
        if recording.status != "deleted":
            return True
        wanted = query.get("IncludeSoftDeleted", "").lower() == "true"
        return wanted and self.clock() - (recording.deleted_at or self.clock()) < METADATA_KEPT

    def list_page(
        self, request: Request, filters: set[str], call_sid: str | None = None
    ) -> Response:
        """Show a page of the account's recordings, or of one call's."""
        query = flat_query(request, filters | DATE_FILTERS | PAGING)
        asked = whole_number(query, "PageSize", 50, range(1, MAX_PAGE_SIZE + 1))
        page = whole_number(query, "Page", 0, range(1 << 31))
        if self.too_much(asked, page):
            raise TwilioError(500, 20500, "Internal Server Error")
        size = max(1, asked // self.page_scale)
        with self.lock:
            found = sorted(self._wanted(query, call_sid), key=order, reverse=True)
            start = 0 if "PageToken" in query else page * size
            if token := query.get("PageToken"):
                last = self._pages.get(token)
                if last is None:
                    raise TwilioError(400, 21481, "Invalid PageToken")
                found = [r for r in found if order(r) < last]
            shown = found[start : start + size]
            more = len(found) > start + size
            if more:
                self._pages[f"PA{shown[-1].sid}"] = order(shown[-1])
            show = partial(document, account_sid=self.account_sid, base=self.url)
            documents = [show(r, of_call=call_sid is not None) for r in shown]

        def uri(number: int, **token: str) -> str:
            kept = {k: v for k, v in query.items() if k not in PAGING}
            paging = {"PageSize": asked, "Page": number, **({} if self.bare_cursors else token)}
            return f"{request.path}?{urlencode({**kept, **paging})}"

        end = page * size + max(0, len(shown) - 1)
        return Response.json(
            200,
            {
                "end": end,
                "start": page * size,
                "page": page,
                "page_size": size,
                "first_page_uri": uri(0),
                "next_page_uri": uri(page + 1, PageToken=f"PA{shown[-1].sid}") if more else None,
                "previous_page_uri": uri(page - 1) if page else None,
                "uri": request.target if "?" in request.target else uri(page),
                "recordings": documents,
            },
        )

    def _wanted(self, query: Mapping[str, str], call_sid: str | None) -> list[FakeRecording]:
        call_sid = call_sid or query.get("CallSid")
        limits = [
            date_limit(name, query[name], whole_days=self.whole_days)
            for name in DATE_FILTERS & query.keys()
        ]
        return [
            r
            for r in self.recordings.values()
            if (call_sid is None or r.call_sid == call_sid)
            and query.get("ConferenceSid") in {None, r.conference_sid}
            and self.visible(r, query)
            and all(limit(r.created) for limit in limits)
        ]
