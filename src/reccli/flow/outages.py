"""What is said of a service that has failed, and of a call that failed while it is well.

`retry` decides which of them it is; this only holds it and puts it into words, so that whoever
tells of outages need not know how calls are repeated. For `flow`, and for what tells of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from datetime import datetime

CIRCUIT_OPEN = "circuit_open"


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that has stopped being asked, and since when (UTC) it has failed."""

    service: Service
    since: datetime
    failure: Failure


class NotAskedError(ServiceError):
    """The service was not asked, because it has failed: nothing is known of this call."""


class AloneError(ServiceError):
    """It failed, and the service is well."""


def alone(failure: Failure) -> Failure:
    """Say that it is this one's; a refusal that others do not meet is none of our credentials."""
    if failure.kind is not FailureKind.DENIED:
        return failure
    return replace(
        failure,
        kind=FailureKind.PERMANENT,
        message=f"{failure.message}: refused for this alone, others are answered",
        hint="look for a policy, an access list or an encryption key that concerns it alone",
    )


def not_asked(outage: Outage) -> Failure:
    """Say why a call was not made."""
    message = f"not asked again, it has failed since {outage.since:%H:%M:%S} UTC"
    return replace(outage.failure, code=CIRCUIT_OPEN, message=message, retry_after=None)
