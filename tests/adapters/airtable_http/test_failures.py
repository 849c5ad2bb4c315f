"""What goes wrong, in the one vocabulary of failure: real HTTP, with faults on the way."""

from __future__ import annotations

import json

import pytest

from reccli.adapters.airtable import AirtableAdapter
from reccli.core.errors import Failure, FailureKind
from reccli.sandbox.standin import Fault, FaultKind

from .samples import (
    API_KEY,
    MAIN,
    S3_LINK,
    TRANSFER,
    Base,
    answer,
    failure_of,
    fallback,
    make_options,
)

K = FailureKind
BILLING = {"error": {"type": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "API billing plan …"}}
RATE = {"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}


def error(kind: str, message: str = "words") -> dict[str, object]:
    return {"error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, error("INVALID_REQUEST_BODY"), K.PERMANENT, "invalid_request_body"),
        (401, error("AUTHENTICATION_REQUIRED"), K.DENIED, "authentication_required"),
        (402, b"", K.PERMANENT, "http_402"),
        (403, error("INVALID_PERMISSIONS"), K.DENIED, "invalid_permissions"),
        (403, b"<html>", K.DENIED, "http_403"),
        (404, {"error": "NOT_FOUND"}, K.PERMANENT, "not_found"),
        (404, error("NOT_FOUND"), K.PERMANENT, "not_found"),
        (408, b"", K.OUTAGE, "http_408"),
        (413, error("REQUEST_TOO_LARGE"), K.TOO_LARGE, "request_too_large"),
        (422, error("UNKNOWN_FIELD_NAME"), K.PERMANENT, "unknown_field_name"),
        (422, error("INVALID_FILTER_BY_FORMULA"), K.PERMANENT, "invalid_filter_by_formula"),
        (422, error("ROW_DOES_NOT_EXIST"), K.GONE, "row_does_not_exist"),
        (422, error("INVALID_OFFSET_VALUE"), K.ANEW, "iterator_expired"),
        (
            422,
            {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}},
            K.ANEW,
            "iterator_expired",
        ),
        (422, b"", K.PERMANENT, "http_422"),
        (429, {"error": RATE}, K.BUSY, "rate_limited"),
        (429, {"errors": [RATE]}, K.BUSY, "rate_limited"),
        (429, {"errors": []}, K.BUSY, "rate_limited"),
        (429, b"slow down", K.BUSY, "rate_limited"),
        (429, BILLING, K.FATAL, "airtable_monthly_cap"),
        (429, {"errors": [BILLING["error"]]}, K.FATAL, "airtable_monthly_cap"),
        (429, {"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED"}, K.FATAL, "airtable_monthly_cap"),
        (500, {"error": {"type": "SERVER_ERROR"}}, K.OUTAGE, "server_error"),
        (502, b"<html>bad gateway</html>", K.OUTAGE, "http_502"),
        (503, error("RETRIABLE_ERROR"), K.OUTAGE, "retriable_error"),
        (599, b"", K.OUTAGE, "http_599"),
        # Bodies that are none of Airtable's.
        (500, b"null", K.OUTAGE, "http_500"),
        (429, b"5", K.BUSY, "rate_limited"),
        (500, b'"error"', K.OUTAGE, "http_500"),
        (500, {"error": None}, K.OUTAGE, "http_500"),
        (500, {"error": {"type": {"a": 1}, "message": 7}}, K.OUTAGE, "http_500"),
        (422, error("not a type of theirs"), K.PERMANENT, "http_422"),
    ],
)
def test_refusals(base: Base, status: int, body: object, kind: K, code: str) -> None:
    failure = answer(base, status, body)
    assert (failure.kind, failure.code) == (kind, code)
    assert not base.server.faults  # asked once: only the flow tries again


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, "AUTHENTICATION_REQUIRED", "data.records:read and data.records:write"),
        (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "airtable.base_id and airtable.table"),
        (404, "NOT_FOUND", "airtable.table"),
        (422, "UNKNOWN_FIELD_NAME", "airtable.link_fields"),
        (422, "INVALID_FILTER_BY_FORMULA", "airtable.call_sid_field"),
    ],
)
def test_hints_name_what_to_look_at(base: Base, status: int, kind: str, words: str) -> None:
    failure = answer(base, status, error(kind, "the words of Airtable"))
    assert words in failure.hint
    assert f"HTTP {status} {kind}: the words of Airtable" in failure.message


def test_a_long_message_is_cut_and_repeats_no_credentials(base: Base) -> None:
    failure = answer(base, 422, error("INVALID_VALUE", f"a\n{API_KEY} {'+1555123 ' * 99}"))
    assert "INVALID_VALUE: a [api_key] +1555123" in failure.message
    cut = answer(base, 422, error("INVALID_VALUE", "x" * 165 + API_KEY))
    assert API_KEY[:5] not in cut.message


