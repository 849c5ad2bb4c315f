from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from reccli.network import body_length, http_date, retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1234567", None),
        ("٣", None),
    ],
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after({"retry-after": later}) or 0) <= 60
    assert retry_after({"retry-after": past}) == 0
    assert retry_after({}) is None


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_date_without_a_zone_is_utc() -> None:
    assert http_date("Mon, 02 Feb 2026 10:00:00 -0000") == datetime(2026, 2, 2, 10, tzinfo=UTC)
    assert http_date("Mon, 02 Feb 2026 12:00:00 +0200") == datetime(2026, 2, 2, 10, tzinfo=UTC)
    assert http_date("yesterday") is None


def test_a_length_counts_only_where_the_body_is_framed_by_it() -> None:
    assert body_length(httpx.Headers({"Content-Length": "17"})) == 17
    assert body_length(httpx.Headers({"Content-Length": "many"})) is None
    chunked = {"Content-Length": "17", "Transfer-Encoding": "chunked"}
    assert body_length(httpx.Headers(chunked)) is None
    assert body_length({}) is None
