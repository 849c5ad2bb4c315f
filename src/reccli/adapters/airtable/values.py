"""Reads a cell as one text, whatever the type of its field: for the fields that keys are made of.

The shapes of cells are those of the field model in Airtable's Web API reference.
"""

from __future__ import annotations

import math


def value_of(cell: object) -> str | None:
    """Tell the text of a cell; empty where there is nothing, None for what has no text.

    Of several values (a lookup, a multiple choice, a list of people) the first one counts. A
    person is told by name, or by ID: an e-mail address has no business in a key.
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
