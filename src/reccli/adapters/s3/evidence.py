"""What an object says about itself, and whether that proves it to be a recording.

Pure: `judge` weighs the metadata that `writing` puts beside the bytes against what the store itself
reports. Metadata alone is a claim; a SHA-256 over the full object is the proof, where the
store is known to have checked it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from reccli.adapters.s3.fitness import Stay, date_of, objection_to, stay_of
from reccli.adapters.s3.s3_errors import failure
from reccli.core.errors import FailureKind
from reccli.core.model import S3State, StoredObject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reccli.adapters.s3.client import S3Options

_SHA256_BYTES = 32
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Facts:
    """One answer about an object. `sha256` (hex) is the store's own, over the full object."""

    size: int
    metadata: Mapping[str, str]
    stay: Stay
    sha256: str | None = None
    age: timedelta | None = None
    etag: str | None = None

    def archived(self) -> Facts:
        """Return the same facts for an object that S3 would not open because of its class."""
        archive = self.stay.archive or self.stay.storage_class or "that S3 does not name"
        return replace(self, stay=replace(self.stay, archive=archive))


def facts_of(answer: Mapping[str, Any], now: datetime) -> Facts:
    """Read an answer of HeadObject or GetObject; without a length it is a ValueError."""
    size = answer.get("ContentLength")
    if not isinstance(size, int):
        raise ValueError("it has no Content-Length")  # noqa: TRY004
    metadata = {name.lower(): text for name, text in answer.get("Metadata", {}).items()}
    return Facts(
        size=size,
        metadata=metadata,
        stay=stay_of(answer, now),
        sha256=sha256_of(answer),
        age=_age(answer, now),
        etag=answer.get("ETag") or None,
    )


def sha256_of(answer: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 (hex) over the full object, if the store reports one."""
    composite = answer.get("ChecksumType") == "COMPOSITE"  # of the parts' checksums: no proof
    return None if composite else _hex(answer.get("ChecksumSHA256", ""))


def judge(
    facts: Facts, sid: str, place: str, options: S3Options, read_back: str | None = None
) -> StoredObject:
    """Judge whether an object is recording `sid`; `read_back` is the hash of its bytes, if taken.

    A checksum of a store that is not believed proves nothing, and still shows a mismatch.
    """
    claimed = facts.metadata.get("sha256", "")
    proofs = {read_back, facts.sha256 if options.believed else None} - {None}
    owner = facts.metadata.get("recording-sid")
    if owner is None:
        objection = ("ForeignObject", "an object that reccli did not write is there")
    elif owner != sid:
        objection = ("OtherRecording", f"the object of another recording, {owner[:64]!r}, is there")
    elif not claimed or "size" not in facts.metadata:
        objection = ("NoProof", "its metadata lacks the SHA-256 or size of the recording")
    elif facts.metadata["size"] != str(facts.size):
        expected = facts.metadata["size"][:20]
        objection = ("SizeMismatch", f"it has {facts.size} bytes, and should have {expected}")
    elif not {read_back, facts.sha256} <= {None, claimed}:
        objection = ("ChecksumMismatch", "its bytes are not those that came from Twilio")
    else:
        stored = StoredObject(
            S3State.VERIFIED,
            facts.age,
            facts.size,
            claimed,
            proven=bool(proofs),
            etag=facts.etag,
            seconds=_read_seconds(facts.metadata.get("seconds", "")),
            accepted=facts.metadata.get("length-accepted") == "true",
        )
        return _fit(stored, facts.stay, place, accept_archive=options.accept_archive_class)
    return _conflict(facts, place, *objection)


def _fit(stored: StoredObject, stay: Stay, place: str, *, accept_archive: bool) -> StoredObject:
    """Return the object as UNFIT unless it is a lasting copy that opens."""
    if (objection := objection_to(stay, accept_archive=accept_archive)) is None:
        return stored
    code, text, hint = objection
    unfit = failure(FailureKind.PERMANENT, code, f"{place}: {text}", hint)
    return replace(stored, state=S3State.UNFIT, failure=unfit)


def _conflict(facts: Facts, place: str, code: str, text: str) -> StoredObject:
    """Return the object as a CONFLICT, with why it cannot count as the recording."""
    hint = "look at the object, and move or delete it if it has no business there"
    objection = failure(FailureKind.PERMANENT, code, f"{place}: {text}", hint)
    return StoredObject(
        S3State.CONFLICT, facts.age, facts.size, facts.sha256, failure=objection, etag=facts.etag
    )


def _age(answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return how long the object has been there, by the smaller of what S3's clock and ours say.

    Either may be hours ahead, and must not end a retention by that.
    """
    stored, date = answer.get("LastModified"), date_of(answer)
    if not isinstance(stored, datetime) or date is None:
        return None
    return max(min(date, now) - stored, timedelta())


def _read_seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None


def _hex(checksum: str) -> str | None:
    """Convert base64 to hex; None for a composite "…-3" and for anything else but a SHA-256."""
    try:
        digest = base64.b64decode(checksum, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == _SHA256_BYTES else None
