"""What Twilio lists between two times, and which calls are whole in it. For `source`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from reccli.core.model import Recording

_LONGEST_CALL = timedelta(hours=24)
"""Twilio ends a call after 24 hours at the latest."""


@dataclass(frozen=True, slots=True)
class ListedCalls:
    """The recordings that were listed, or a part of them; `everyone` is the whole, by SID."""

    recordings: Mapping[str, Recording]
    since: datetime | None
    until: datetime | None
    everyone: Mapping[str, Recording]

    def has_whole_call_of(self, recording: Recording) -> bool:
        """Whether the bounds of the listing cannot have cut the call of a recording."""
        created = recording.created
        if created is None:
            return False
        after = self.since is None or self.since + _LONGEST_CALL <= created
        return after and (self.until is None or created <= self.until - _LONGEST_CALL)


def found_between(
    recordings: Iterable[Recording], since: datetime | None, until: datetime | None
) -> ListedCalls:
    """Hold a listing to the exact time of its beginning; what has no time may be of any."""
    found = {one.sid: one for one in recordings if _is_since(one, since)}
    return ListedCalls(found, since, until, found)


def _is_since(recording: Recording, since: datetime | None) -> bool:
    return since is None or recording.created is None or recording.created >= since
