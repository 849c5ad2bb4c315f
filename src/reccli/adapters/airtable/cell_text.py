"""Reads cells: what a person sees in them, whatever the type of their field.

The shapes of cells are those of the field model in Airtable's Web API reference.
"""

from __future__ import annotations

import json
import math
import re

from reccli.core.cells import bare, sid_in
from reccli.core.errors import Failure, FailureKind, Service, ServiceError

_ESCAPED = re.compile(r"\\([_*~])")


def link(name: str, cell: object) -> str:
    """Read a link cell: what is no text becomes JSON, so that it is taken and names its SIDs.

    A field of rich text gives back Markdown: a line end behind it, a backslash before its marks.
    Raises `ServiceError` for files, which only a field of attachments can hold.
    """
    if isinstance(cell, str):
        return _ESCAPED.sub(r"\1", cell).removesuffix("\n")
    if _are_files(cell):
        raise takes_files(name)
    return "" if cell is None else json.dumps(cell)


def sid(cell: object, kind: str) -> str:
    """Return the SID of a kind ("CA") that is all a cell holds, once or in a list; else nothing."""
    several = isinstance(cell, list) and len(set(map(str, cell))) > 1
    return "" if several else sid_in(words(cell), kind)


def text_of(cell: object) -> str:
    """Return what a cell holds, without white space around it; what is no text becomes JSON."""
    if isinstance(cell, str):
        return bare(cell)
    return "" if cell is None else json.dumps(cell)


def words(cell: object) -> str:
    """Read a text, or the first of several (a lookup, a multiple choice)."""
    if isinstance(cell, list) and cell:
        cell = cell[0]
    return cell if isinstance(cell, str) else ""


def takes_files(name: str) -> ServiceError:
    """Return the refusal of a link field of attachments: what is in there is nobody's link."""
    return ServiceError(
        Failure(
            Service.AIRTABLE,
            FailureKind.CONFIG,
            "attachment_field",
            f"{name!r} of airtable.link_fields is a field of attachments, which takes no links",
            "name a field of single line text, long text or URL in airtable.link_fields",
        )
    )


def _are_files(cell: object) -> bool:
    files = [one for one in cell if isinstance(one, dict)] if isinstance(cell, list) else []
    return any({"url", "filename"} <= one.keys() for one in files)


def value_of(cell: object) -> str | None:
    """Return a cell as one text, for a key; empty where there is nothing, None for what has none.

    Of several values (a lookup, a multiple choice, a list of people) the first one counts. Of a
    person that is the name, or the ID: an e-mail address has no business in a key.
    """
    text: str | None = None  # an error of a formula, an attachment, a button
    match cell:
        case None:
            text = ""
        case str():
            text = cell
        case bool():
            text = "true" if cell else "false"
        case int() | float():
            text = _number(cell)
        case [*items]:
            found = (value_of(item) for item in items)
            text = next((value for value in found if value != ""), "")
        case {"name": str(name)} if name.strip() and "@" not in name:
            text = name
        case {"id": str(person), "email": str()}:
            text = person
        case {"text": str(read), "type": _}:  # off a barcode
            text = read
        case {"value": str(written), "state": _}:  # by Airtable's AI
            text = written
    return text


def _number(cell: float) -> str | None:
    if not math.isfinite(cell):
        return None
    return str(int(cell)) if cell == int(cell) else f"{cell:.15g}"
