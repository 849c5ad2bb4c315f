"""Patience: how often, how long, and when a service is not asked any more."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.outages import CIRCUIT_OPEN
from reccli.flow.retry import Backoff, Retry

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
S3, TWILIO = Service.S3, Service.TWILIO
OUTAGE, BUSY, DENIED = FailureKind.OUTAGE, FailureKind.BUSY, FailureKind.DENIED


@dataclass
class Clock:
    """A clock that sleeping moves on."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> datetime:
        return START + timedelta(seconds=sum(self.slept))


def failing(
    *kinds: FailureKind | None, retry_after: float | None = None
) -> tuple[Callable[[], str], list[int]]:
    """Make a call that fails so, then answers; None answers."""
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        kind = kinds[len(calls) - 1] if len(calls) <= len(kinds) else None
        if kind is None:
            return "answer"
        raise ServiceError(Failure(S3, kind, "made", f"made up {kind}", retry_after=retry_after))

    return call, calls


def patient(probe: Callable[[], str] | None = None, **how: float) -> tuple[Retry, Clock]:
    clock = Clock()
    probes = {S3: probe} if probe else {}
    return Retry(Backoff(**how), probes, sleep=clock.sleep, now=clock.now), clock  # type: ignore[arg-type]


def refused(retry: Retry, call: Callable[[], str], service: Service = S3) -> Failure:
    with pytest.raises(ServiceError) as caught:
        retry(service, call)
    return caught.value.failure


@pytest.mark.parametrize("kind", [OUTAGE, BUSY])
def test_what_passes_is_tried_again(kind: FailureKind) -> None:
    retry, clock = patient()
    call, calls = failing(kind, kind, kind)
    assert retry(S3, call) == "answer"
    assert (len(calls), len(clock.slept)) == (4, 3)
    assert all(0 <= seconds <= 8 for seconds in clock.slept)


@pytest.mark.parametrize("kind", [DENIED, FailureKind.PERMANENT, FailureKind.FATAL])
def test_what_stays_is_not_tried_again(kind: FailureKind) -> None:
    retry, clock = patient()
    call, calls = failing(kind)
    assert refused(retry, call).kind is kind
    assert (len(calls), clock.slept) == (1, [])


def test_the_last_failure_is_the_one_that_is_told() -> None:
    retry, _ = patient(attempts=3)
    call, calls = failing(OUTAGE, OUTAGE, BUSY)
    assert refused(retry, call).kind is BUSY
    assert len(calls) == 3


@pytest.mark.parametrize(("asked", "waited"), [(2.5, 2.5), (0.0, 0.0), (30.0, 30.0), (900.0, 60.0)])
def test_retry_after_is_honoured_up_to_a_minute(asked: float, waited: float) -> None:
    retry, clock = patient()
    call, _ = failing(BUSY, retry_after=asked)
    assert retry(S3, call) == "answer"
    assert clock.slept == [waited]


def test_after_five_calls_in_a_row_it_is_not_asked_any_more() -> None:
    retry, clock = patient(attempts=2)
    call, calls = failing(*[OUTAGE] * 99)
    for _ in range(5):
        assert refused(retry, call).code == "made"
    assert len(calls) == 10
    told = refused(retry, call)
    assert len(calls) == 10
    assert (told.code, told.kind) == (CIRCUIT_OPEN, OUTAGE)
    assert f"{START:%H:%M:%S} UTC" in told.message
    (outage,) = retry.outages
    assert (outage.service, outage.since) == (S3, START)
    assert clock.now() >= START


def test_the_other_services_are_asked_still() -> None:
    retry, _ = patient(attempts=1)
    call, _ = failing(*[OUTAGE] * 99)
    for _ in range(6):
        refused(retry, call)
    assert retry(TWILIO, failing()[0]) == "answer"


