"""What an answer to a link, or none, means in our vocabulary of failure.

Whoever answers is not trusted: of a body only S3's `Code` and `Message` are read, from its
beginning and by a pattern, because a parser would expand what an attacker wrote. Nothing that is
shown holds a query, for there are the signatures.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx

from reccli import network
from reccli.core.errors import Failure, FailureKind, Service, ServiceError, quotable
from reccli.core.links import without_query

if TYPE_CHECKING:
    from typing import Self

_EXCERPT = 16 * 1024
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)")
_PAGE = re.compile(r"text/html|(application|text)/([\w.-]+\+)?xml", re.ASCII)
_EXPIRED = re.compile(r"has expired|ExpiredToken|TokenRefreshRequired")
_TEXT_LENGTH = 300
_SHORTEST_SECRET = 8

_SERVE = "check links.base_url, its path, and that `reccli serve` runs there with this links.secret"
_SERVE_BUSY = "look for permalink_not_signed in the log of `reccli serve`; else is it running?"
_HINTS = [
    ("InvalidObjectState", "it is archived: restore it, and keep lifecycle rules off the bucket"),
    ("kms:Decrypt", "grant kms:Decrypt on the KMS key to the credentials that sign links"),
    (r"KMS\.", "enable the KMS key that the object is encrypted with"),
    (
        "Request has expired",
        "`reccli process` renews links; at a new one, set this machine's clock",
    ),
    ("Expired|TokenRefreshRequired|InvalidToken", "sign links with credentials that do not expire"),
    ("not valid yet|RequestTimeTooSkewed", "set this machine's clock (NTP)"),
    (
        "SignatureDoesNotMatch|InvalidAccessKeyId",
        "check the credentials that sign links, and that no proxy changes the host or the query",
    ),
    ("PermanentRedirect|AuthorizationHeader|IllegalLocation", "correct s3.region"),
    ("NoSuchBucket", "create the bucket, or correct s3.bucket"),
]
_GRANT = (
    "grant s3:GetObject on the bucket to the credentials that sign links, and s3:ListBucket, "
    "without which a missing object is refused too"
)
_PUBLIC = (
    "nothing is signed here: let people read the object or go through a CDN, else use links.style "
    '"presigned" or "permalink"'
)
_STATUSES = {
    401: (FailureKind.DENIED, "link_denied"),
    403: (FailureKind.DENIED, "link_denied"),
    407: (FailureKind.DENIED, "link_denied"),
    408: (FailureKind.OUTAGE, "link_unreachable"),
    416: (FailureKind.PERMANENT, "link_no_audio"),
    429: (FailureKind.BUSY, "link_unreachable"),
}
_HINTS_BY_STATUS = {
    401: "a login stands before the link",
    404: "the object is gone, or s3.bucket, s3.endpoint_url or links.base_url names another place",
    416: "the object is empty",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What was requested and of whom, in words that may be shown."""

    what: str
    service: Service
    signed: bool
    secrets: frozenset[str]

    @classmethod
    def first(cls, url: str) -> Self:
        """Return the first request, for the link itself."""
        shown = re.sub(r"//[^/]*@", "//", without_query(url))
        return cls._of(url, f"GET {quotable(shown, _TEXT_LENGTH)}", frozenset())

    def next(self, url: httpx.URL) -> Self:
        """Return what is asked where a redirect leads; of its address only the host is shown."""
        link = self.what.partition(" and then ")[0]
        return self._of(str(url), f"{link} and then {url.host}", self.secrets)

    @property
    def host(self) -> str:
        """The host that was asked last, for messages."""
        link, _, then = self.what.partition(" and then ")
        return then or urlsplit(link.partition(" ")[2]).hostname or ""

    @classmethod
    def _of(cls, url: str, what: str, secrets: frozenset[str]) -> Self:
        query = _query(url)
        permalink = "sig" in query and "/r/" in without_query(url)
        return cls(
            what,
            # Or of whatever answers in its place: it is what should be there.
            Service.RECCLI if permalink else Service.S3,
            bool(query.keys() & {"x-amz-signature", "signature"}),
            # As they stand and decoded, for an answer may repeat them either way.
            secrets | {form for value in query.values() for form in (value, unquote(value))},
        )

    def failed(
        self,
        kind: FailureKind,
        code: str,
        message: str,
        hint: str = "",
        retry_after: float | None = None,
    ) -> ServiceError:
        """Return an error of the one kind that leaves this adapter."""
        text = f"{self.what} {message}"
        return ServiceError(Failure(self.service, kind, code, text, hint, retry_after))

    def misled(self) -> ServiceError:
        """Return the error of a redirect to what is no address."""
        hint = "people's browsers warn of such links, or block them"
        message = "was redirected to what is no address, or holds a login, which is not followed"
        return self.failed(FailureKind.PERMANENT, "link_redirects", message, hint)

    def unreachable(self, error: Exception) -> ServiceError:
        """Translate what stopped us from getting an answer."""
        if known := network.failure_on_the_way(error, self.service, self.host):
            return ServiceError(known)
        named = type(error).__name__
        if isinstance(error, httpx.NetworkError):  # its words alone come from the system
            named += f" ({quotable(str(error), _TEXT_LENGTH)})"
        hint = "check the network, DNS, the certificate and s3.endpoint_url or links.base_url"
        if self.service is Service.RECCLI:
            hint = f"check that `reccli serve` runs behind links.base_url; {hint}"
        message = f"was not answered: {named}"
        return self.failed(FailureKind.OUTAGE, "link_unreachable", message, hint)


