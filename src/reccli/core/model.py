"""What can be known about one recording, and what can be done next: plain frozen data.

Imported by every layer; knows no SDK, no clock and no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from reccli.core.errors import Failure


class TwilioState(StrEnum):
    """The Twilio copy. DELETED is only ever positive proof, never a bare 404.

    NO_MEDIA: completed, and its media is answered with 404: in external storage, or not there yet.
    """

    COMPLETED = "completed"
    NO_MEDIA = "no-media"
    PENDING = "pending"
    DELETED = "deleted"
    FAILED = "failed"
    UNKNOWN = "unknown"


class S3State(StrEnum):
    """The object at the recording's key.

    NO_KEY: the key template needs fields of a row, and there is no such row or field yet.
    BAD_KEY: rows have them, and no key can be made of what they hold.
    UNFIT: verified, but no lasting copy that opens: in an archive class, or about to go.
    UNCOPIED: absent, and no copy could be made in this run for reasons that are not S3's.
    """

    VERIFIED = "verified"
    UNFIT = "unfit"
    ABSENT = "absent"
    CONFLICT = "conflict"
    UNCOPIED = "uncopied"
    NO_KEY = "no-key"
    BAD_KEY = "bad-key"
    UNKNOWN = "unknown"


class LinkState(StrEnum):
    """What Airtable holds for one recording; of several rows, the one furthest from converged.

    ELSEWHERE: a cell names the recording at a place that is not ours. CALL_UNREAD: Airtable finds a
    row by the call, and its CallSid cell cannot be read as a SID. WORD: in the field of the
    recording stands a text that is no link. FULL_TWIN: one row of the call links to it, and
    another has no free field.
    """

    UNKNOWN = "unknown"
    TWILIO_LINK = "twilio-link"
    EMPTY = "empty"
    S3_LINK_EXPIRING = "s3-link-expiring"
    ELSEWHERE = "elsewhere"
    CALL_UNREAD = "call-unread"
    WORD = "word"
    NO_FREE_SLOT = "no-free-slot"
    FULL_TWIN = "full-twin"
    S3_LINK = "s3-link"
    NO_ROW = "no-row"


class StepKind(StrEnum):
    """The next safe step; the values are the public names in JSON."""

    COPY = "Copy"
    LINK_TWILIO = "LinkTwilio"
    RELINK = "Relink"
    RESIGN = "Resign"
    DELETE = "Delete"
    WAIT = "Wait"
    HOLD = "Hold"
    DONE = "Done"
    LOST = "Lost"


class Reason(StrEnum):
    """Why that step: the reason column of the decision table."""

    NOT_COMPLETED = "not completed yet"
    OVERDUE = "not completed in all this time: at risk"
    NO_COPY = "no copy yet"
    ELSEWHERE = "the row names the recording at another place: a person must look"
    NEEDS_ROW = "its key is made of fields of a row that is not there yet"
    BAD_KEY = "no key can be made of what its row holds: a person must look"
    FALLBACK = "S3 cannot take it now: the fallback link keeps it reachable"
    REACHABLE = "no copy could be made now: the Twilio link keeps it reachable"
    UNCOPIED = "no copy could be made now: the one at Twilio is untouched"
    NO_MEDIA = "Twilio has no audio of it to give: a link to it would be dead"
    S3_UNREACHABLE = "S3 unreachable, Twilio copy preserved"
    CONFLICT = "another object has the key: a person must look"
    UNFIT = "stored, but not for keeps"
    KEY_UNKNOWN = "its key cannot be told"
    LAST_COPY_UNFIT = "the last copy opens for nobody, or goes on that day"
    NO_LASTING_LINK = "no link would last: S3's credentials are temporary"
    NAME_OBJECT = "the row should name the object"
    LINK_WOULD_DIE = "the link would die"
    UNREFERENCED = "archived, nothing refers to it yet"
    FULL_TWIN = "another row of its call has no free field for the link"
    WORD = "a text that is no link stands in its field: a person must look"
    CALL_UNREAD = "the row of its call cannot be told by its CallSid cell: a person must look"
    IN_RETENTION = "in retention"
    LENGTH_UNPROVEN = "its length is not proven, so no copy counts for a delete"
    PROVEN = "proven safe"
    CONVERGED = "converged"
    LOST = "gone from Twilio with no proven copy in S3"
    NOTHING_RECORDED = "nothing was recorded"
    NOT_OBSERVED = "could not observe"
    # The reasons below come from the run, not from the table.
    NOT_A_LINK = "the field holds a Twilio address that names no recording of a configured account"
    UNHEARD_OF = "a callback told of it, and Twilio knows no such recording"
    UNSAFE = "refused as unsafe: nothing was deleted"
    DECLINED = "not confirmed: nothing was deleted"
    STOPPED = "the run was stopped before this step"
    UNSETTLED = "it does not settle: somebody else is changing it"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next and why; `until` (UTC) says when a Wait is over, where that is known."""

    kind: StepKind
    reason: Reason
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """Enough to ask for a recording and to find its rows. `region` None: try every one."""

    sid: str
    account_sid: str
    region: str | None = None
    call_sid: str | None = None
    conference_sid: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Facts about a recording as Twilio reports them; every one but the SIDs may be missing.

    `duration` is in whole seconds. `encryption` holds Twilio's `encryption_details`, which
    vanish 40 days after a delete and without which the audio cannot be decrypted. `odd` names
    what cannot be read and may not count as missing: nothing is done with such a recording.
    """

    sid: str
    account_sid: str
    region: str
    status: str
    call_sid: str | None = None
    conference_sid: str | None = None
    duration: int | None = None
    channels: int | None = None
    created: datetime | None = None
    source: str | None = None
    encryption: Mapping[str, str] = field(default_factory=dict)
    odd: str = ""

    @property
    def ref(self) -> Ref:
        """How to ask for it again."""
        return Ref(self.sid, self.account_sid, self.region, self.call_sid, self.conference_sid)

    @property
    def minutes(self) -> int:
        """How long it is in minutes begun, as Twilio counts them; 0 where that is not known."""
        return -(-(self.duration or 0) // 60)

    @property
    def state(self) -> TwilioState:
        """The status in terms of the decision table; an unheard-of status is Unknown."""
        return _STATUS.get(self.status, TwilioState.UNKNOWN)


_STATUS = {
    "completed": TwilioState.COMPLETED,
    "in-progress": TwilioState.PENDING,
    "paused": TwilioState.PENDING,
    "stopped": TwilioState.PENDING,
    "processing": TwilioState.PENDING,
    "deleted": TwilioState.DELETED,
    "absent": TwilioState.FAILED,
    "failed": TwilioState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One Airtable row: `links` maps each configured link field to its raw cell ("" = empty).

    `fields` are what keys are made of: "" where a field is empty, None where it holds no text.
    It may stand for a call, for a conference (where `airtable.conference_sid_field` is set), or
    for both. `call_cell` is what the CallSid cell holds where that is no SID, so that `call_sid` is
    empty.
    """

    id: str
    call_sid: str
    links: Mapping[str, str]
    fields: Mapping[str, str | None] = field(default_factory=dict)
    conference_sid: str = ""
    call_cell: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What S3 itself says about a key.

    `proven` is False where the store reported no checksum that counts and the object was not read
    back: its metadata claims to be the recording, which is enough for a link, not for a delete.
    `etag` shows whether it is still the same object. `seconds` is how much audio was counted when
    it was stored, if it was; `accepted`: a person has listened and taken it as it is.
    """

    state: S3State
    age: timedelta | None = None
    size: int | None = None
    sha256: str | None = None
    proven: bool = False
    failure: Failure | None = None
    etag: str | None = None
    seconds: float | None = None
    accepted: bool = False
