"""Which presigned links are found by the day on which they were signed."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.adapters.airtable import formulas
from reccli.core.errors import FailureKind
from reccli.sandbox.airtable_api import AirtableStandIn

from .samples import (
    API_KEY,
    BASE,
    CALL,
    MAIN,
    S3_LINK,
    TABLE,
    TRANSFER,
    Base,
    failure_of,
    fallback,
)

FIRST, LAST = date(2020, 1, 1), date(2035, 12, 31)
DAYS = {
    f"{day:%Y%m%d}": day
    for day in (FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1))
}
bounds = st.dates(FIRST, LAST)


def presigned(day: date, time: str = "101500") -> str:
    """Sign as botocore does: the date is neither first nor last in the query."""
    return (
        f"{S3_LINK}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential=AKIA%2F{day:%Y%m%d}%2Fus-east-1%2Fs3%2Faws4_request"
        f"&X-Amz-Date={day:%Y%m%d}T{time}Z&X-Amz-Expires=604800&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=0123456789abcdef"
    )


def found(base: Base, day: date) -> set[str]:
    pages = [base.adapter.signed_until(day, None)]
    while pages[-1].cursor:
        pages.append(base.adapter.signed_until(day, pages[-1].cursor))
    return {row.id for page in pages for row in page.items}


class TestDays:
    @given(bounds)
    def test_exactly_the_days_until_then(self, bound: date) -> None:
        prefixes = tuple(formulas.days_until(bound))
        matched = {day for text, day in DAYS.items() if text.startswith(prefixes)}
        assert matched == {day for day in DAYS.values() if day <= bound}

    @pytest.mark.parametrize("bound", [FIRST, date(2020, 12, 31), date(2029, 9, 30), LAST])
    def test_at_the_edges(self, bound: date) -> None:
        prefixes = tuple(formulas.days_until(bound))
        assert all(text.startswith(prefixes) == (day <= bound) for text, day in DAYS.items())

    @given(st.dates())
    def test_any_day_gives_a_formula(self, bound: date) -> None:
        prefixes = formulas.days_until(bound)
        assert prefixes[-1] == bound.isoformat().replace("-", "")
        assert len(set(prefixes)) == len(prefixes)
        assert all(re.fullmatch(r"[0-9]{1,8}", prefix) for prefix in prefixes)

    def test_an_example(self) -> None:
        assert formulas.days_until(date(2026, 2, 3)) == [
            *("2020", "2021", "2022", "2023", "2024", "2025"),
            *("202600", "202601"),
            *("20260200", "20260201", "20260202"),
            "20260203",
        ]

    def test_never_more_than_thirty_one(self) -> None:
        assert max(len(formulas.days_until(day)) for day in DAYS.values()) <= 31

    @given(bounds)
    def test_only_or_and_find(self, bound: date) -> None:
        formula = formulas.dated_until("X-Amz-Date=", bound, ["F", "G"])
        find = r"FIND\('X-Amz-Date=[0-9]{1,8}',\{[FG]\}\)"
        assert re.fullmatch(rf"OR\({find}(,{find})*\)", formula)


class TestRows:
    @pytest.mark.parametrize("day", [date(2026, 11, 3), date(2026, 1, 1), date(2030, 10, 31)])
    def test_before_and_at_but_not_after(self, base: Base, day: date) -> None:
        near = [day + timedelta(days=n) for n in (-2000, -365, -31, -10, -9, -1, 0)]
        wanted = {base.add(main=presigned(each)) for each in near}
        wanted.add(base.add(transfer=presigned(day, "000000")))
        wanted.add(base.add(main=S3_LINK, transfer=presigned(day, "235959")))
        for days in (1, 2, 9, 10, 28, 31, 365, 3000):
            base.add(main=presigned(day + timedelta(days=days)))
        base.add(main=presigned(day + timedelta(days=1), "000000"))
        assert found(base, day) == wanted

    def test_nothing_else_is_found(self, base: Base) -> None:
        base.add(main=f"{S3_LINK}?AWSAccessKeyId=AKIA&Expires=1700000000&Signature=x%3D")
        base.add(main=f"https://calls.example.com/r/x.mp3?sig={'0' * 64}", transfer=S3_LINK)
        base.add(main=fallback(1), transfer=fallback(2))
        base.add(main="20260101", transfer="X-Amz-Date=")
        base.add(notes=presigned(date(2025, 1, 1)))
        base.add()
        assert found(base, date(2026, 11, 3)) == set()

    def test_pages(self, base: Base) -> None:
        wanted = {base.add(main=presigned(date(2026, 11, 1 + n % 3))) for n in range(230)}
        assert found(base, date(2026, 11, 3)) == wanted
        assert base.pacer.waits == len(base.server.requests) == 3

    def test_an_expired_listing(self, base: Base) -> None:
        for _ in range(101):
            base.add(main=presigned(date(2026, 11, 1)))
        cursor = base.adapter.signed_until(date(2026, 11, 3), None).cursor
        base.server.expire_iterators()
        failure = failure_of(lambda: base.adapter.signed_until(date(2026, 11, 3), cursor))
        assert (failure.kind, failure.code) == (FailureKind.ANEW, "iterator_expired")


@pytest.mark.parametrize(
    "name", ["Recording URL (Twilio/S3), of the call & more: {}", "录音链接 {}"]
)
def test_two_long_names_fit_a_url(base: Base, name: str) -> None:
    """The day with the most prefixes; the second name is one of Chinese, 9 characters each."""
    day = max(DAYS.values(), key=lambda each: len(formulas.days_until(each)))
    names = tuple(name.format(text).replace("{", "") for text in ("A" * 90, "B" * 90))
    with AirtableStandIn(API_KEY, BASE, TABLE, fields=(CALL, *names)) as server:
        row = server.add_row(**{names[1]: presigned(day)}).id
        server.add_row(**{names[0]: presigned(day + timedelta(days=1))})
        adapter = Base(server).adapt(link_fields=names, key_fields={})
        assert [r.id for r in adapter.signed_until(day, None).items] == [row]
        (request,) = server.requests
        assert request.method == "GET"
        assert len(f"{server.url}{request.target}") < 16_000
        adapter.close()


def test_names_too_long_for_a_url_go_by_post() -> None:
    names = tuple(f"{n} {'x' * 250}" for n in range(8))
    with AirtableStandIn(API_KEY, BASE, TABLE, fields=(CALL, *names)) as server:
        row = server.add_row(**{names[7]: presigned(date(2029, 9, 29))}).id
        adapter = Base(server).adapt(link_fields=names, key_fields={})
        assert [r.id for r in adapter.signed_until(date(2029, 9, 29), None).items] == [row]
        assert [request.method for request in server.requests] == ["POST"]
        adapter.close()


def test_the_fields_are_those_of_the_links(base: Base) -> None:
    base.adapter.signed_until(date(2020, 1, 2), None)
    (formula,) = base.server.requests[0].query["filterByFormula"]
    day = "FIND('X-Amz-Date=202001{}',{{{}}})"
    assert formula == (
        f"OR({','.join(day.format(d, f) for d in ('01', '02') for f in (MAIN, TRANSFER))})"
    )
