"""What the adapter needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AirtableOptions:
    """`[airtable]` of the configuration, with the names that object keys really use.

    `needles` are texts that give a Twilio address away in a link field, and `dated` is the one
    before the day of signing in a presigned link. No field of conferences: rows stand for calls
    alone.
    """

    api_key: str = field(repr=False)
    base_id: str
    table: str
    endpoint_url: str
    call_sid_field: str
    link_fields: tuple[str, ...]
    key_fields: Mapping[str, str]
    needles: tuple[str, ...]
    dated: str
    conference_sid_field: str = ""

    @property
    def columns(self) -> list[str]:
        """Every column that is asked for, once: rows may be wide, and an answer costs time."""
        talks = (self.call_sid_field, self.conference_sid_field)
        names = (*talks, *self.link_fields, *self.key_fields.values())
        return list(dict.fromkeys(filter(None, names)))
