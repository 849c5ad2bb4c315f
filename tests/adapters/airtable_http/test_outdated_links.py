"""Permalinks are found by their beginning, with the presigned links in the same request."""

from __future__ import annotations

from datetime import date

import pytest

from .samples import CALL, MAIN, S3_LINK, TRANSFER, Base, fallback

ROOT = "https://calls.example.com/it's/r/"
DAY = date(2026, 11, 3)


def found(base: Base, *holding: str) -> set[str]:
    page = base.adapter.signed_until(DAY, None, holding=holding)
    assert page.cursor is None
    return {row.id for row in page.items}


@pytest.mark.parametrize("field", ["main", "transfer"])
def test_one_request_finds_both(base: Base, field: str) -> None:
    wanted = {
        base.add(**{field: f"{ROOT}a/b.mp3?sig=0"}),
        base.add(**{field: f"{S3_LINK}?X-Amz-Date=20261103T000000Z&X-Amz-Signature=0"}),
    }
    base.add(**{field: f"{S3_LINK}?X-Amz-Date=20261104T000000Z&X-Amz-Signature=0"})
    base.add(**{field: ROOT.replace("calls", "other") + "a.mp3?sig=0"})
    base.add(**{field: ROOT.upper()})
    base.add(**{field: fallback(1)})
    base.add()
    base.add(notes=ROOT)
    assert found(base, ROOT) == wanted
    assert len(base.server.requests) == base.pacer.waits == 1


def test_without_a_text_permalinks_stay_where_they_are(base: Base) -> None:
    base.add(main=f"{ROOT}a.mp3?sig=0", transfer=S3_LINK)
    assert found(base) == set()


def test_the_fields_are_those_of_the_links(base: Base) -> None:
    found(base, "text")
    (formula,) = base.server.requests[0].query["filterByFormula"]
    assert formula.endswith(f"FIND('text',{{{MAIN}}}),FIND('text',{{{TRANSFER}}}))")
    assert CALL not in formula
