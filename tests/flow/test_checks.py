"""What is asked once a run: remembered when it is well, asked again when it may have changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.flow.checks import REMEMBERED, Checks
from reccli.flow.retry import Backoff, Retry
from tests.core.samples import KEY, NOW, make_book

from .bench import failure

SECRET = "0123456789abcdef0123456789abcdef"


@dataclass
class Stage:
    """A bucket and links that answer as told, and a clock to turn."""

    style: str = "presigned"
    problem: ServiceError | None = None
    asked: list[str] = field(default_factory=list)
    now: Any = NOW
    blamed: set[Service] = field(default_factory=set)
    unfit: ServiceError | None = None
    looked: int = 0
    rows_a_write = 10

    def __post_init__(self) -> None:
        book = make_book(
            style=self.style, base_url="https://calls.example.com/rec", secrets=(SECRET,)
        )
        self.retry = retry = Retry(Backoff(attempts=1), sleep=lambda _seconds: None)
        self.checks = Checks(self, self, book, retry, lambda: self.now, airtable=self)  # type: ignore[arg-type]

    def require_bucket(self) -> None:
        self._answer("bucket")

    def require_fields(self) -> None:
        self.looked += 1
        if self.unfit:
            raise self.unfit

    def presign(self, key: str, *, life: timedelta) -> str:
        return f"signed for {life}: {key}"

    def open(self, url: str) -> None:
        self._answer(url)

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.problem:
            raise self.problem

    def fail(self) -> None:
        raise failure(FailureKind.OUTAGE)

    def ask(self, name: str) -> str | None:
        """Ask, and tell the code of a refusal."""
        calls: dict[str, Callable[[], None]] = {
            "write": self.checks.before_write,
            "link": lambda: self.checks.before_link(KEY, "https://link"),
            "delete": lambda: self.checks.before_delete(KEY),
        }
        try:
            calls[name]()
        except ServiceError as error:
            self.blamed.add(error.failure.service)
            return error.failure.code
        return None


@pytest.mark.parametrize(
    ("style", "name"),
    [("presigned", "write"), ("presigned", "link"), ("permalink", "link"), ("permalink", "delete")],
)
def test_what_is_well_is_asked_once(style: str, name: str) -> None:
    stage = Stage(style)
    assert [stage.ask(name) for _ in range(3)] == [None] * 3
    stage.now += timedelta(days=30)
    assert stage.ask(name) is None
    assert len(stage.asked) == 1


def test_each_style_opens_what_people_will() -> None:
    presigned, permalink, plain = Stage(), Stage("permalink"), Stage("object")
    for stage in (presigned, permalink, plain):
        assert stage.ask("link") is stage.ask("delete") is None
    assert presigned.asked == ["https://link"]
    assert plain.asked == []
    first, second = permalink.asked
    assert first == f"signed for 0:05:00: {KEY}"
    assert second.startswith(f"https://calls.example.com/rec/r/{KEY}?sig=")


@pytest.mark.parametrize(("style", "name"), [("presigned", "link"), ("permalink", "delete")])
def test_a_refusal_is_remembered_for_a_minute(style: str, name: str) -> None:
    stage = Stage(style, failure(FailureKind.DENIED, Service.S3, "link_denied"))
    assert [stage.ask(name) for _ in range(3)] == ["link_denied"] * 3
    assert len(stage.asked) == 1
    assert stage.blamed == {Service.RECCLI if name == "delete" else Service.S3}
    stage.now += REMEMBERED
    stage.problem = None
    assert [stage.ask(name) for _ in range(3)] == [None] * 3
    assert len(stage.asked) == 2


def test_what_is_wrong_with_one_object_says_nothing_of_the_next() -> None:
    stage = Stage(problem=failure(FailureKind.PERMANENT, Service.S3, "link_dead"))
    assert stage.ask("link") == "link_dead"
    stage.problem = failure(FailureKind.ARCHIVED, Service.S3)
    assert stage.ask("link") is None  # that was decided on
    stage.problem = None
    assert [stage.ask("link"), stage.ask("link")] == [None, None]
    assert len(stage.asked) == 3


def test_a_link_that_was_not_opened_for_s3_has_failed_is_opened_when_it_is_back() -> None:
    """Else what S3 had refused others would be said of links for a minute more."""
    stage = Stage()
    stage.problem = failure(FailureKind.DENIED, Service.S3)
    for _ in range(5):
        with pytest.raises(ServiceError):
            stage.checks._retry.once(Service.S3, stage.require_bucket)  # noqa: SLF001
    assert stage.ask("link") == "circuit_open"
    stage.problem = None
    stage.checks._retry._health[Service.S3].failures = 0  # noqa: SLF001
    assert stage.ask("link") is None
    assert len(stage.asked) == 6


def test_s3_that_fails_already_is_not_asked_for_its_bucket() -> None:
    stage = Stage(problem=failure(FailureKind.OUTAGE, Service.S3, "timeout"))
    assert stage.ask("link") == "timeout"
    assert stage.ask("write") is None
    assert stage.asked == ["https://link"]


def test_what_fails_in_passing_is_asked_again_at_once() -> None:
    stage = Stage(problem=failure(FailureKind.OUTAGE, Service.S3, "timeout"))
    assert stage.ask("link") == "timeout"
    stage.problem = None
    assert stage.ask("link") is None


def test_only_a_bucket_that_surely_is_not_there_stops_a_write() -> None:
    stage = Stage(problem=failure(FailureKind.CONFIG, Service.S3, "NoSuchBucket"))
    assert [stage.ask("write"), stage.ask("write")] == ["NoSuchBucket"] * 2
    assert len(stage.asked) == 1
    for kind in set(FailureKind) - {FailureKind.CONFIG}:
        unclear = Stage(problem=failure(kind, Service.S3))
        assert [unclear.ask("write"), unclear.ask("write")] == [None] * 2
        assert len(unclear.asked) == 1


def test_fields_are_looked_at_once_before_the_first_write() -> None:
    stage = Stage()
    assert [stage.ask(name) for name in ("link", "write", "write")] == [None] * 3
    assert stage.looked == 1


@pytest.mark.parametrize("kind", list(FailureKind))
def test_only_a_field_that_surely_takes_no_links_stops_a_write(kind: FailureKind) -> None:
    stage = Stage(unfit=failure(kind, code="attachment_field"))
    expected = "attachment_field" if kind is FailureKind.CONFIG else None
    assert [stage.ask("write"), stage.ask("write")] == [expected] * 2
    assert stage.looked == 1


def test_airtable_that_fails_already_is_not_asked_for_its_fields() -> None:
    stage = Stage()
    with suppress(ServiceError):
        stage.retry.once(Service.AIRTABLE, stage.fail)
    assert stage.ask("write") is None
    assert stage.looked == 0


def test_threads_that_come_meanwhile_wait_for_the_answer() -> None:
    stage, go = Stage(), threading.Event()
    stage._answer = lambda what: (stage.asked.append(what), go.wait(10))[0]  # type: ignore[method-assign, func-returns-value] # noqa: SLF001
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(stage.ask, "link") for _ in range(8)]
        go.set()
        assert [answer.result() for answer in answers] == [None] * 8
    assert len(stage.asked) == 1
