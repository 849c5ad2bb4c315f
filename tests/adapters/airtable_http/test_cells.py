"""What is read and written, over real HTTP against the stand-in."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from requests import RequestException

from reccli.adapters.airtable import AirtableAdapter
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import Row
from reccli.flow.pacer import Pacer
from reccli.sandbox.airtable_api import Paging

from .samples import (
    ACCOUNT,
    API_KEY,
    CALL,
    EMPLOYEE,
    MAIN,
    PROVIDER,
    S3_LINK,
    TRANSFER,
    Base,
    about,
    call,
    fallback,
    make_options,
    recording,
)

if TYPE_CHECKING:
    from pathlib import Path

    from reccli.flow.ports import AirtablePort, Page


def scan(adapter: AirtableAdapter) -> list[Page[Row]]:
    pages = [adapter.fallbacks(None)]
    while pages[-1].cursor:
        pages.append(adapter.fallbacks(pages[-1].cursor))
    return pages


def test_it_is_the_port(base: Base) -> None:
    port: AirtablePort = base.adapter
    assert port.fallbacks(None).items == []
    assert API_KEY not in repr(make_options("http://x"))


class TestCells:
    def test_a_row(self, base: Base) -> None:
        row = base.add(
            call=f" {call(1)}\n", main=fallback(1), provider="Acme", employee="Ann", notes="private"
        )
        assert base.adapter.read([row]) == [
            Row(
                row,
                call(1),
                {MAIN: fallback(1), TRANSFER: ""},
                {"provider": "Acme", "employee": "Ann"},
            )
        ]

    def test_only_what_is_needed_is_asked_for(self, base: Base) -> None:
        base.adapter.fallbacks(None)
        (request,) = base.server.requests
        assert request.query["fields[]"] == [CALL, MAIN, TRANSFER, PROVIDER, EMPLOYEE]
        assert request.query["pageSize"] == ["100"]

    @pytest.mark.parametrize("cell", [5, 0.5, True, ["a"], {"url": fallback(7)}, [{"id": "att"}]])
    def test_a_link_cell_that_is_no_text_is_taken(self, base: Base, cell: object) -> None:
        row = base.add(main=cell)
        (found,) = base.adapter.read([row])
        assert found.links[MAIN] == json.dumps(cell)
        assert found.links[TRANSFER] == ""

    @pytest.mark.parametrize(
        ("cell", "text"),
        [("Acme", "Acme"), (["Acme", "Other"], "Acme"), (5, "5"), ([5], "5"), ([{"a": 1}], None)],
    )
    def test_key_columns(self, base: Base, cell: object, text: str | None) -> None:
        row = base.add(provider=cell, call=[call(1)])
        (found,) = base.adapter.read([row])
        assert found.fields == {"provider": text, "employee": ""}
        assert found.call_sid == call(1)  # a lookup of one value


class TestFallbacks:
    def test_any_needle_in_any_link_field(self, base: Base) -> None:
        wanted = {
            base.add(main=fallback(1)),
            base.add(transfer=fallback(2)),
            base.add(main=S3_LINK, transfer="http://127.0.0.1:4010/2010-04-01/x"),
        }
        base.add(main=S3_LINK)
        base.add(notes=fallback(3))
        base.add()
        assert {row.id for row in base.adapter.fallbacks(None).items} == wanted

    @pytest.mark.parametrize("host", ["API.TWILIO.COM", "Api.Sydney.au1.Twilio.Com", "CALLS.Test"])
    def test_a_host_in_any_case(self, base: Base, host: str) -> None:
        adapter = base.adapt(needles=("twilio.com", "Calls.Test"))
        row = base.add(transfer=fallback(1).replace("api.twilio.com", host))
        base.add(main=S3_LINK)
        assert [found.id for found in adapter.fallbacks(None).items] == [row]
        adapter.close()

    @pytest.mark.parametrize(
        "text",
        [
            f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{recording(1)}",
            f"see /2008-08-01/Accounts/{ACCOUNT}/Recordings/{recording(1)}",
            recording(1),
            f"\n{recording(1)}.mp3 ",
            f"{recording(1)} (Ann)",
            [recording(1)],
        ],
    )
    def test_a_path_or_a_sid_without_a_host(self, base: Base, text: object) -> None:
        wanted = {base.add(main=text), base.add(transfer=text, main=S3_LINK)}
        base.add(main=f"https://a.co/{recording(1)}.mp3")  # hardly a link could be shorter
        base.add(main=f"https://calls.test/2026-11-01/{recording(1)}.mp3")
        base.add(main="pending", transfer=12)
        assert {row.id for row in base.adapter.fallbacks(None).items} == wanted

    def test_the_filter_knows_functions_that_airtable_has(self, base: Base) -> None:
        base.adapter.fallbacks(None)
        (formula,) = base.server.requests[0].query["filterByFormula"]
        known = {"OR", "AND", "FIND", "LOWER", "LEN"}
        assert set(re.findall(r"([A-Z]{2,})\((?!T)", formula)) == known

    def test_pages_of_a_hundred(self, base: Base) -> None:
        wanted = {base.add(main=fallback(n)) for n in range(250)}
        pages = scan(base.adapter)
        assert [len(page.items) for page in pages] == [100, 100, 50]
        assert {row.id for page in pages for row in page.items} == wanted
        assert pages[-1].cursor is None
        assert base.pacer.waits == len(base.server.requests) == 3

    def test_a_listing_may_be_carried_on_by_another_process(self, base: Base) -> None:
        for n in range(150):
            base.add(main=fallback(n))
        cursor = base.adapter.fallbacks(None).cursor
        assert len(base.adapt().fallbacks(cursor).items) == 50

    @pytest.mark.parametrize("paging", list(Paging))
    def test_rows_rewritten_meanwhile_do_not_trouble_it(self, base: Base, paging: Paging) -> None:
        base.server.paging = paging
        rows = [base.add(main=fallback(n)) for n in range(150)]
        first = base.adapter.fallbacks(None)
        base.adapter.write({row.id: {MAIN: S3_LINK} for row in first.items[:10]})
        rest = base.adapter.fallbacks(first.cursor)
        assert {row.id for row in (*first.items, *rest.items)} <= set(rows)

    @pytest.mark.parametrize("cursor", [None, "nonsense"])
    def test_an_expired_listing_is_begun_anew_by_the_caller(
        self, base: Base, cursor: str | None
    ) -> None:
        for n in range(101):
            base.add(main=fallback(n))
        cursor = cursor or base.adapter.fallbacks(None).cursor
        base.server.expire_iterators()
        with pytest.raises(ServiceError) as caught:
            base.adapter.fallbacks(cursor)
        assert caught.value.failure.code == "iterator_expired"
        assert caught.value.failure.kind is FailureKind.ANEW


class TestRead:
    def test_rows_that_are_gone_are_missing(self, base: Base) -> None:
        row, gone = base.add(main="x"), base.add(main="y")
        del base.server.rows[gone]
        assert [found.id for found in base.adapter.read([gone, row, row])] == [row]

    def test_a_hundred_in_one_request(self, base: Base) -> None:
        rows = [base.add(call=call(n)) for n in range(230)]
        assert {row.id for row in base.adapter.read(rows)} == set(rows)
        assert base.pacer.waits == len(base.server.requests) == 3
        assert all(len(request.target) < 15_000 for request in base.server.requests)

    @pytest.mark.parametrize("odd", ["", "rec", "rec-1", "rec') , TRUE(), ('", "tblAAAAAAAAAAAAAA"])
    def test_an_id_that_is_none_is_refused(self, base: Base, odd: str) -> None:
        with pytest.raises(ServiceError):
            base.adapter.read([odd])
        assert not base.server.requests


class TestWrite:
    def test_the_answer_is_the_read_back(self, base: Base) -> None:
        rows = [base.add(call=call(n), main=fallback(n), notes="kept") for n in range(10)]
        written = base.adapter.write({row: {MAIN: S3_LINK, TRANSFER: "x"} for row in rows})
        assert [row.id for row in written] == rows
        assert {tuple(row.links.values()) for row in written} == {(S3_LINK, "x")}
        assert [row.call_sid for row in written] == [call(n) for n in range(10)]
        assert {base.server.rows[row].fields["Notes"] for row in rows} == {"kept"}
        (request,) = base.server.requests
        assert (request.method, base.pacer.waits) == ("PATCH", 1)
        assert json.loads(request.body)["typecast"] is False

    def test_a_row_that_did_not_take_it_is_seen(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.server.ignore_writes.add(row)
        assert base.adapter.write({row: {MAIN: S3_LINK}})[0].links[MAIN] == fallback(1)

    def test_nothing_to_write(self, base: Base) -> None:
        assert base.adapter.write({}) == []
        assert not base.server.requests

    @pytest.mark.parametrize("meanwhile", [0, 45])
    def test_what_comes_before_comes_after_a_pause(self, base: Base, meanwhile: float) -> None:
        """The look at the clock, that is: a cell seen before a pause is not written after it."""
        time_now = 100.0
        seen: list[float] = []

        def sleep(seconds: float) -> None:
            nonlocal time_now
            assert not seen
            if time_now == 100.0:
                pacer.pause(meanwhile)  # another thread ran into the rate limit
            time_now += seconds

        def before() -> None:
            assert not base.server.requests
            seen.append(time_now)

        pacer = Pacer(5, clock=lambda: time_now, sleep=sleep)
        adapter = AirtableAdapter(make_options(base.server.url), pacer)
        row = base.add(main=fallback(1))
        pacer.pause(30)
        (written,) = adapter.write({row: {MAIN: S3_LINK}}, before=before)
        assert (seen, written.links[MAIN]) == ([100 + max(30, meanwhile)], S3_LINK)
        adapter.close()

    @pytest.mark.parametrize("error", [KeyError("x"), RequestException("x"), KeyboardInterrupt()])
    def test_what_is_raised_before_goes_up_as_it_is_and_nothing_is_sent(
        self, base: Base, error: BaseException
    ) -> None:
        row = base.add(main=fallback(1))

        def before() -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            base.adapter.write({row: {MAIN: S3_LINK}}, before=before)
        assert caught.value is error
        assert not base.server.requests
        assert base.server.rows[row].fields[MAIN] == fallback(1)

    def test_nothing_comes_before_nothing(self, base: Base) -> None:
        base.adapter.write({}, before=lambda: pytest.fail("nothing is sent"))

    def test_more_than_airtable_takes_is_a_mistake_of_ours(self, base: Base) -> None:
        with pytest.raises(ValueError, match="11 rows"):
            base.adapter.write({f"rec{n}": {MAIN: "x"} for n in range(11)})


def test_credentials_come_from_configuration_alone(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    base.adapter.fallbacks(None)  # the stand-in refuses any other credentials


def test_threads_share_it_and_each_gets_its_own_answer(base: Base) -> None:
    rows = [base.add(call=call(n), main=fallback(n)) for n in range(200)]
    base.server.latency = 0.005

    def rewrite(number: int) -> bool:
        link = f"{S3_LINK}?{number}"
        (written,) = base.adapter.write({rows[number]: {MAIN: link}})
        (found,) = base.adapter.find([about(10_000, call(number))])
        return written.id == found.id == rows[number] and found.links[MAIN] == link

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(rewrite, range(200)))
    assert base.pacer.waits == len(base.server.requests) == 400
    assert not [t for t in threading.enumerate() if t.name.startswith("airtable")]


def test_a_real_pacer_keeps_the_limit(base: Base) -> None:
    base.server.requests_per_second = 20
    adapter = AirtableAdapter(make_options(base.server.url), Pacer(18))
    row = base.add(main=fallback(1))
    start = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: adapter.read([row]), range(27)))
    assert base.server.throttled == 0
    assert time.monotonic() - start >= 26 / 18
    adapter.close()
