"""Whether an object lasts and opens: archive classes, and rules that will delete it.

Facts about the headers are from the S3 API reference of HeadObject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from reccli.network import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_STAY = timedelta(days=7)
"""What goes sooner is no lasting copy; links live no longer either."""

_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_EXPIRY_DATE = re.compile(r'expiry-date="([^"]*)"')
_RULE = re.compile(r'rule-id="([^"]*)"')
_ARCHIVE_HINT = (
    "restore the object and copy it back to a class that opens at once, and keep lifecycle rules "
    "and s3.storage_class off archive classes; or take it as it is: s3.accept_archive_class = true"
)
_EXPIRY_HINT = "exclude the prefix from the lifecycle rule that deletes it"


class Objection(NamedTuple):
    """Why an object is no lasting copy."""

    code: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Stay:
    """What an answer says of an object's stay; `now` is the later of S3's clock and ours."""

    now: datetime
    storage_class: str = ""
    archive: str = ""
    restored: str = ""
    expiration: str = ""


def stay_of(answer: Mapping[str, Any], now: datetime) -> Stay:
    """Read an answer of HeadObject, GetObject or PutObject.

    STANDARD has no header. INTELLIGENT_TIERING says in `x-amz-archive-status` that it does not
    open; botocore knows that header for HEAD alone. Directory buckets answer every question for
    an expiration "NotImplemented", which says nothing.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    storage_class = str(answer.get("StorageClass") or "")
    tier = headers.get("x-amz-archive-status", "")
    expiration = (answer.get("Expiration") or "").strip()
    return Stay(
        now=max(now, date_of(answer) or now),
        storage_class=storage_class,
        archive=tier or (storage_class if storage_class in _ARCHIVES else ""),
        restored=answer.get("Restore") or "",
        expiration="" if expiration == "NotImplemented" else expiration,
    )


def objection_to(stay: Stay, *, accept_archive: bool) -> Objection | None:
    """Return why the object is no lasting copy that opens; None if it is one.

    An operator may accept an archive class, for nothing is lost in it; an expiration never.
    """
    if stay.expiration:
        found = _EXPIRY_DATE.search(stay.expiration)
        if (until := http_date(found[1]) if found else None) is None:
            said = stay.expiration[:80]
            text = f"it says that it goes, and not when: {said!r}"
            return Objection("Expires", text, _EXPIRY_HINT)
        if until - stay.now <= LEAST_STAY:
            rule = _RULE.search(stay.expiration)
            name = f", by the lifecycle rule {rule[1][:80]!r}" if rule else ""
            text = f"it goes on {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC{name}"
            return Objection("Expires", text, _EXPIRY_HINT)
    if stay.archive and not accept_archive:
        return Objection("ArchiveClass", _shut(stay), _ARCHIVE_HINT)
    return None


def date_of(answer: Mapping[str, Any]) -> datetime | None:
    """Return the time on S3's clock, if the answer has it."""
    return http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))


def _shut(stay: Stay) -> str:
    """Describe that a link to it opens for nobody, or for how long it does."""
    text = f"it is in the archive class {stay.archive}"
    if 'ongoing-request="true"' in stay.restored:
        return f"{text}, and its restore is under way"
    if found := _EXPIRY_DATE.search(stay.restored):
        return f"{text}, and restored only until {found[1][:40]}"
    return f"{text}: no link to it opens"
