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
from datetime import datetime
from functools import partial
from typing import Self

from reccli.sandbox.recordings import (
    ENCRYPTION_DETAILS,
    Deletion,
    FakeRecording,
    MediaOrigin,
    document,
)
from reccli.sandbox.standin import (
    Request,
    Response,
    fingerprint,
    rest_exception,
    utc_now,
)
from reccli.sandbox.twilio_account import TwilioAccount
from reccli.sandbox.twilio_params import (
    TwilioError,
    flat_query,
    not_found,
    whole_number,
)

__all__ = ["ENCRYPTION_DETAILS", "Deletion", "FakeRecording", "TwilioStandIn"]


class TwilioStandIn(TwilioAccount):
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
        super().__init__(account_sid, clock, port)
        self.media_separate_origin = media_separate_origin
        self.max_concurrent = max_concurrent
        self.media = MediaOrigin()
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
                return self.list_page(request, {"CallSid", "ConferenceSid", "IncludeSoftDeleted"})
            case "GET", ["Calls", call_sid, "Recordings.json"]:
                return self.list_page(request, set(), call_sid)
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
            if method == "GET" and recording and recording.deleted_at and recording.shows_late:
                recording.shows_late -= 1
                recording = replace(recording, status="completed")
            if recording is None or not self.visible(recording, query):
                raise not_found(request)
            if method == "GET":
                return Response.json(200, document(recording, self.account_sid, self.url))
            if recording.status != "completed":
                raise TwilioError(400, 20009, "Only completed recordings can be deleted")
            self.delete(sid)
        return Response(204)

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
        channels = recording.served_channels or channels
        kind = "audio/mpeg" if extension == "mp3" else "audio/x-wav"
        return Response(200, recording.media(extension, channels), kind)

    _key = secrets.token_bytes(16)

    def _sign(self, *parts: object) -> str:
        return hmac.digest(self._key, repr(parts).encode(), "sha256").hex()
