"""What other stores than SeaweedFS do, as switches of the proxy in front of it.

Switches that are about some objects hold patterns (`re.search`) of their keys.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus

from reccli.sandbox.s3_messages import S3Answer, S3Request

NO_DECRYPT = (
    "User: arn:aws:iam::123456789012:user/recordings is not authorized to perform: kms:Decrypt on "
    "resource: arn:aws:kms:us-east-1:123456789012:key/5a5a5a5a because no identity-based policy "
    "allows the kms:Decrypt action"
)
NOT_THIS_HEADER = "A header you provided implies functionality that is not implemented"
FROZEN = "The operation is not valid for the object's storage class"
EXPIRED_TOKEN = "The provided token has expired."
SSE, CLASS = "x-amz-server-side-encryption", "x-amz-storage-class"
LONGEST_KEY = 1024
"""In bytes of UTF-8; SeaweedFS takes longer ones, S3 does not."""
DENY = (
    "User: arn:aws:iam::123456789012:user/recordings is not authorized to perform: s3:PutObject on "
    "resource: arn:aws:s3:::recordings/x with an explicit deny in a resource-based policy"
)


@dataclass(frozen=True, slots=True)
class Archived:
    """How an object lies in an archive. With `status`, the class is INTELLIGENT_TIERING."""

    storage_class: str = "GLACIER"
    status: str | None = None
    """`ARCHIVE_ACCESS` or `DEEP_ARCHIVE_ACCESS`."""
    restoring: bool = False
    """A restore has begun; it can't be read yet."""
    restored_until: datetime | None = None
    """A restore is done: it can be read."""

    def headers(self) -> dict[str, str]:
        """Return what HEAD and GET show of it."""
        shown = {
            "x-amz-storage-class": "INTELLIGENT_TIERING" if self.status else self.storage_class
        }
        if self.status:
            shown["x-amz-archive-status"] = self.status
        if self.restored_until:
            until = gmt(self.restored_until)
            shown["x-amz-restore"] = f'ongoing-request="false", expiry-date="{until}"'
        elif self.restoring:
            shown["x-amz-restore"] = 'ongoing-request="true"'
        return shown


@dataclass(slots=True)
class S3Traits:
    """How the store differs; as made, not at all."""

    archived: dict[str, Archived] = field(default_factory=dict)
    """GET of these is answered 403 InvalidObjectState, until they are restored."""
    expiring: dict[str, datetime] = field(default_factory=dict)
    """HEAD, GET and PUT of these say when a lifecycle rule will delete them."""
    flipped: set[str] = field(default_factory=set)
    """GET of these has one bit wrong, while checksums go on to show what was uploaded."""
    unreadable: set[str] = field(default_factory=set)
    """These can be put and looked at, and GET is answered 403: the key lacks kms:Decrypt."""
    no_checksums: bool = False
    """Answers show no x-amz-checksum-…."""
    no_sse: bool = False
    """PUT with server-side encryption is answered 501 NotImplemented."""
    broken_sse: bool = False
    """PUT with server-side encryption is answered 500 InternalError, as SeaweedFS without a key."""
    no_classes: bool = False
    """PUT with a storage class is answered 501 NotImplemented, in Cloudflare R2's words."""
    wants_kms: bool = False
    """A policy of the bucket denies each PUT that does not ask for aws:kms."""
    hidden: set[str] = field(default_factory=set)
    """HEAD of these is answered 403, as by a policy about some keys."""
    clock_shift: timedelta = timedelta()
    """What the Date of answers is off by."""
    expired_tokens: set[str] = field(default_factory=set)
    """Session tokens that are answered 400 ExpiredToken; any other is taken."""

    def refused(self, request: S3Request) -> S3Answer | None:
        """Refuse what the store would not carry out."""
        token = request.head.get("x-amz-security-token")
        if (token or request.query.get("x-amz-security-token")) in self.expired_tokens:
            return _error(request, 400, "ExpiredToken", EXPIRED_TOKEN)
        if len(request.key.encode(errors="surrogateescape")) > LONGEST_KEY:
            return _error(request, 400, "KeyTooLongError", "Your key is too long")
        if request.method == "HEAD" and any(matching(self.hidden, request.key)):
            return _error(request, 403, "AccessDenied", "Access Denied")
        return self._refused_put(request) if request.method == "PUT" else None

    def _refused_put(self, request: S3Request) -> S3Answer | None:
        """Refuse what is asked for beside the bytes."""
        encryption, storage_class = request.head.get(SSE), request.head.get(CLASS)
        if self.no_sse and encryption:
            more = f"<Header>{SSE}</Header>"
            return _error(request, 501, "NotImplemented", NOT_THIS_HEADER, more)
        if self.broken_sse and encryption:
            return _error(request, 500, "InternalError", "We encountered an internal error")
        if self.no_classes and storage_class:
            message = f"Header '{CLASS}' with value '{storage_class}' not implemented"
            return _error(request, 501, "NotImplemented", message)
        if self.wants_kms and encryption != "aws:kms":
            return _error(request, 403, "AccessDenied", DENY)
        return None

    def apply(self, request: S3Request, answer: S3Answer) -> S3Answer:
        """Change an answer of SeaweedFS to what the store would say."""
        if answer.is_ok and request.key:
            answer = self._of_object(request, answer)
        if self.no_checksums:
            answer.head.drop("x-amz-checksum-")
        if self.clock_shift:
            date = answer.head.get("date")
            now = parsedate_to_datetime(date) if date else datetime.now(UTC)
            answer.head.put("Date", gmt(now + self.clock_shift))
        return answer

    def _of_object(self, request: S3Request, answer: S3Answer) -> S3Answer:
        reads, looks = request.method == "GET", request.method in {"GET", "HEAD"}
        rest = next((self.archived[p] for p in matching(self.archived, request.key)), None)
        if rest and looks:
            if reads and not rest.restored_until:
                more = f"<StorageClass>{rest.storage_class}</StorageClass>"
                return _error(request, HTTPStatus.FORBIDDEN, "InvalidObjectState", FROZEN, more)
            for name, value in rest.headers().items():
                answer.head.put(name, value)
        if reads and any(matching(self.unreadable, request.key)):
            return _error(request, HTTPStatus.FORBIDDEN, "AccessDenied", NO_DECRYPT)
        if request.method in {"GET", "HEAD", "PUT"}:
            for pattern in matching(self.expiring, request.key):
                end = f'expiry-date="{gmt(self.expiring[pattern])}", rule-id="old"'
                answer.head.put("x-amz-expiration", end)
        if reads and answer.body and any(matching(self.flipped, request.key)):
            middle = len(answer.body) // 2
            wrong = bytes([answer.body[middle] ^ 1])
            answer.body = answer.body[:middle] + wrong + answer.body[middle + 1 :]
        return answer


def matching(patterns: Iterable[str], key: str) -> list[str]:
    """Return the patterns that KEY fits."""
    return [pattern for pattern in patterns if re.search(pattern, key)]


def gmt(time: datetime) -> str:
    """Format a time as HTTP does."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def _error(request: S3Request, status: int, code: str, message: str, more: str = "") -> S3Answer:
    return S3Answer.error(status, code, message, method=request.method, more=more)
