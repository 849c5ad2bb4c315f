"""Which rows are found, by filters that stay within what Airtable takes."""

from __future__ import annotations

from urllib.parse import unquote_plus

import pytest

from reccli.adapters.airtable import formulas
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import Ref
from reccli.sandbox.airtable_api import AirtableStandIn

from .samples import (
    ACCOUNT,
    API_KEY,
    BASE,
    CALL,
    CONFERENCE,
    MAIN,
    S3_LINK,
    TABLE,
    TRANSFER,
    Base,
    about,
    call,
    fallback,
    recording,
)

TALK = "CF" + "1" * 32


class TestFind:
    def test_by_call_and_by_mention(self, base: Base) -> None:
        own = base.add(call=call(1), notes="nothing linked yet")
        other = base.add(call=call(9), transfer=fallback(1))
        second = base.add(call=call(2), main=fallback(2))
        base.add(call=call(3), main=fallback(3), notes=fallback(1))
        found = base.adapter.find([about(1, call(1)), about(2, call(2))])
        assert sorted(row.id for row in found) == sorted([own, other, second])

    @pytest.mark.parametrize(
        ("cell", "call_sid", "rest"),
        [
            (f"\u200b {call(1)}\xa0\n", call(1), ""),
            ([call(1)], call(1), ""),
            ([call(1), call(1)], call(1), ""),
            ([call(1), call(2)], "", f'["{call(1)}", "{call(2)}"]'),
            (f" {call(1)}, {call(2)}", "", f"{call(1)}, {call(2)}"),
            (f"{call(1)}0", "", f"{call(1)}0"),
            (f"[call]({call(1)})\n", "", f"[call]({call(1)})"),
        ],
    )
    def test_what_a_call_sid_cell_means(
        self, base: Base, cell: object, call_sid: str, rest: str
    ) -> None:
        base.add(call=cell)
        base.add(call="")
        (row,) = base.adapter.find([about(1, call(1))])
        assert (row.call_sid, row.call_cell) == (call_sid, rest)

    def test_a_formula_sees_the_text_of_a_linked_record_and_a_request_its_id(
        self, base: Base
    ) -> None:
        base.server.types[CALL] = "multipleRecordLinks"
        linked = base.server.linked(call(1))
        base.add(call=[linked])
        (row,) = base.adapter.find([about(1, call(1))])
        assert (row.call_sid, row.call_cell) == ("", f'["{linked}"]')

    def test_without_a_call(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.add(main=S3_LINK)
        assert [r.id for r in base.adapter.find([about(1)])] == [row]

    def test_by_conference_where_a_field_names_it(self, base: Base) -> None:
        own = base.add(conference=TALK)
        both = base.add(conference=f" {TALK}\n", call=call(1))
        base.add(conference="CF" + "2" * 32, call=call(2))
        base.add(call=TALK)
        adapter = base.adapt(conference_sid_field=CONFERENCE)
        found = adapter.find([about(1, None, TALK)])
        assert {(row.id, row.conference_sid) for row in found} == {(own, TALK), (both, TALK)}
        found = adapter.find([about(1, call(1), TALK)])
        assert {row.id for row in found} == {own, both}
        assert {row.conference_sid for row in found} == {TALK}
        assert base.adapter.find([about(1, None, TALK)]) == []
        assert adapter.find([about(1, None, f"{TALK}') , TRUE(), FIND('")]) == []

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
        assert [row.id for row in base.adapter.find([about(1, odd)])] == [mention]

    @pytest.mark.parametrize("odd", ["", "RE1", "x') , TRUE(), FIND('", call(1)])
    def test_a_recording_sid_that_is_none_is_refused(self, base: Base, odd: str) -> None:
        with pytest.raises(ServiceError) as caught:
            base.adapter.find([Ref(odd, ACCOUNT, None, call(1))])
        assert (caught.value.failure.kind, caught.value.failure.code) == (
            FailureKind.PERMANENT,
            "odd_id",
        )
        assert not base.server.requests

    def test_hundreds_of_subjects_in_few_requests_and_short_urls(self, base: Base) -> None:
        rows = {base.add(call=call(n), main=fallback(n)) for n in range(1, 301)}
        subjects = [about(n, call(n)) for n in range(1, 301)]
        assert {row.id for row in base.adapter.find(subjects)} == rows
        targets = [f"{base.server.url}{request.target}" for request in base.server.requests]
        assert {request.method for request in base.server.requests} == {"GET"}
        assert max(map(len, targets)) < 16_000
        assert len(targets) <= 300 / 45 + 1
        assert base.pacer.waits == len(targets)

    def test_many_rows_for_few_subjects_are_paged(self, base: Base) -> None:
        rows = {base.add(call=call(1)) for _ in range(230)}
        assert {row.id for row in base.adapter.find([about(1, call(1))])} == rows
        assert base.pacer.waits == 3

    def test_a_row_that_two_requests_find_comes_once(self, base: Base) -> None:
        row = base.add(call=call(1), main=fallback(200))
        subjects = [about(n, call(n)) for n in range(1, 201)]
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
            assert [found.id for found in adapter.find([about(1)])] == [row]
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
        for ask in (lambda: adapter.fallbacks(None), lambda: adapter.find([about(1)])):
            with pytest.raises(ServiceError) as caught:
                ask()
            failure = caught.value.failure
            assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "unusable_field_name")
            assert "airtable.link_fields" in failure.hint
        assert not base.server.requests

    def test_each_text_is_quoted(self) -> None:
        found = formulas.addressing(["a'b\\", "-01/accounts/ac"], ["F"])
        assert found == (
            r"OR(FIND('a\'b\\',LOWER({F}&'')),FIND('-01/accounts/ac',LOWER({F}&'')),"
            "AND(FIND('RE',{F}&''),LEN({F}&'')<50))"
        )


def test_the_filter_as_it_is_sent(base: Base) -> None:
    base.adapter.find([about(1, call(1))])
    (formula,) = base.server.requests[0].query["filterByFormula"]
    assert formula == (
        f"OR(FIND('{call(1)}',{{{CALL}}}&''),FIND('{recording(1)}',{{{MAIN}}}),"
        f"FIND('{recording(1)}',{{{TRANSFER}}}))"
    )
    assert unquote_plus(base.server.requests[0].target).startswith(f"/v0/{BASE}/{TABLE}?")
