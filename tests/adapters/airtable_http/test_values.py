"""The fields that keys are made of: what each type of cell says in one text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.adapters.airtable.cell_text import value_of

from .samples import about, call

if TYPE_CHECKING:
    from .samples import Base

ANN = {"id": "usrA1b2C3d4E5f6G7", "email": "ann@example.com", "name": "Ann Lee"}
BY_MAIL = {"id": "usrZ9", "email": "bob@example.com", "name": "bob@example.com"}
PHOTO = {"id": "att1", "url": "https://example.com/x", "filename": "x.png", "type": "image/png"}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("", ""),
        ([], ""),
        ("Ann", "Ann"),
        (42, "42"),
        (42.0, "42"),
        (1e20, "100000000000000000000"),
        (4.5, "4.5"),
        (0.1 + 0.2, "0.3"),
        (-7, "-7"),
        (True, "true"),
        (False, "false"),
        (ANN, "Ann Lee"),
        ([ANN, BY_MAIL], "Ann Lee"),
        (BY_MAIL, "usrZ9"),
        ({"id": "usrX", "email": "x@example.com"}, "usrX"),
        ({"id": "usrX", "email": "x@example.com", "name": " "}, "usrX"),
        (["Ann", "Bob"], "Ann"),
        ([None, "", 42, "Bob"], "42"),
        ([None], ""),
        ([[["Ann"]]], "Ann"),
        ({"text": "4006381333931", "type": "ean13"}, "4006381333931"),
        ({"state": "generated", "value": "Acme", "isStale": False}, "Acme"),
        ({"error": "#ERROR!"}, None),
        ({"specialValue": "NaN"}, None),
        ({"label": "Open", "url": "https://example.com"}, None),
        ([PHOTO], None),
        ([{"error": "#ERROR!"}, "Ann"], None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_the_text_of_a_cell(cell: object, text: str | None) -> None:
    assert value_of(cell) == text


def test_a_row_brings_the_texts_of_its_fields(base: Base) -> None:
    base.add(call=call(1), provider=42, employee=ANN)
    base.add(call=call(1), provider={"error": "#ERROR!"})
    found = base.adapter.find([about(1, call(1))])
    assert sorted(str(row.fields) for row in found) == sorted(
        str(fields)
        for fields in (
            {"provider": "42", "employee": "Ann Lee"},
            {"provider": None, "employee": ""},
        )
    )
