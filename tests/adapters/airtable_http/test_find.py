"""Which rows are found, by filters that stay within what Airtable takes."""

from __future__ import annotations

from urllib.parse import unquote_plus

import pytest

from reccli.adapters.airtable import formulas
from reccli.core.errors import FailureKind, ServiceError
from reccli.sandbox.airtable import AirtableStandIn

from .samples import (
    API_KEY,
    BASE,
    CALL,
    MAIN,
    S3_LINK,
    TABLE,
    TRANSFER,
    Base,
    call,
    fallback,
    recording,
)


class TestFind:
    def test_by_call_and_by_mention(self, base: Base) -> None:
        own = base.add(call=call(1), notes="nothing linked yet")
        other = base.add(call=call(9), transfer=fallback(1))
        second = base.add(call=call(2), main=fallback(2))
        base.add(call=call(3), main=fallback(3), notes=fallback(1))
        found = base.adapter.find([(recording(1), call(1)), (recording(2), call(2))])
        assert sorted(row.id for row in found) == sorted([own, other, second])

    def test_without_a_call(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.add(main=S3_LINK)
        assert [r.id for r in base.adapter.find([(recording(1), None)])] == [row]

    @pytest.mark.parametrize(
        "odd",
        [
            "",
            "CA",
            call(1) + "\n",
            call(1) + "0",
            "' OR TRUE() OR '",
            "CAlinus",
            "x'),TRUE(),('",
            "{CallSid}",
        ],
    )
    def test_a_call_sid_that_is_none_is_left_out(self, base: Base, odd: str) -> None:
        base.add(call=call(1))
        base.add(call=odd)
        mention = base.add(main=fallback(1))
        assert [row.id for row in base.adapter.find([(recording(1), odd)])] == [mention]

    @pytest.mark.parametrize("odd", ["", "RE1", "x') , TRUE(), FIND('", call(1)])
    def test_a_recording_sid_that_is_none_is_refused(self, base: Base, odd: str) -> None:
        with pytest.raises(ServiceError) as caught:
            base.adapter.find([(odd, call(1))])
        assert (caught.value.failure.kind, caught.value.failure.code) == (
            FailureKind.PERMANENT,
            "odd_id",
        )
        assert not base.server.requests

    def test_hundreds_of_subjects_in_few_requests_and_short_urls(self, base: Base) -> None:
        rows = {base.add(call=call(n), main=fallback(n)) for n in range(1, 301)}
        subjects = [(recording(n), call(n)) for n in range(1, 301)]
        assert {row.id for row in base.adapter.find(subjects)} == rows
        targets = [f"{base.server.url}{request.target}" for request in base.server.requests]
        assert {request.method for request in base.server.requests} == {"GET"}
        assert max(map(len, targets)) < 16_000
        assert len(targets) <= 300 / 45 + 1
        assert base.pacer.waits == len(targets)

    def test_many_rows_for_few_subjects_are_paged(self, base: Base) -> None:
        rows = {base.add(call=call(1)) for _ in range(230)}
        assert {row.id for row in base.adapter.find([(recording(1), call(1))])} == rows
        assert base.pacer.waits == 3

    def test_a_row_that_two_requests_find_comes_once(self, base: Base) -> None:
        row = base.add(call=call(1), main=fallback(200))
        subjects = [(recording(n), call(n)) for n in range(1, 201)]
        assert [found.id for found in base.adapter.find(subjects)] == [row]

    def test_nobody_is_looked_for_without_a_request(self, base: Base) -> None:
        assert base.adapter.find([]) == []
        assert not base.server.requests

    def test_an_enormous_filter_goes_by_post(self, base: Base) -> None:
        names = tuple(f"Field {'x' * 4000} {n}" for n in range(5))
        with AirtableStandIn(API_KEY, BASE, TABLE, fields=(CALL, *names)) as server:
            wide = Base(server)
            row = server.add_row(**{names[4]: fallback(1)}).id
            adapter = wide.adapt(link_fields=names, key_fields={})
            assert [found.id for found in adapter.find([(recording(1), None)])] == [row]
            assert {request.method for request in server.requests} == {"POST"}
            adapter.close()

    def test_names_with_quotes_and_brackets(self, base: Base) -> None:
        name = 'Link\'s "URL" (new) {v2 & more, 50%'
        with AirtableStandIn(API_KEY, BASE, TABLE, fields=(CALL, name)) as server:
            row = server.add_row(**{name: fallback(1)}).id
            adapter = Base(server).adapt(link_fields=(name,), key_fields={})
            assert [found.id for found in adapter.fallbacks(None).items] == [row]
            adapter.close()

    @pytest.mark.parametrize("name", ["a}b", "a\\b", "a}} OR TRUE() {b"])
    def test_a_name_that_no_formula_can_hold_is_a_clear_failure(
        self, base: Base, name: str
    ) -> None:
        adapter = base.adapt(link_fields=(name,))
        for ask in (lambda: adapter.fallbacks(None), lambda: adapter.find([(recording(1), None)])):
            with pytest.raises(ServiceError) as caught:
                ask()
            failure = caught.value.failure
            assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "unusable_field_name")
            assert "airtable.link_fields" in failure.hint
        assert not base.server.requests

    def test_each_text_is_quoted(self) -> None:
        found = formulas.addressing(["a'b\\"], ["F"])
        assert found == (
            r"OR(FIND('a\'b\\',LOWER({F}&'')),FIND('-01/accounts/ac',LOWER({F}&'')),"
            "AND(FIND('RE',{F}&''),LEN({F}&'')<50))"
        )


def test_the_filter_as_it_is_sent(base: Base) -> None:
    base.adapter.find([(recording(1), call(1))])
    (formula,) = base.server.requests[0].query["filterByFormula"]
    assert formula == (
        f"OR({{{CALL}}}='{call(1)}',FIND('{recording(1)}',{{{MAIN}}}),"
        f"FIND('{recording(1)}',{{{TRANSFER}}}))"
    )
    assert unquote_plus(base.server.requests[0].target).startswith(f"/v0/{BASE}/{TABLE}?")
