"""The one vocabulary of failure: adapters translate SDK errors into it, everything else reads it.

A failure is a value, so that it can stand in an observation as the cause of an Unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """Who failed."""

    TWILIO = "twilio"
    S3 = "s3"
    AIRTABLE = "airtable"
    LEDGER = "ledger"
    DISK = "disk"
    RECCLI = "reccli"


class FailureKind(StrEnum):
    """What a failure means for this call, this run and the exit code."""

    OUTAGE = "outage"
    """The service did not answer, or answered that it is broken. Transient; opens the circuit."""
    BUSY = "busy"
    """The service is well but cannot do this now (429, media not there yet). Transient."""
    DENIED = "denied"
    """The service refused our credentials or permissions. Opens the circuit: exit code 4."""
    PERMANENT = "permanent"
    """Trying again would fail again: a person must look at this recording."""
    CONFIG = "config"
    """Only another configuration helps: the run ends before it does damage. Exit code 2."""
    FATAL = "fatal"
    """No further call in this run can succeed (the monthly cap of Airtable)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call, in words that an engineer on call can act on.

    `retry_after` is in seconds and is what the service asked for, if it asked.
    """

    service: Service
    kind: FailureKind
    code: str
    message: str
    hint: str = ""
    retry_after: float | None = None

    @property
    def transient(self) -> bool:
        """Whether the next run may succeed with nothing changed."""
        return self.kind in {FailureKind.OUTAGE, FailureKind.BUSY}

    @property
    def ends_run(self) -> bool:
        """Whether nothing further can be done in this run."""
        return self.kind in {FailureKind.FATAL, FailureKind.CONFIG}


class ServiceError(Exception):
    """Carries a `Failure` up to the one place that retries."""

    def __init__(self, failure: Failure) -> None:
        """Keep the failure and show its message."""
        super().__init__(f"{failure.service}: {failure.message}")
        self.failure = failure
