"""What the tests of the local Twilio share."""

import base64
from datetime import UTC, datetime

from reccli.sandbox.standin import fingerprint
from reccli.sandbox.twilio_api import FakeRecording, TwilioStandIn

ACCOUNT = "AC" + "1" * 32
KEY = "SK" + "2" * 32
AUTH = (ACCOUNT, "token")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASIC = fingerprint("Basic " + base64.b64encode(f"{ACCOUNT}:token".encode()).decode())


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def media_url(twilio: TwilioStandIn, recording: FakeRecording, extension: str = ".wav") -> str:
    return twilio.recording_url(recording) + extension
