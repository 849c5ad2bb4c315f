"""The services of a run as one value: the ports, the patience with them, and our clock.

For whatever in `flow` asks the outside; made by `wiring`, and by the simulator in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reccli.core.links import LinkBook
    from reccli.flow.checks import Checks
    from reccli.flow.ports import AirtablePort, S3Port, TwilioPort
    from reccli.flow.retry import Retry


@dataclass(frozen=True, slots=True)
class Services:
    """The three services, the patience with them, our clock (UTC), and what is asked once."""

    twilio: TwilioPort
    s3: S3Port
    airtable: AirtablePort
    book: LinkBook
    retry: Retry
    now: Callable[[], datetime]
    checks: Checks

    def retry_in(self, region: str) -> Retry:
        """Return the patience with a region of Twilio: of the main one, another says nothing."""
        return self.retry if region == self.twilio.regions[0] else self.retry.within(region)
