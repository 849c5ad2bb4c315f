"""Twilio: the recordings of one account, in every configured region.

The SDK finds the addresses and the filters; our own HTTP client under it decides where
credentials may go and what an answer means. One adapter, a file for each of its concerns.
"""

from reccli.adapters.twilio.adapter import TwilioAdapter
from reccli.adapters.twilio.origin import Origin
from reccli.adapters.twilio.signatures import Signatures, Signed

__all__ = ["Origin", "Signatures", "Signed", "TwilioAdapter"]
