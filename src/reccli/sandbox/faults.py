"""What can go wrong with a request on purpose, for a number of times or for ever."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """How a stand-in misbehaves."""

    REFUSE = "refuse"
    """Close the connection at once."""
    STATUS = "status"
    """Answer the given status, body and headers; no effect."""
    STALL = "stall"
    """Wait for `delay` seconds, then carry on: a client that gave up sees the effect come late."""
    LOST_RESPONSE = "lost-response"
    """Carry the effect out, then close the connection without an answer."""
    TRUNCATE = "truncate"
    """Declare the full Content-Length, send `share` of the body, close."""
    SHORT = "short"
    """Send `share` of the body, chunked and properly ended: nothing in HTTP shows it is short."""
    HALF = "half"
    """Send `share` of the body under its own right Content-Length, as a cache with half a file."""
    CLOSED = "closed"
    """Send `share` of the body with no length at all; the end of the connection is its end."""
    CHUNKED = "chunked"
    """Send the whole body, chunked: right, and without a length to check it by."""
    DRIP = "drip"
    """Send `share` of the body, and then a byte every `delay` seconds."""
    GZIP = "gzip"
    """Send the body compressed, whatever was asked for, as some proxies do."""
    EMPTY = "empty"
    """Answer 200 with an empty body; no effect."""
    HTML = "html"
    """Answer 200 with a login page, as a captive portal or a proxy does; no effect."""
    XML = "xml"
    """Answer 200 with a RestException document (clientcomm#208 stored one as audio); no effect."""


@dataclass(slots=True)
class Fault:
    """Misbehave on requests that match both patterns (`re.search`), but for the first `after`."""

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    """None: for ever."""
    after: int = 0
    status: int = 503
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 60.0
    share: float = 0.5
    """How much of the body arrives with SHORT, HALF, TRUNCATE and CLOSED; 1.0 is all of it."""

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault is about such a request."""
        return bool(
            (self.method is None or re.search(self.method, method))
            and (self.path is None or re.search(self.path, path))
        )


class Faults:
    """The faults in force, shared by threads. The first that matches a request is used up."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Put FAULT in force, behind the others."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()

    def __len__(self) -> int:
        return len(self._faults)

    def take(self, method: str, path: str) -> Fault | None:
        """Use one fault up, if any is about such a request."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None