class TestRateLimit:
    @pytest.mark.parametrize("plural", [False, True])
    def test_everyone_pauses(self, base: Base, plural: bool) -> None:  # noqa: FBT001
        base.server.requests_per_second, base.server.plural_errors = 1, plural
        base.adapter.fallbacks(None)
        failure = failure_of(lambda: base.adapter.fallbacks(None))
        assert (failure.kind, base.pacer.pauses) == (K.BUSY, [30.0])
        assert (failure.retry_after, base.server.throttled) == (None, 1)

    @pytest.mark.parametrize(
        ("asked", "pause"),
        [("5", 30.0), ("45", 45.0), ("86400", 120.0), ("soon", 30.0), ("-5", 30.0), ("nan", 30.0)],
    )
    def test_at_least_the_penalty(self, base: Base, asked: str, pause: float) -> None:
        answer(base, 429, {"error": RATE}, Retry_After=asked)
        assert base.pacer.pauses == [pause]

    def test_the_penalty_is_an_argument(self, base: Base) -> None:
        adapter = AirtableAdapter(make_options(base.server.url), base.pacer, penalty=0.25)
        base.server.faults.add(Fault(FaultKind.STATUS, status=429))
        failure_of(lambda: adapter.fallbacks(None))
        assert base.pacer.pauses == [0.25]
        adapter.close()

    def test_the_monthly_cap_pauses_nobody(self, base: Base) -> None:
        base.server.monthly_cap = 0
        failure = failure_of(lambda: base.adapter.fallbacks(None))
        assert (failure.kind, failure.code) == (K.FATAL, "airtable_monthly_cap")
        assert "month" in failure.message
        assert not base.pacer.pauses


def test_retry_after_is_told(base: Base) -> None:
    failure = answer(base, 503, error("RETRIABLE_ERROR"), Retry_After="7")
    assert failure.retry_after == 7.0
    assert not base.pacer.pauses


class TestRefusedFields:
    """As answered to an update of two fields of one row."""

    def refused(self, base: Base, status: int, kind: str, message: str) -> Failure:
        row = base.add(main=fallback(1))
        body = json.dumps(error(kind, message)).encode()
        base.server.faults.add(Fault(FaultKind.STATUS, "PATCH", status=status, body=body))
        return failure_of(lambda: base.adapter.write({row: {TRANSFER: S3_LINK, MAIN: S3_LINK}}))

    @pytest.mark.parametrize(
        ("status", "kind", "message", "words"),
        [
            (
                403,
                "INVALID_PERMISSIONS",
                f"You are not permitted to write cell values in field {MAIN} (fld123)",
                "let the user of airtable.api_key edit",
            ),
            (
                422,
                "INVALID_VALUE_FOR_COLUMN",
                f'Field "{MAIN}" cannot accept a value because the field is computed',
                "takes no links",
            ),
            (
                422,
                "INVALID_ATTACHMENT_OBJECT",
                f"Invalid attachment for field {MAIN}: parameters must be objects, not strings",
                "takes no links",
            ),
            (422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{MAIN}"', "airtable.link_fields"),
        ],
    )
    def test_the_field_is_named(
        self, base: Base, status: int, kind: str, message: str, words: str
    ) -> None:
        failure = self.refused(base, status, kind, message)
        assert (failure.kind, failure.code, failure.field) == (K.PERMANENT, kind.lower(), MAIN)
        assert failure.message == f"HTTP {status} {kind}: {message}"
        assert words in failure.hint

    def test_a_value_may_be_that_of_one_row(self, base: Base) -> None:
        message = f'Field "{MAIN}" cannot accept the provided value'
        failure = self.refused(base, 422, "INVALID_VALUE_FOR_COLUMN", message)
        assert (failure.kind, failure.field) == (K.PERMANENT, None)
        assert f"{MAIN!r} of airtable.link_fields takes no links" in failure.hint

    @pytest.mark.parametrize(
        ("status", "kind", "message", "means"),
        [
            (403, "INVALID_PERMISSIONS", "You may not perform this operation", K.DENIED),
            (403, "INVALID_PERMISSIONS", "not permitted in field Notes (fld123)", K.DENIED),
            (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", f'not found: "{MAIN}"', K.DENIED),
            (401, "AUTHENTICATION_REQUIRED", f'to write "{MAIN}"', K.DENIED),
            (503, "RETRIABLE_ERROR", f'later: "{MAIN}"', K.OUTAGE),
            (422, "INVALID_REQUEST_UNKNOWN", f"field {MAIN} copy (fld123)", K.PERMANENT),
        ],
    )
    def test_another_refusal_names_none(
        self, base: Base, status: int, kind: str, message: str, means: K
    ) -> None:
        failure = self.refused(base, status, kind, message)
        assert (failure.kind, failure.field) == (means, None)
        assert MAIN not in failure.hint

    def test_a_field_whose_name_is_part_of_the_others(self, base: Base) -> None:
        options = {"link_fields": ("Recording", "Recording URL")}
        body = error("INVALID_PERMISSIONS", "not permitted in field Recording  URL (fld123)")
        row = base.add(main=fallback(1))
        base.server.faults.add(
            Fault(FaultKind.STATUS, "PATCH", status=403, body=json.dumps(body).encode())
        )
        cells = {row: dict.fromkeys(options["link_fields"], S3_LINK)}
        failure = failure_of(lambda: base.adapt(**options).write(cells))
        assert failure.field == "Recording URL"

    def test_a_request_that_is_too_large(self, base: Base) -> None:
        base.server.longest_body = 100
        row = base.add(main=fallback(1))
        failure = failure_of(lambda: base.adapter.write({row: {MAIN: S3_LINK * 5}}))
        assert (failure.kind, failure.field) == (K.TOO_LARGE, None)
        assert "airtable.endpoint_url" in failure.hint
