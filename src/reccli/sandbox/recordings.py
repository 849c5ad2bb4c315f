"""What a local Twilio holds: recordings, their media, and the other origin that serves it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from reccli.sandbox.audio import ciphertext, mp3, wav
from reccli.sandbox.standin import Request, Response, StandIn
from reccli.sandbox.twilio_params import API

ENCRYPTION_DETAILS = {
    "encryption_public_key_sid": "CR" + "a" * 32,
    "encryption_cek": base64.b64encode(bytes(range(256))).decode(),
    "encryption_iv": "8I2hhNIYNTrwxfHk",
}
"""For `FakeRecording.encryption_details`: the shape of an encrypted recording's metadata."""


@dataclass(slots=True)
class FakeRecording:
    """One recording. Its attributes may be changed at any time, as Twilio's own states do."""

    sid: str
    call_sid: str
    """Empty, and shown as null, when it is a conference's own."""
    duration: int
    channels: int
    """What was recorded, whatever the metadata says."""
    status: str
    created: datetime
    source: str
    conference_sid: str | None = None
    encryption_details: Mapping[str, str] | None = None
    audio: bytes | None = None
    """Served instead of generated audio."""
    media_404_times: int = 0
    """So many requests for the media are answered 404, as before it has propagated."""
    shows_late: int = 0
    """So many requests for its metadata still say "completed" after it was deleted."""
    error_code: int | None = None
    deleted_at: datetime | None = None
    served_channels: int | None = None
    """Media comes with so many, whatever is asked for; `media` and `channels` don't know of it."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """What its document says instead: `{"channels": None, "duration": "-1"}`."""

    def media(self, extension: str, channels: int) -> bytes:
        """Make the bytes of its media file."""
        if self.audio is not None:
            return self.audio
        if self.encryption_details:
            return ciphertext(self.sid, self.duration, channels)
        make = mp3 if extension == "mp3" else wav
        return make(self.sid, self.duration, channels)


def order(recording: FakeRecording) -> tuple[datetime, str]:
    """Sort by age (lists show the newest first)."""
    return recording.created, recording.sid


def document(
    recording: FakeRecording, account_sid: str, base: str, *, of_call: bool = False
) -> dict[str, object]:
    """Show a recording's metadata, with exactly the vendor's fields and types (OpenAPI examples).

    A call's sub-list shows other fields than the account's own (`of_call`).
    """
    account = f"{API}{account_sid}"
    own = f"{account}/Recordings/{recording.sid}"
    made = format_datetime(recording.created)
    finished = recording.status in {"completed", "deleted"}
    shown: dict[str, object] = {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "call_sid": recording.call_sid or None,
        "conference_sid": recording.conference_sid,
        "channels": recording.channels,
        "date_created": made,
        "date_updated": format_datetime(recording.deleted_at or recording.created),
        "start_time": made,
        "price": "-0.00250" if finished else None,
        "price_unit": "USD",
        "duration": str(recording.duration) if finished else None,
        "sid": recording.sid,
        "source": recording.source,
        "status": recording.status,
        "error_code": recording.error_code,
        "encryption_details": recording.encryption_details,
        **recording.metadata,
    }
    if of_call:
        uri = f"{account}/Calls/{recording.call_sid}/Recordings/{recording.sid}.json"
        return {**shown, "track": "both", "uri": uri}
    subresources = {
        "add_on_results": f"{own}/AddOnResults.json",
        "transcriptions": f"{own}/Transcriptions.json",
    }
    more = {"uri": f"{own}.json", "subresource_uris": subresources, "media_url": base + own}
    return {**shown, **more}


@dataclass(frozen=True, slots=True)
class Deletion:
    """A recording that is gone for ever."""

    sid: str
    at: datetime


class MediaOrigin(StandIn):
    """The other origin, where redirects lead: it wants a signed path, and refuses credentials.

    `requests` shows who sent some all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, Callable[[], Response]] = {}

    def handle(self, request: Request) -> Response:
        """Serve a file that the API signed."""
        if request.authorization is not None:
            body = b"<Error><Code>InvalidArgument</Code></Error>"  # as S3 answers two kinds of auth
            return Response(400, body, "application/xml")
        serve = self.files.get(request.target)
        if serve is None:
            return Response(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
        return serve()
