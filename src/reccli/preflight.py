"""What the services themselves say of the configuration, before a run begins.

`config` has checked every value by itself; what only a service can tell is asked here, once. For
`app`, which runs commands, and for `intake`, which serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reccli.config import ConfigError
from reccli.core.errors import FailureKind, ServiceError
from reccli.flow.findings import TEMPORARY

if TYPE_CHECKING:
    from reccli.config import Settings
    from reccli.core.errors import Failure
    from reccli.flow.ports import AirtablePort, S3Port


def check_fields(settings: Settings, airtable: AirtablePort) -> None:
    """Refuse fields that are named by ID; raises `ConfigError`, with their names if it may.

    Airtable takes IDs in a request and answers with names: every cell would read as empty, and
    links that people have put there would be written over.
    """
    ids = settings.airtable.field_ids
    if not ids:
        return
    try:
        names = airtable.field_names()
    except ServiceError:  # the token may lack schema.bases:read
        names = {}
    raise ConfigError([_by_name(key, field_id, names.get(field_id)) for key, field_id in ids])


def _by_name(key: str, field_id: str, name: str | None) -> str:
    known = f'{field_id} is "{name}"' if name else f"{field_id} is an ID"
    return f"{key}: {known}; name the field, because Airtable answers with names"


def dying_links(settings: Settings, s3: S3Port) -> Failure | None:
    """Return why no link that could be made would last; None if links can be made."""
    if settings.links.style != "presigned":
        return None
    try:
        if not s3.signs_temporarily():
            return None
    except ServiceError:
        return None  # asked again whenever a link is made
    return replace(TEMPORARY, kind=FailureKind.CONFIG)
