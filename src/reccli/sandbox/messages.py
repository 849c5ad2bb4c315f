"""What passes over a connection of a stand-in: requests as they arrived, and answers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote


def fingerprint(authorization: str) -> str:
    """Hash an Authorization header: the log says which credentials came, and keeps none."""
    return hashlib.sha256(authorization.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `status` is 0 until it is answered, and stays 0 if it never is."""

    time: float
    method: str
    target: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """By lower-case name, without Authorization."""
    authorization: str | None
    """The `fingerprint` of the Authorization header."""
    body: bytes = b""
    status: int = 0

    @property
    def segments(self) -> list[str]:
        """The path's parts, split before they are decoded: a name may contain a slash."""
        return [unquote(part) for part in self.target.partition("?")[0].split("/")[1:]]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: object) -> Self:
        """Answer DOCUMENT as JSON."""
        return cls(status, json.dumps(document).encode())


def rest_exception(status: int, code: int, message: str) -> Response:
    """Answer an error as Twilio's 2010 API words it without `.json`."""
    body = (
        "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException>"
        f"<Code>{code}</Code><Message>{message}</Message>"
        f"<MoreInfo>https://www.twilio.com/docs/errors/{code}</MoreInfo>"
        f"<Status>{status}</Status></RestException></TwilioResponse>"
    )
    return Response(status, body.encode(), "application/xml")
