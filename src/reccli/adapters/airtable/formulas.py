"""Writes the filters, so that nothing in them but names and IDs of a known form is ours to trust.

Formulas can be injected into: a SID that is none is never written
into one, and every text goes through pyairtable's quoting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from pyairtable.formulas import field_name, quoted

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.sids import CALL, CONFERENCE, RECORDING, is_sid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from reccli.adapters.airtable.options import AirtableOptions
    from reccli.core.model import Ref

LONGEST_FORMULA = 14_000
"""As it stands in a URL, of which Airtable takes less than 16,000 characters."""

SHORTEST_ADDRESS = 50
"""How many characters an address that holds a recording SID has at least, as good as always."""

_FIRST_DAY = "20200101"
_ROW_ID = re.compile(r"rec[0-9A-Za-z]{1,40}")


def addressing(needles: Sequence[str], fields: Sequence[str]) -> str:
    """Filter the rows in which one of the fields holds one of the needles, in whatever case.

    So do rows count with a recording SID in so short a text that it is no address.
    """
    needles = list(dict.fromkeys(needle.lower() for needle in needles))
    return _any_of(condition for name in fields for condition in _addresses(needles, name))


def _addresses(needles: Iterable[str], name: str) -> Iterator[str]:
    # A field may hold what is no text, or nothing: what is joined with a text is one.
    text = f"{_field(name)}&''"
    yield from (f"FIND({quoted(needle)},LOWER({text}))" for needle in needles)
    yield f"AND(FIND('RE',{text}),LEN({text})<{SHORTEST_ADDRESS})"


def dated_until(dated: str, day: date, fields: Sequence[str], holding: Sequence[str] = ()) -> str:
    """Filter the rows in which one of the fields holds this UTC day or an earlier one, or a text.

    The day stands behind the text `dated`. See `days_until` for how a text search compares days.
    """
    days = (f"{dated}{prefix}" for prefix in days_until(day))
    return _containing([*days, *holding], fields)


def days_until(day: date) -> list[str]:
    """Write "from 2020 to this day" as beginnings of `YYYYMMDD`, for FIND cannot compare.

    A day is before another one exactly if some digit is smaller and those in front of it are the
    same. So up to 20260203 are 2020 … 2025, 202600, 202601, 2026020 with 0, 1 or 2 behind it, and
    the day itself: some 30 at most. Years before 2020 are left out: no link of ours is that
    old, and a formula has to fit a URL.
    """
    last = day.isoformat().replace("-", "")
    before = [
        last[:place] + str(smaller)
        for place, digit in enumerate(last)
        for smaller in range(int(digit))
    ]
    return [prefix for prefix in before if prefix.ljust(len(last), "9") >= _FIRST_DAY] + [last]


def about(refs: Iterable[Ref], options: AirtableOptions) -> Iterator[str]:
    """Filter the rows about these recordings, in as few formulas as URLs allow.

    A call SID that is none cannot be that of a row; the mention of the recording still counts.
    """
    wanted: dict[str, None] = {}
    for ref in refs:
        if not is_sid(ref.sid, RECORDING):
            raise _odd_id(ref.sid, "recording SID")
        if is_sid(ref.call_sid, CALL):
            wanted[_naming(ref.call_sid, options.call_sid_field)] = None
        if is_sid(ref.conference_sid, CONFERENCE) and options.conference_sid_field:
            wanted[_naming(ref.conference_sid, options.conference_sid_field)] = None
        wanted |= dict.fromkeys(_find(ref.sid, name) for name in options.link_fields)
    return _packed(wanted)


def _naming(sid: str, name: str) -> str:
    """Find the SID in a cell, for white space around it is nothing, and a lookup is a list."""
    return f"FIND({quoted(sid)},{_field(name)}&'')"


def named(row_ids: Iterable[str]) -> str:
    """Filter the rows with these IDs."""
    ids = tuple(row_ids)
    for row_id in ids:
        if not _ROW_ID.fullmatch(row_id):
            raise _odd_id(row_id, "row ID")
    return _any_of(f"RECORD_ID()={quoted(row_id)}" for row_id in ids)


def _containing(texts: Iterable[str], fields: Sequence[str]) -> str:
    return _any_of(_find(text, name) for text in dict.fromkeys(texts) for name in fields)


def _find(text: str, name: str) -> str:
    return f"FIND({quoted(text)},{_field(name)})"


def _any_of(conditions: Iterable[str]) -> str:
    return f"OR({','.join(conditions)})"


def _packed(conditions: Iterable[str]) -> Iterator[str]:
    pack: list[str] = []
    size = 0
    for condition in conditions:
        length = len(quote_plus(condition)) + len("%2C")
        if pack and size + length > LONGEST_FORMULA:
            yield _any_of(pack)
            pack, size = [], 0
        pack.append(condition)
        size += length
    if pack:
        yield _any_of(pack)


def _field(name: str) -> str:
    """Refer to a field. pyairtable leaves a backslash as it is, and Airtable fails on braces."""
    if "}" in name or "\\" in name:
        raise ServiceError(
            Failure(
                Service.AIRTABLE,
                FailureKind.PERMANENT,
                "unusable_field_name",
                f"no Airtable formula can name the field {name!r}: it has a closing brace or a "
                "backslash",
                "rename the field in Airtable and in airtable.call_sid_field, "
                "airtable.conference_sid_field or airtable.link_fields",
            )
        )
    return field_name(name)


def _odd_id(text: str, kind: str) -> ServiceError:
    """Refuse what has not the form of an ID: to leave it out would be to call its rows absent."""
    return ServiceError(
        Failure(Service.AIRTABLE, FailureKind.PERMANENT, "odd_id", f"{text[:40]!r} is no {kind}")
    )
