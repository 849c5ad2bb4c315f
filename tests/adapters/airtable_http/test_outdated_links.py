"""Permalinks are found by their beginning, with the presigned links in the same request."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import quote_plus

import pytest

from reccli.adapters.airtable import formulas
from reccli.core.links import DATED, LinkBook, ObjectLink
from tests.core.samples import make_book

from .samples import CALL, MAIN, S3_LINK, TRANSFER, Base, fallback, recording

ROOT = "https://calls.example.com/it's/r/"
DAY = date(2026, 11, 3)
KEY = f"call-recordings/{recording(1)}.mp3"
SIGNED_LATER = "X-Amz-Date=20261104T000000Z&X-Amz-Expires=604800&X-Amz-Signature=0"


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


FORMER = ("s3://former-calls", "s3://older/call-recordings", "https://old-cdn.example.com/calls/")


@pytest.mark.parametrize("style", ["presigned", "permalink", "object"])
class TestOfABook:
    """What `LinkBook.outdated` names is found by that one request, and no link of today."""

    def make(self, style: str, former: tuple[str, ...] = FORMER) -> LinkBook:
        base_url = "https://calls.example.com"
        return make_book(style=style, base_url=base_url, secrets=("s",), former=former)

    @pytest.mark.parametrize(
        "url",
        [
            f"https://former-calls.s3.amazonaws.com/{KEY}?AWSAccessKeyId=A&Signature=a&Expires=1",
            f"https://former-calls.s3.eu-west-1.amazonaws.com/{KEY}",
            f"https://former-calls.s3-accelerate.amazonaws.com/{KEY}",
            f"https://s3.eu-west-1.amazonaws.com/former-calls/{KEY}",
            f"s3://former-calls/{KEY}",
            f"https://older.s3.amazonaws.com/call-recordings/{KEY}",
            f"https://s3.amazonaws.com/older/call-recordings/{KEY}",
            f"https://old-cdn.example.com/calls/{KEY}",
            f"https://calls.s3.amazonaws.com/{KEY}?AWSAccessKeyId=A&Signature=a&Expires=4102444800",
            f"https://calls.s3.amazonaws.com/{KEY}?{SIGNED_LATER}&X-Amz-Security-Token=t",
        ],
    )
    def test_found(self, base: Base, style: str, url: str) -> None:
        book = self.make(style)
        row = base.add(transfer=url)
        day = DAY if style == "presigned" else date(2026, 11, 4)
        page = base.adapter.signed_until(day, None, holding=book.outdated)
        assert [row.id for row in page.items] == [row]
        link = book.parse(url)
        assert isinstance(link, ObjectLink)
        assert not book.usable(link, datetime(2026, 11, 4, 12, tzinfo=UTC))

    def test_not_found(self, base: Base, style: str) -> None:
        book = self.make(style)
        today = {
            "presigned": f"https://calls.s3.amazonaws.com/{KEY}?{SIGNED_LATER}",
            "permalink": book.permalinks.write(KEY),
            "object": book.objects.write(KEY),
        }
        base.add(main=today[style], transfer="https://other.example.com/former-calls")
        assert found(base, *book.outdated) == set()

    def test_the_formula_fits_a_url_with_three_fields_and_five_places(self, style: str) -> None:
        places = (*FORMER, "s3://former-recordings-of-our-company-eu-west-1", "https://a.example/b")
        fields = (MAIN, TRANSFER, "Recording of the conference (Twilio/S3)")
        book = self.make(style, places)
        formula = formulas.dated_until(DATED, date(2029, 9, 29), fields, book.outdated)
        assert len(quote_plus(formula)) < formulas.LONGEST_FORMULA
