"""Answers that Twilio would never give, and a proxy, a portal or an attacker might."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import FailureKind
from reccli.core.model import Recording, TwilioState
from reccli.flow.ports import Listing

from .samples import (
    ACCOUNT,
    BAD_ANSWER,
    HTML,
    LIST,
    PATH,
    RECORDING,
    REF,
    delete,
    failure_of,
    listing_page,
    resource,
    sid,
    verdict_of,
)
from .scripted import Reply, Server, always, as_json, to


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, FailureKind.PERMANENT, "20003"),
        (401, FailureKind.DENIED, "20003"),
        (403, FailureKind.DENIED, "20003"),
        (404, FailureKind.PERMANENT, "not_found"),
        (408, FailureKind.BUSY, "20003"),
        (409, FailureKind.BUSY, "20003"),
        (429, FailureKind.BUSY, "20003"),
        (500, FailureKind.OUTAGE, "20003"),
    ],
)
def test_a_page_that_fails_keeps_its_status_and_twilios_words(
    server: Server, adapter: TwilioAdapter, status: int, kind: FailureKind, code: str
) -> None:
    server.answer = always(as_json({"code": 20003, "message": "Authenticate"}, status))
    cursor = f"{LIST}?PageSize=1000&Page=2&PageToken=PAx"
    failure = failure_of(lambda: adapter.page(Listing("us1"), cursor))
    assert (failure.kind, failure.code) == (kind, code)
    assert failure.message == f"GET {LIST} was answered {status}: 20003 Authenticate"


@pytest.mark.parametrize(
    "cursor",
    [
        "https://evil.example{path}?Page=1",
        "{other}{path}?Page=1",
        "//evil.example{path}?Page=1",
        "@evil.example{path}?Page=1",
        "/2010-04-01/Accounts.json?Page=1",
        "{path}?\r\nHost: evil.example",
    ],
)
def test_a_next_page_elsewhere_is_never_asked_for(
    server: Server, other: Server, adapter: TwilioAdapter, cursor: str
) -> None:
    cursor = cursor.format(path=LIST, other=other.url)
    server.answer = always(listing_page(resource(1), following=cursor))
    page = adapter.page(Listing("us1"), None)
    assert verdict_of(lambda: adapter.page(Listing("us1"), page.cursor)) == BAD_ANSWER
    assert (len(server.seen), len(other.seen)) == (1, 0)


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        as_json([]),
        as_json({"recordings": []}),
        as_json({"recordings": None, "next_page_uri": None}),
        as_json({"recordings": [], "next_page_uri": 7}),
        as_json({"calls": [], "next_page_uri": None}),
        as_json({"message": "hello"}),
        Reply(206, b"{}"),
        Reply(200, b"[" * 100_000),
    ],
)
def test_a_listing_that_cannot_be_read_is_no_empty_listing(
    server: Server, adapter: TwilioAdapter, reply: Reply
) -> None:
    server.answer = always(reply)
    assert verdict_of(lambda: adapter.page(Listing("us1"), None)) == BAD_ANSWER


@pytest.mark.parametrize(
    "item",
    [
        "garbage",
        None,
        resource(2, sid="RE1"),
        resource(2, sid=None),
        resource(2, account_sid="AC" + "f" * 32),
    ],
)
def test_an_item_that_names_no_recording_of_ours_is_told_beside_the_others(
    server: Server, adapter: TwilioAdapter, item: object
) -> None:
    server.answer = always(listing_page(resource(1), item, resource(3)))
    page = adapter.page(Listing("us1"), None)
    assert [found.sid for found in page.items] == [sid(1), sid(3)]
    assert [(odd.kind, odd.code) for odd in page.odd] == [(FailureKind.PERMANENT, "odd_recording")]


def test_a_page_that_is_its_own_next_page_ends_the_listing(
    server: Server, adapter: TwilioAdapter
) -> None:
    server.answer = always(listing_page(resource(1), following=f"{LIST}?Page=1"))
    assert verdict_of(lambda: adapter.page(Listing("us1"), f"{LIST}?Page=1")) == BAD_ANSWER


@pytest.mark.parametrize("value", [None, "nonsense", [], "-1", {"a": 1}])
def test_every_field_but_the_sid_may_be_null_or_nonsense(
    server: Server, adapter: TwilioAdapter, value: object
) -> None:
    known = {"sid": sid(1), "account_sid": None, "encryption_details": None}
    server.answer = always(listing_page(dict.fromkeys(resource(), value) | known))
    (found,) = adapter.page(Listing("us1"), None).items
    odd = "" if isinstance(value, str) else "status"
    assert found == Recording(sid(1), ACCOUNT, "us1", found.status, source=found.source, odd=odd)
    assert found.state is TwilioState.UNKNOWN


@pytest.mark.parametrize(
    ("details", "read", "odd"),
    [
        ({"encryption_cek": "k", "encryption_iv": None}, {"encryption_cek": "k"}, ""),
        ({"encryption_cek": None}, {}, ""),
        ({"encryption_cek": "k", "encryption_iv": 1}, {}, "encryption_details"),
        (["k"], {}, "encryption_details"),
        ("", {}, ""),
    ],
)
def test_the_audios_key_is_read_or_named_as_odd(
    server: Server, adapter: TwilioAdapter, details: object, read: object, odd: str
) -> None:
    server.answer = always(as_json(resource(encryption_details=details)))
    found = adapter.fetch(REF)
    assert (found.encryption, found.odd) == (read, odd)


def test_a_date_on_which_the_sdk_chokes_keeps_nobody_from_the_answer(
    server: Server, adapter: TwilioAdapter
) -> None:
    odd = "Fri, 99 Oct 2016 21:56:34 +0000"
    server.answer = always(as_json(resource(date_updated=odd, date_created=odd)))
    assert (adapter.fetch(REF).sid, adapter.fetch(REF).created) == (sid(1), None)


def test_the_offset_of_a_date_counts(server: Server, adapter: TwilioAdapter) -> None:
    made = "Tue, 03 Nov 2026 21:30:00 +1000"
    server.answer = always(as_json(resource(date_created=made)))
    assert adapter.fetch(REF).created == datetime(2026, 11, 3, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        Reply(200, b""),
        Reply(202, b"{}"),
        as_json(None),
        as_json(resource(2)),  # another recording than the one asked for
        as_json(resource(1, sid=None)),
    ],
)
def test_an_answer_that_is_none_is_an_outage(
    server: Server, adapter: TwilioAdapter, reply: Reply
) -> None:
    server.answer = always(reply)
    assert verdict_of(lambda: adapter.fetch(REF)) == BAD_ANSWER


def test_a_redirect_of_the_api_is_not_followed(
    server: Server, other: Server, adapter: TwilioAdapter
) -> None:
    server.answer = always(to(f"{other.url}/login?token=abc"))
    assert verdict_of(lambda: adapter.fetch(REF)) == (FailureKind.OUTAGE, "redirected")
    assert verdict_of(lambda: delete(adapter, RECORDING)) == (FailureKind.OUTAGE, "redirected")
    assert other.seen == []


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        (format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True), 3600, 7200),
        ("Fri, 14 Oct 2016 21:56:34 GMT", 0, 0),
    ],
    ids=["seconds", "date", "date gone by"],  # pytest-xdist wants the same names everywhere
)
def test_retry_after_is_passed_on(
    server: Server, adapter: TwilioAdapter, header: str, low: float, high: float
) -> None:
    server.answer = always(as_json({"code": 20429}, 429, Retry_After=header))
    failure = failure_of(lambda: adapter.fetch(REF))
    assert (failure.kind, failure.code) == (FailureKind.BUSY, "20429")
    assert failure.retry_after is not None
    assert low <= failure.retry_after <= high


@pytest.mark.parametrize("header", ["soon", "-5", "inf", "9" * 400, ""])
def test_a_retry_after_of_nonsense_is_none(
    server: Server, adapter: TwilioAdapter, header: str
) -> None:
    server.answer = always(as_json({"code": 20429}, 429, Retry_After=header))
    assert failure_of(lambda: adapter.fetch(REF)).retry_after is None


def test_words_of_a_body_are_shown_only_if_they_are_twilios(
    server: Server, adapter: TwilioAdapter
) -> None:
    server.answer = always(Reply(500, HTML.body))
    assert failure_of(lambda: adapter.fetch(REF)).message == f"GET {PATH}.json was answered 500"
    words = "no\x1b[31m /Recordings.json?token=abc\n" + "x" * 10_000
    request_id = "RQ" + "0" * 32
    server.answer = always(
        as_json({"code": "20001", "message": words}, 400, Twilio_Request_Id=request_id)
    )
    failure = failure_of(lambda: adapter.fetch(REF))
    assert failure.message.isprintable()
    assert len(failure.message) < 500
    assert request_id in failure.message


@pytest.mark.parametrize(
    ("cursor", "asked"),
    [
        ("PageSize=1000&Page=3&PageToken=PAx", "PageSize=100&Page=30&PageToken=PAx"),
        ("CallSid=CA&Page=2&PageSize=250", "CallSid=CA&Page=5&PageSize=100"),
        ("Page=1&PageSize=250", "Page=2&PageSize=100"),  # 250 lie before it: from the 200th on
        ("PageSize=1000&PageToken=PAx", "PageSize=100&PageToken=PAx&Page=0"),
        ("PageSize=100&Page=7&PageToken=", "PageSize=100&Page=7&PageToken="),
        ("PageSize=50&Page=7", "PageSize=50&Page=7"),
        ("Page=7&PageToken=PAx", "Page=7&PageToken=PAx"),
        ("PageSize=1000&Page=last", "PageSize=1000&Page=last"),
    ],
)
def test_a_cursor_is_asked_for_in_smaller_pages(
    server: Server, adapter: TwilioAdapter, cursor: str, asked: str
) -> None:
    server.answer = always(listing_page(resource(1)))
    adapter.page(Listing("us1", size=100), f"{LIST}?{cursor}")
    assert server.seen[0].query == dict(parse_qsl(asked))