def test_refused_credentials_open_the_circuit_too() -> None:
    retry, _ = patient()
    call, calls = failing(*[DENIED] * 99)
    for _ in range(8):
        refused(retry, call)
    assert len(calls) == 5
    assert refused(retry, call).kind is DENIED


@pytest.mark.parametrize("kind", [BUSY, FailureKind.PERMANENT])
def test_an_answer_of_any_kind_keeps_it_closed(kind: FailureKind) -> None:
    retry, _ = patient(attempts=1)
    call, calls = failing(*[OUTAGE, OUTAGE, OUTAGE, OUTAGE, kind] * 4)
    for _ in range(20):
        assert refused(retry, call).code == "made"
    assert len(calls) == 20


def test_since_when_is_counted_from_the_last_answer() -> None:
    """A service that said "too busy" at noon has not been down since the morning."""
    retry, clock = patient(attempts=1)
    call, _ = failing(OUTAGE, BUSY, *[OUTAGE] * 9)
    refused(retry, call)
    clock.sleep(3600)
    refused(retry, call)
    for _ in range(6):
        refused(retry, call)
    (outage,) = retry.outages
    assert outage.since == START + timedelta(hours=1)


def test_only_calls_in_a_row_open_it() -> None:
    retry, _ = patient(attempts=1)
    call, calls = failing(*[OUTAGE, OUTAGE, OUTAGE, OUTAGE, None] * 3)
    for _ in range(3):
        for _ in range(4):
            assert refused(retry, call).code == "made"
        assert retry(S3, call) == "answer"
    assert len(calls) == 15


def test_what_was_given_up_is_an_outage_of_the_run_when_it_is_back_too() -> None:
    retry, _ = patient(attempts=1, open_for=0.1)
    call, _ = failing(*[OUTAGE] * 5)
    for _ in range(6):
        refused(retry, call)
    threading.Event().wait(0.15)
    assert retry(S3, call) == "answer"
    assert ([outage.service for outage in retry.outages], retry.failing) == ([S3], ())


def test_it_is_asked_again_after_a_while() -> None:
    retry, _ = patient(attempts=1, open_for=0.1)
    call, calls = failing(*[OUTAGE] * 5)
    for _ in range(6):
        refused(retry, call)
    assert len(calls) == 5
    threading.Event().wait(0.15)
    assert retry(S3, call) == "answer"
    assert retry(S3, call) == "answer"


def test_an_outage_met_by_many_threads_is_told_as_an_outage() -> None:
    retry, _ = patient(attempts=1)
    call, calls = failing(*[OUTAGE] * 10_000)
    codes: list[str] = []

    def hammer() -> None:
        codes.extend(refused(retry, call).code for _ in range(200))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=hammer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(codes) == 1_600
    assert set(codes) == {"made", CIRCUIT_OPEN}
    assert len(calls) < 100


def test_a_bug_is_not_hidden() -> None:
    retry, clock = patient()

    def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry(S3, broken)
    assert clock.slept == []


# Probes


@pytest.mark.parametrize("answer", [None, BUSY, FailureKind.PERMANENT, FailureKind.GONE])
def test_what_fails_while_the_service_answers_is_one_objects_failure(
    answer: FailureKind | None,
) -> None:
    probe, probed = failing(*[answer] * 99)
    retry, _ = patient(probe, attempts=2)
    call, calls = failing(*[OUTAGE] * 99)
    for _ in range(9):
        assert refused(retry, call) == Failure(S3, OUTAGE, "made", "made up outage")
        assert not retry.fails(S3)
    assert (len(calls), len(probed)) == (18, 9)
    assert (retry.outages, retry.failing, S3 in retry.heard) == ((), (), True)


