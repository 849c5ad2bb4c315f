"""How long Twilio may take to complete a recording before it is one to worry about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from reccli.core.model import TwilioState

if TYPE_CHECKING:
    from reccli.core.model import Recording

LONGEST_CALL = timedelta(hours=24)
"""Twilio ends a call after 24 hours at the latest."""
PROCESSING = timedelta(hours=6)
"""Processing takes minutes, and begins when the call is over; few calls last for hours."""


def lateness(recording: Recording, now: datetime) -> timedelta | None:
    """Return how long ago a recording that is not completed was begun, if that is too long."""
    if recording.state is not TwilioState.PENDING or recording.created is None:
        return None
    since = now - recording.created
    patience = PROCESSING if recording.status == "processing" else LONGEST_CALL + PROCESSING
    return since if since > patience else None
