"""Twilio: the recordings of one account, in every configured region.

The SDK finds the addresses and the filters; our own HTTP client under it decides where
credentials may go and what an answer means. One adapter, a file for each of its concerns.
"""

from reccli.adapters.twilio.explain import Explanation, explain
from reccli.adapters.twilio.origin import Origin
from reccli.adapters.twilio.signatures import Signatures, Signed, form, recording_status
from reccli.adapters.twilio.twilio_adapter import TwilioAdapter

__all__ = [
    "Explanation",
    "Origin",
    "Signatures",
    "Signed",
    "TwilioAdapter",
    "explain",
    "form",
    "recording_status",
]