@pytest.mark.parametrize("told", [OUTAGE, DENIED, FailureKind.FATAL])
def test_a_service_fails_when_its_probe_does(told: FailureKind) -> None:
    probe, probed = failing(*[told] * 99)
    retry, _ = patient(probe, attempts=1)
    call, calls = failing(*[OUTAGE] * 99)
    assert refused(retry, call).code == "made"
    assert retry.fails(S3)
    (outage,) = retry.failing
    assert (outage.failure.message, outage.since) == ("made up outage", START)
    for _ in range(9):
        refused(retry, call)
    assert (len(calls), len(probed)) == (5, 5)
    assert refused(retry, call).code == CIRCUIT_OPEN
    assert retry.failing == retry.outages


def test_one_answer_of_the_probe_begins_the_count_anew() -> None:
    probe, _ = failing(*[OUTAGE, OUTAGE, OUTAGE, OUTAGE, None] * 5)
    retry, _ = patient(probe, attempts=1)
    call, calls = failing(*[OUTAGE] * 99)
    for _ in range(20):
        assert refused(retry, call).code == "made"
    assert len(calls) == 20
    assert not retry.fails(S3)


def test_a_refusal_that_others_do_not_meet_is_not_of_the_credentials() -> None:
    retry, _ = patient(failing()[0])
    call, _ = failing(*[DENIED] * 99)
    told = refused(retry, call)
    assert told.kind is FailureKind.PERMANENT
    assert told.message == "made up denied: refused for this alone, others are answered"
    assert "credentials" not in told.hint


@pytest.mark.parametrize("name", ["more", "once"])
def test_where_more_rights_are_needed_a_refusal_is_believed(name: str) -> None:
    probe, probed = failing()
    retry, _ = patient(probe)
    call, calls = failing(*[DENIED] * 99)
    for _ in range(9):
        with pytest.raises(ServiceError) as caught:
            getattr(retry, name)(S3, call)
        assert caught.value.failure.kind is DENIED
    assert (len(calls), len(probed), retry.fails(S3)) == (5, 0, True)
    away, _ = failing(*[OUTAGE] * 99)
    retry, _ = patient(probe, attempts=1)
    for _ in range(9):
        with pytest.raises(ServiceError) as caught:
            getattr(retry, name)(S3, away)
        assert caught.value.failure.code == "made"
    assert len(probed) == 9


@pytest.mark.parametrize("kind", [BUSY, FailureKind.PERMANENT, FailureKind.FATAL])
def test_what_says_nothing_of_the_service_asks_nobody(kind: FailureKind) -> None:
    probe, probed = failing()
    retry, _ = patient(probe, attempts=1)
    refused(retry, failing(kind)[0])
    assert (len(probed), retry.fails(S3)) == (0, kind is FailureKind.FATAL)


def test_an_attempt_that_fails_is_no_failure_yet() -> None:
    probe, probed = failing(OUTAGE)
    retry, _ = patient(probe)
    seen: list[bool] = []
    call, _ = failing(OUTAGE, OUTAGE)

    def watched() -> str:
        seen.append(retry.fails(S3))
        return call()

    assert retry(S3, watched) == "answer"
    assert (seen, len(probed), retry.outages) == ([False] * 3, 0, ())


class Crowd:
    """A lock that tells when so many have come to it."""

    def __init__(self, size: int) -> None:
        self.lock, self.left, self.whole = threading.Lock(), [None] * size, threading.Event()

    def __enter__(self) -> None:
        self.left.pop()
        if not self.left:
            self.whole.set()
        self.lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self.lock.release()


def test_those_that_fail_at_the_same_time_ask_once() -> None:
    asked, crowd = [], Crowd(9)

    def probe() -> str:
        asked.append(1)
        crowd.whole.wait(10 if len(asked) == 1 else 0)
        return "answer"

    retry, _ = patient(probe, attempts=1)
    retry._probes._locks[S3] = crowd  # type: ignore[assignment]  # noqa: SLF001
    calls = [failing(OUTAGE)[0] for _ in range(9)]
    threads = [threading.Thread(target=refused, args=(retry, call)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    crowd.left.append(None)
    refused(retry, failing(OUTAGE)[0])  # after that answer
    assert len(asked) == 2
