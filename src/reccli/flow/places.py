"""Where in the bucket a recording may be: by what its rows link to, and by its template.

For `sides` alone. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.errors import ServiceError
from reccli.core.model import S3State, StoredObject
from reccli.core.naming import can_be
from reccli.core.rows import linked_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reccli.core.model import Recording, Row
    from reccli.flow.outcome import Rules

UNKNOWN = StoredObject(S3State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Places:
    """The `keys` to look at, the first of which is its own; in `former` places it may have been.

    `nowhere` is what is known of S3 where there is no key to look at.
    """

    keys: tuple[str, ...]
    former: tuple[str, ...]
    nowhere: StoredObject


def places(sid: str, known: Recording | None, rows: Iterable[Row], rules: Rules) -> Places:
    """Tell where to look. What a link names and no object can be called is nowhere."""
    rows = tuple(rows)
    keys = tuple(filter(can_be, linked_keys(rows, sid, rules.book)))
    former = tuple(filter(can_be, linked_keys(rows, sid, rules.book, former=True)))
    if known is None:
        return Places(keys, former, UNKNOWN)
    try:
        named = rules.naming.key(known, rows)
    except ServiceError as error:
        return Places(keys, former, StoredObject(S3State.BAD_KEY, failure=error.failure))
    keys = (*keys, named) if named else keys
    return Places(keys, former, StoredObject(S3State.NO_KEY))
