"""What can go wrong with one call of a port, and plans of where it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reccli.core.errors import Failure, FailureKind, Service, ServiceError


class Fault(StrEnum):
    """One thing that a call of a port may run into."""

    REFUSED = "refused"
    BUSY = "busy"
    BROKEN = "broken"
    TIMEOUT = "timeout before the effect"
    LATE = "timeout after the effect"
    LOST = "lost response"
    DENIED = "denied"
    STALE = "stale read"
    CUT = "body ends early"
    CUT_CHUNKED = "body of unknown length ends early"
    TORN = "body breaks off"
    HTML = "a page instead of the body"
    NO_MEDIA = "no audio yet"
    FLIPPED = "bits flip on the way up"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


BODY = frozenset({Fault.CUT, Fault.CUT_CHUNKED, Fault.TORN, Fault.HTML})
"""Faults of a download; the port of the recordings carries them out."""

MEDIA_ONLY = BODY | {Fault.NO_MEDIA}
READS_ONLY = frozenset({Fault.STALE})
UPLOADS_ONLY = frozenset({Fault.FLIPPED})

SECONDS = {Fault.TIMEOUT: 20.0, Fault.LATE: 20.0, Fault.BUSY: 1.0}
"""How long a call takes that runs into this."""

RETRY_AFTER = 30.0
"""What a service asks for that is BUSY: the penalty of Airtable."""

_KINDS = {
    Fault.REFUSED: (FailureKind.OUTAGE, "connection_refused"),
    Fault.BUSY: (FailureKind.BUSY, "http_429"),
    Fault.BROKEN: (FailureKind.OUTAGE, "http_503"),
    Fault.TIMEOUT: (FailureKind.OUTAGE, "timeout"),
    Fault.LATE: (FailureKind.OUTAGE, "timeout"),
    Fault.LOST: (FailureKind.OUTAGE, "connection_reset"),
    Fault.DENIED: (FailureKind.DENIED, "http_403"),
    Fault.TORN: (FailureKind.OUTAGE, "connection_reset"),
    Fault.FLIPPED: (FailureKind.BUSY, "BadDigest"),
}


def faults_of(name: str) -> list[Fault]:
    """Tell what a call of this port may run into; whether a stale read differs is seen then."""
    writes = name in {"twilio.delete", "s3.put", "airtable.write", "twilio.media"}
    return [
        fault
        for fault in Fault
        if not (fault in MEDIA_ONLY and name != "twilio.media")
        and not (fault in UPLOADS_ONLY and name != "s3.put")
        and not (fault in READS_ONLY and writes)
    ]


class CrashError(BaseException):
    """The process is gone: no code of a run survives this, as with `kill -9`."""


def error(service: Service, fault: Fault) -> ServiceError:
    """Make what an adapter raises for this fault."""
    kind, code = _KINDS[fault]
    wait = RETRY_AFTER if fault is Fault.BUSY else None
    return ServiceError(Failure(service, kind, code, f"injected: {fault}", retry_after=wait))


@dataclass(slots=True)
class Plan:
    """Which call of a run meets which fault; calls are numbered from 1.

    `fired` lists the faults that found a call which can meet them.
    """

    at: Mapping[int, Fault] = field(default_factory=dict)
    choose: Callable[[int, str], Fault | None] | None = None
    fired: list[tuple[int, str, Fault]] = field(default_factory=list)

    def due(self, number: int, name: str) -> Fault | None:
        """Tell what this call is to meet."""
        if self.choose is not None:
            return self.choose(number, name)
        return self.at.get(number)
