"""Which archive this is: for the lock of a run, and for what the ledger holds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reccli.config.settings import Settings


def identity(settings: Settings) -> str:
    """Return a name for the account, the place in S3 and the table that make one archive.

    A short hash, so that it can stand in a file's name and gives nothing away.
    """
    twilio, s3, airtable = settings.twilio, settings.s3, settings.airtable
    parts = (
        *(twilio.account_sid, twilio.api_base),
        *(s3.endpoint_url, s3.bucket, s3.prefix),
        *(airtable.endpoint_url, airtable.base_id, airtable.table),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
