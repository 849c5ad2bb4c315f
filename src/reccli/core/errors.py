"""The one vocabulary of failure: adapters translate SDK errors into it, everything else reads it.

A failure is a value, so that it can stand in an observation as the cause of an Unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """Who failed."""

    TWILIO = "twilio"
    S3 = "s3"
    AIRTABLE = "airtable"
    LEDGER = "ledger"
    MACHINE = "this machine"
    RECCLI = "reccli"


class FailureKind(StrEnum):
    """What a failure means for this call, this run and the exit code."""

    OUTAGE = "outage"
    """The service did not answer, or answered that it is broken. Transient; opens the circuit."""
    BUSY = "busy"
    """The service is well but cannot do this now (429, media not there yet). Transient."""
    DENIED = "denied"
    """The service refused our credentials or permissions. Opens the circuit: exit code 4."""
    NOT_YET = "not yet"
    """What was just made is not there yet. Transient."""
    ANEW = "anew"
    """What was begun is forgotten (a cursor): begin it again, not this call. Transient."""
    PERMANENT = "permanent"
    """Trying again would fail again: a person must look at this recording."""
    GONE = "gone"
    """The service itself says that there is no such thing. That proves nothing."""
    ARCHIVED = "archived"
    """It is there, and opens for nobody until it is restored. Says nothing of others."""
    TOO_LARGE = "too large"
    """The request is longer than somebody on the way takes: a part of it may pass."""
    CONFIG = "config"
    """Only another configuration helps: the run ends before it does damage. Exit code 2."""
    FATAL = "fatal"
    """No further call in this run can succeed (the monthly cap of Airtable)."""


_TRANSIENT = frozenset(
    {FailureKind.OUTAGE, FailureKind.BUSY, FailureKind.NOT_YET, FailureKind.ANEW}
)
_LASTING = frozenset(
    {FailureKind.PERMANENT, FailureKind.GONE, FailureKind.ARCHIVED, FailureKind.TOO_LARGE}
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call, in words that an engineer on call can act on.

    `retry_after` is in seconds and is what the service asked for, if it asked. `field` is the field
    of a table that takes no link at all, whoever's: one such answer is enough.
    """

    service: Service
    kind: FailureKind
    code: str
    message: str
    hint: str = ""
    retry_after: float | None = None
    field: str | None = None

    @property
    def transient(self) -> bool:
        """Whether the next run may succeed with nothing changed."""
        return self.kind in _TRANSIENT

    @property
    def repeatable(self) -> bool:
        """Whether the very same call may succeed in a moment."""
        return self.transient and self.kind is not FailureKind.ANEW

    @property
    def lasting(self) -> bool:
        """Whether only a person can help, and with this recording alone."""
        return self.kind in _LASTING

    @property
    def ends_run(self) -> bool:
        """Whether nothing further can be done in this run."""
        return self.kind in {FailureKind.FATAL, FailureKind.CONFIG}


def forgotten_by_twilio(failure: Failure) -> bool:
    """Whether Twilio said that there is no such recording, as it does 40 days after a delete."""
    return failure.service is Service.TWILIO and failure.kind is FailureKind.GONE


def quotable(text: str, longest: int = 200) -> str:
    """Return foreign words as one short line that may be shown: a query may hold a signature."""
    text = re.sub(r"\?\S+", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest].strip()


class ServiceError(Exception):
    """Carries a `Failure` up to the one place that retries."""

    def __init__(self, failure: Failure) -> None:
        """Show the message of the failure."""
        super().__init__(f"{failure.service}: {failure.message}")
        self.failure = failure