def unlike_audio(asked: Opened, answer: httpx.Response, patience: float) -> ServiceError | None:
    """Return what is wrong with an answer, None if audio comes; reads of it what that takes.

    `patience` in seconds bounds the reading of an error. What httpx raises goes up.
    """
    if answer.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        return _refused(asked, answer, _excerpt(answer, patience))
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    start = next((chunk for chunk in answer.iter_raw() if chunk), b"")
    # A page under another type, too: no form of audio begins like that.
    if _PAGE.fullmatch(kind) or start.startswith(b"<"):
        message = f"was answered {answer.status_code} with a page instead of the recording"
        hint = "a login, a portal or another site answers there: people get that page"
    elif not start:
        message = f"was answered {answer.status_code} with nothing"
        hint = "the object is empty, or a proxy has swallowed it"
    else:
        return None
    return asked.failed(FailureKind.PERMANENT, "link_no_audio", message, hint)


def _refused(asked: Opened, answer: httpx.Response, body: str) -> ServiceError:
    status = answer.status_code
    code, said = _first(_CODE, body), _without(asked.secrets, _first(_MESSAGE, body))
    message = f"was answered {status}"
    if code:
        message += f" {code}" + (f": {said}" if said else "")
    kind, name = _meaning(status, code, said)
    hint = _hint(asked, status, code, said)
    if kind is FailureKind.PERMANENT and name == "link_dead":
        message = f"leads nowhere: it {message}"
    return asked.failed(kind, name, message, hint, network.retry_after(answer.headers))


def _meaning(status: int, code: str, said: str) -> tuple[FailureKind, str]:
    if code == "InvalidObjectState":
        return FailureKind.ARCHIVED, "link_archived"
    if _EXPIRED.search(f"{code} {said}"):
        return FailureKind.DENIED, "link_expired"
    if code == "InvalidToken":
        return FailureKind.DENIED, "link_denied"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return FailureKind.OUTAGE, "link_unreachable"
    return _STATUSES.get(status, (FailureKind.PERMANENT, "link_dead"))


def _hint(asked: Opened, status: int, code: str, said: str) -> str:
    """Return what to change: S3's own words say most, then what was asked."""
    for pattern, hint in _HINTS:
        if re.search(pattern, f"{code}: {said}"):
            return hint
    if asked.service is Service.RECCLI:
        return _SERVE_BUSY if status == httpx.codes.SERVICE_UNAVAILABLE else _SERVE
    if status == httpx.codes.FORBIDDEN:
        return _GRANT if asked.signed else _PUBLIC
    return _HINTS_BY_STATUS.get(status, "")


def _excerpt(answer: httpx.Response, patience: float) -> str:
    """Read the beginning of an error; what breaks there leaves the status, which says enough."""
    body, end = b"", time.monotonic() + patience
    try:
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) >= _EXCERPT or time.monotonic() > end:
                break
    except httpx.HTTPError:
        pass
    return body[:_EXCERPT].decode(errors="replace")


def _query(url: str) -> dict[str, str]:
    """Split a query, its names in lower case and its values as they stand."""
    query = url.partition("?")[2].partition("#")[0]
    pairs = (pair.partition("=") for pair in query.split("&"))
    return {name.lower(): value for name, _, value in pairs}


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _without(secrets: frozenset[str], text: str) -> str:
    """Return foreign words fit to be shown, with no part of ours in them."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return quotable(text, _TEXT_LENGTH)
