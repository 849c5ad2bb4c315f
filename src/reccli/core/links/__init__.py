"""Reads every form of link that a row or a callback may hold, and writes ours.

A provider knows one kind of address, and is asked in turn by the `LinkBook`: `twilio`, `permalink`
and `objects`. A link found in data is data: it is parsed down to SIDs or a key and never requested
as it stands.
"""

from reccli.core.links.address import host_only, without_query
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
from reccli.core.links.objects import DATED, Bucket, ObjectLinks
from reccli.core.links.permalink import Permalinks, signature
from reccli.core.links.twilio import MAIN_REGION, Oddity, TwilioLinks, twilio_url

__all__ = [
    "DATED",
    "FORMER",
    "MAIN_REGION",
    "Bucket",
    "ForeignLink",
    "Link",
    "LinkBook",
    "ObjectLink",
    "ObjectLinks",
    "Oddity",
    "Permalinks",
    "TwilioLink",
    "TwilioLinks",
    "Word",
    "host_only",
    "recordings_in",
    "signature",
    "twilio_url",
    "without_query",
]
