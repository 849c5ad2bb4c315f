"""A local Twilio: the recordings of one account, as the 2010 API serves and deletes them.

Shapes and behaviour follow /2010-04-01 in twilio-oai. Where the documentation is silent, the
answer is the harsher one. Media is answered with a redirect to another origin, as Twilio may at
any time: whoever carries its credentials along is found out there.
"""

import base64
import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self
from urllib.parse import urlencode

from reccli.sandbox.recordings import (
    ENCRYPTION_DETAILS,
    Deletion,
    FakeRecording,
    MediaOrigin,
    document,
    order,
)
from reccli.sandbox.standin import (
    Request,
    Response,
    StandIn,
    fingerprint,
    rest_exception,
    utc_now,
)
from reccli.sandbox.twilio_params import (
    API,
    DATE_FILTERS,
    TwilioError,
    date_limit,
    flat_query,
    not_found,
    whole_number,
)

__all__ = ["ENCRYPTION_DETAILS", "Deletion", "FakeRecording", "TwilioStandIn"]

METADATA_KEPT = timedelta(days=40)
PAGING = {"PageSize", "Page", "PageToken"}
MAX_PAGE_SIZE = 1000


class TwilioStandIn(StandIn):
    """One account in one region.

    `max_concurrent` requests at a time are served, the others get 429 with code 20429.
    `api_keys` maps key SIDs to secrets. The media origin is `media`, with a latency, faults and
    a log of its own.
    """

    def __init__(  # noqa: PLR0913
        self,
        account_sid: str,
        auth_token: str,
        *,
        api_keys: Mapping[str, str] | None = None,
        media_separate_origin: bool = True,
        max_concurrent: int | None = None,
        clock: Callable[[], datetime] = utc_now,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.account_sid = account_sid
        self.media_separate_origin = media_separate_origin
        self.max_concurrent = max_concurrent
        self.clock = clock
        self.whole_days = False
        """Ignore the time in date filters (whether Twilio honours it is not documented)."""
        self.media = MediaOrigin()
        self.recordings: dict[str, FakeRecording] = {}
        self.deletions: list[Deletion] = []
        self._pages: dict[str, tuple[datetime, str]] = {}
        pairs = {account_sid: auth_token, **(api_keys or {})}.items()
        self._accepted = {
            fingerprint("Basic " + base64.b64encode(f"{user}:{word}".encode()).decode())
            for user, word in pairs
        }

    def start(self) -> Self:
        """Listen on both origins."""
        self.media.start()
        return super().start()

    def stop(self) -> None:
        """Close both origins."""
        super().stop()
        self.media.stop()

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

    def recording_url(self, recording: FakeRecording) -> str:
        """Word `RecordingUrl` as callbacks and Airtable rows do: without an extension."""
        return f"{self.url}{API}{self.account_sid}/Recordings/{recording.sid}"

    def admit(self, _request: Request, /) -> Response | None:
        """Hold the account's concurrency limit (error 20429)."""
        if self.max_concurrent is None or self.active <= self.max_concurrent:
            return None
        return self._dressed(TwilioError(429, 20429, "Too Many Requests").response(as_media=False))

    def handle(self, request: Request) -> Response:
        """Answer as api.twilio.com."""
        as_media = not request.path.endswith(".json")
        try:
            response = self._route(request)
        except TwilioError as error:
            response = error.response(as_media=as_media)
        return self._dressed(response)

    def _dressed(self, response: Response) -> Response:
        headers = {
            "Twilio-Request-Id": f"RQ{uuid.uuid4().hex}",
            "Twilio-Concurrent-Requests": str(self.active),
            **response.headers,
        }
        return replace(response, headers=headers)

    def _route(self, request: Request) -> Response:
        if request.authorization not in self._accepted:
            raise TwilioError(401, 20003, "Authenticate")
        method = "GET" if request.method == "HEAD" else request.method
        if method == "GET" and request.body:
            raise TwilioError(403, 20403, "GET requests must have no body")
        match request.segments:
            case ["2010-04-01", "Accounts", account, *rest]:
                if account != self.account_sid:
                    raise TwilioError(401, 20003, "Authenticate")
            case _:
                raise not_found(request)
        match method, rest:
            case "GET", ["Recordings.json"]:
                return self._list(request, {"CallSid", "ConferenceSid", "IncludeSoftDeleted"})
            case "GET", ["Calls", call_sid, "Recordings.json"]:
                return self._list(request, set(), call_sid)
            case ("GET" | "DELETE") as verb, ["Recordings", name] if name.endswith(".json"):
                return self._one(request, verb, name.removesuffix(".json"))
            case "GET", ["Recordings", name]:
                return self._media(request, *name.partition(".")[::2])
        if rest and rest[-1].endswith("Recordings.json"):
            raise TwilioError(405, 20004, "Method not allowed")
        raise not_found(request)

    # --- metadata

    def _one(self, request: Request, method: str, sid: str) -> Response:
        known = {"IncludeSoftDeleted"} if method == "GET" else set()
        query = flat_query(request, known)
        with self.lock:
            recording = self.recordings.get(sid)
            if recording is None or not self._visible(recording, query):
                raise not_found(request)
            if method == "GET":
                return Response.json(200, document(recording, self.account_sid, self.url))
            if recording.status != "completed":
                raise TwilioError(400, 20009, "Only completed recordings can be deleted")
            self.delete(sid)
        return Response(204)

    def delete(self, sid: str) -> None:
        """Delete a recording, as anybody with a console may."""
        with self.lock:
            recording = self.recordings[sid]
            recording.status, recording.deleted_at = "deleted", self.clock()
            recording.audio = None
            self.deletions.append(Deletion(sid, recording.deleted_at))

    def _visible(self, recording: FakeRecording, query: Mapping[str, str]) -> bool:
        if recording.status != "deleted":
            return True
        wanted = query.get("IncludeSoftDeleted", "").lower() == "true"
        return wanted and self.clock() - (recording.deleted_at or self.clock()) < METADATA_KEPT

    # --- lists

    def _list(self, request: Request, filters: set[str], call_sid: str | None = None) -> Response:
        query = flat_query(request, filters | DATE_FILTERS | PAGING)
        size = whole_number(query, "PageSize", 50, range(1, MAX_PAGE_SIZE + 1))
        page = whole_number(query, "Page", 0, range(1 << 31))
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
            paging = {"PageSize": size, "Page": number, **token}
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
            and self._visible(r, query)
            and all(limit(r.created) for limit in limits)
        ]

    # --- media

    def _media(self, request: Request, sid: str, extension: str) -> Response:
        query = flat_query(request, {"RequestedChannels"})
        extension = extension or "wav"
        with self.lock:
            recording = self.recordings.get(sid)
            if recording is None or extension not in {"mp3", "wav"}:
                raise not_found(request)
            if recording.status != "completed":
                raise not_found(request)
            if recording.media_404_times > 0:
                recording.media_404_times -= 1
                raise not_found(request)
        if extension == "mp3" and recording.encryption_details:
            raise TwilioError(400, 16109, "Cannot fetch .mp3 encrypted recording")
        # A conference is mixed down to mono unless both channels are asked for.
        stored = 1 if recording.conference_sid else recording.channels
        channels = whole_number(query, "RequestedChannels", stored, range(1, 3))
        if channels > recording.channels:
            raise TwilioError(400, 16113, "Dual-channel was requested of a mono recording")
        serve = partial(self._file, recording, extension, channels)
        if not self.media_separate_origin:
            return serve()
        target = f"/{recording.sid}.{extension}?channels={channels}&X-Signature=" + self._sign(
            recording.sid, extension, channels
        )
        self.media.files[target] = serve
        return Response(302, b"", "text/plain", {"Location": self.media.url + target})

    def _file(self, recording: FakeRecording, extension: str, channels: int) -> Response:
        if recording.status != "completed":  # deleted since it was signed
            return rest_exception(404, 20404, "The requested resource was not found")
        kind = "audio/mpeg" if extension == "mp3" else "audio/x-wav"
        return Response(200, recording.media(extension, channels), kind)

    _key = secrets.token_bytes(16)

    def _sign(self, *parts: object) -> str:
        return hmac.digest(self._key, repr(parts).encode(), "sha256").hex()
