"""A callback as Twilio sends it, for tests: parameters and their form are those of its docs.

For `reccli webhook sign`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reccli.core.model import Ref


def recording_status(ref: Ref, status: str, url: str) -> tuple[tuple[str, str], ...]:
    """Write the parameters that tell of a recording's status; `url` is its address at Twilio."""
    told = [
        ("AccountSid", ref.account_sid),
        ("CallSid", ref.call_sid or ""),
        ("RecordingSid", ref.sid),
        ("RecordingUrl", url),
        ("RecordingStatus", status),
        ("RecordingChannels", "1"),
        ("RecordingStartTime", f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000"),
        ("RecordingSource", "StartCallRecordingTwiML"),
        ("RecordingTrack", "both"),
        ("ErrorCode", "0"),
    ]
    if status == "completed":
        told.append(("RecordingDuration", "13"))
    return tuple(told)
