"""What tells one archive from another: for the lock of a run, and for what the ledger holds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reccli.config.settings import Settings


def identity(settings: Settings) -> str:
    """Name an archive: from which account recordings come, where they go, which table links them.

    A short hash, so that it can stand in a file's name and tells nobody anything.
    """
    twilio, s3, airtable = settings.twilio, settings.s3, settings.airtable
    parts = (
        *(twilio.account_sid, twilio.api_base),
        *(s3.endpoint_url, s3.bucket, s3.prefix),
        *(airtable.endpoint_url, airtable.base_id, airtable.table),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
