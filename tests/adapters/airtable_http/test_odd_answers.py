"""Answers that are none, broken connections, and the refusals that the stand-in knows."""

from __future__ import annotations

from functools import partial

import pytest

from reccli.adapters.airtable import AirtableAdapter
from reccli.core.errors import FailureKind
from reccli.sandbox.airtable_api import AirtableStandIn
from reccli.sandbox.standin import Fault, FaultKind, stopped

from .samples import (
    API_KEY,
    BASE,
    FIELDS,
    MAIN,
    S3_LINK,
    TABLE,
    Base,
    CountingPacer,
    about,
    answer,
    failure_of,
    fallback,
    make_options,
)

K = FailureKind


class TestOddAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>Please sign in</html>",
            b"null",
            b"5",
            b"[]",
            b'"text"',
            b"{}",
            b'{"records": null}',
            b'{"records": {}}',
            b'{"records": [5]}',
            b'{"records": [{"id": "rec1"}]}',
            b'{"records": [{"fields": {}}]}',
            b'{"records": [{"id": 5, "fields": {}}]}',
            b'{"records": [{"id": "rec1", "fields": []}]}',
            b'{"records": [], "offset": 5}',
            b'{"records": [], "offset": ""}',
            b'{"records": [',
        ],
    )
    def test_a_success_that_is_none_is_an_outage(self, base: Base, body: bytes) -> None:
        failure = answer(base, 200, body)
        assert (failure.kind, failure.code) == (K.OUTAGE, "odd_answer")

    def test_a_page_that_leads_to_itself_ends(self, base: Base) -> None:
        body = b'{"records": [], "offset": "itrA/recB"}'
        base.server.faults.add(Fault(FaultKind.STATUS, status=200, body=body, times=None))
        failure = failure_of(lambda: base.adapter.find([about(1)]))
        assert failure.code == "odd_answer"
        assert base.pacer.waits == 2

    @pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.EMPTY, FaultKind.SHORT])
    def test_after_a_write(self, base: Base, kind: FaultKind) -> None:
        row = base.add(main=fallback(1))
        base.server.faults.add(Fault(kind, method="PATCH"))
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
        assert (failure.kind, failure.code) == (K.OUTAGE, "odd_answer")

    def test_a_redirect_is_not_followed(self, base: Base) -> None:
        with AirtableStandIn(API_KEY, BASE, TABLE, fields=FIELDS) as other:
            row = base.add(main=fallback(1))
            headers = {"Location": f"{other.url}/v0/{BASE}/x"}
            for status in (301, 302, 307, 308):
                base.server.faults.add(Fault(FaultKind.STATUS, status=status, headers=headers))
                failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
                assert (failure.kind, failure.code) == (K.OUTAGE, "redirected")
            assert not other.requests


class TestConnection:
    def test_refused(self, base: Base) -> None:
        with stopped(base.server):
            failure = failure_of(lambda: base.adapter.fallbacks(None))
        assert (failure.kind, failure.code) == (K.OUTAGE, "unreachable")
        assert "refused" in failure.message
        assert base.adapter.fallbacks(None).items == []

    @pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.TRUNCATE])
    def test_broken(self, base: Base, kind: FaultKind) -> None:
        base.server.faults.add(Fault(kind))
        failure = failure_of(lambda: base.adapter.fallbacks(None))
        assert (failure.kind, failure.code) == (K.OUTAGE, "unreachable")

    def test_a_refusal_that_breaks_off_keeps_its_meaning(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.server.read_only = True
        base.server.faults.add(Fault(FaultKind.TRUNCATE))
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
        assert (failure.kind, failure.code) == (K.DENIED, "http_403")

    def test_an_update_whose_answer_is_lost_may_be_sent_again(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.server.faults.add(Fault(FaultKind.LOST_RESPONSE, method="PATCH"))
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
        assert failure.kind is K.OUTAGE
        assert base.server.rows[row].fields[MAIN] == S3_LINK
        assert [r.links[MAIN] for r in base.adapter.write({row: {MAIN: S3_LINK}})] == [S3_LINK]

    def test_too_slow(self, base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("reccli.adapters.airtable.airtable_adapter._READ", 0.1)
        adapter = base.adapt()
        base.server.faults.add(Fault(FaultKind.STALL, delay=5))
        failure = failure_of(lambda: adapter.fallbacks(None))
        assert (failure.kind, failure.code) == (K.OUTAGE, "timeout")
        adapter.close()

    def test_no_such_host(self) -> None:
        adapter = AirtableAdapter(make_options("http://127.0.0.1:1"), CountingPacer())
        assert failure_of(lambda: adapter.fallbacks(None)).code == "unreachable"
        adapter.close()


class TestTheStandInAgrees:
    def test_wrong_key(self, base: Base) -> None:
        failure = failure_of(lambda: base.adapt(api_key="patWrong").fallbacks(None))
        assert (failure.kind, failure.code) == (K.DENIED, "authentication_required")

    @pytest.mark.parametrize("change", [{"base_id": "appOther"}, {"table": "Other"}])
    def test_wrong_base_or_table(self, base: Base, change: dict[str, str]) -> None:
        failure = failure_of(lambda: base.adapt(**change).fallbacks(None))
        assert failure.kind is K.DENIED
        assert failure.code == "invalid_permissions_or_model_not_found"

    def test_unknown_field(self, base: Base) -> None:
        for changes in ({"key_fields": {"a": "Nowhere"}}, {"link_fields": ("Nowhere",)}):
            failure = failure_of(partial(base.adapt(**changes).fallbacks, None))
            assert failure.kind is K.PERMANENT
            assert "airtable.key_fields" in failure.hint

    def test_reading_is_not_writing(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        base.server.read_only = True
        assert base.adapter.read([row])
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
        assert (failure.kind, failure.code) == (K.DENIED, "invalid_permissions")

    def test_one_bad_row_refuses_the_whole_update(self, base: Base) -> None:
        good, bad = base.add(main=fallback(1)), base.add(main=fallback(2))
        base.server.refuse.add(bad)
        failure = failure_of(
            lambda: base.adapter.write({good: {MAIN: S3_LINK}, bad: {MAIN: S3_LINK}})
        )
        assert (failure.kind, failure.code) == (K.PERMANENT, "invalid_value_for_column")
        assert base.server.rows[good].fields[MAIN] == fallback(1)

    def test_a_row_that_is_gone(self, base: Base) -> None:
        row = base.add(main=fallback(1))
        del base.server.rows[row]
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK}}))
        assert (failure.kind, failure.code) == (K.GONE, "row_does_not_exist")
