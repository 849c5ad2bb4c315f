"""Reads every form of link that a row or a callback may hold, and writes ours.

A link found in data is data: it is parsed down to SIDs or a key and never requested as it
stands.
"""

from reccli.core.links.book import LinkBook
from reccli.core.links.link import (
    FORMER,
    ForeignLink,
    Link,
    ObjectLink,
    TwilioLink,
    Word,
    recordings_in,
)
from reccli.core.links.odd import Oddity
from reccli.core.links.permalink import signature
from reccli.core.links.twilio import MAIN_REGION, twilio_url
from reccli.core.links.urls import host_only, without_query

__all__ = [
    "FORMER",
    "MAIN_REGION",
    "ForeignLink",
    "Link",
    "LinkBook",
    "ObjectLink",
    "Oddity",
    "TwilioLink",
    "Word",
    "host_only",
    "recordings_in",
    "signature",
    "twilio_url",
    "without_query",
]
