"""Claims: who may work on what, until when, and that whoever is late changes nothing."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reccli.adapters.ledger import Claim, Ledger
from tests.ledger.samples import (
    ACCOUNT,
    NOW,
    SECOND,
    TIMEOUT,
    add,
    add_all,
    callback,
    execute,
    let_pass,
    settle,
    sid,
)

pytestmark = pytest.mark.dialect

# ruff: noqa: SLF001 - statements are listened to where they go to the database

DAY = timedelta(days=1)


def sids(claims: list[Claim]) -> list[str]:
    return [claim.sid for claim in claims]


def state(url: str, number: int = 1) -> dict[str, Any]:
    names = ("finished_us", "reason", "attempts", "fence")
    query = f"SELECT {', '.join(names)} FROM callbacks WHERE sid = :sid"  # noqa: S608 - the columns above
    (row,) = execute(url, query, sid=sid(number))
    return dict(zip(names, row, strict=True))


def test_a_claim_tells_all_that_is_needed(either: Ledger, url: str) -> None:
    add(either, call_sid="CA1")
    assert either.claim(10, TIMEOUT) == [
        Claim(sid(1), "completed", ACCOUNT, "CA1", NOW, attempts=1, fence=1)
    ]
    now = state(url)
    assert (now["attempts"], now["fence"]) == (1, 1)
    assert now["finished_us"] is None


def test_what_is_due_longest_comes_first(either: Ledger, url: str) -> None:
    for number in (3, 1, 2):
        add(either, number)
        let_pass(url, SECOND)
    assert sids(either.claim(2, TIMEOUT)) == [sid(3), sid(1)]
    assert sids(either.claim(2, TIMEOUT)) == [sid(2)]
    assert either.claim(2, TIMEOUT) == []


@pytest.mark.parametrize("skew", [-DAY, DAY])
def test_the_clock_of_whoever_received_it_has_no_say(either: Ledger, skew: timedelta) -> None:
    add(either, received=NOW + 10_000 * DAY + skew)
    assert len(either.claim(1, TIMEOUT)) == 1


def test_a_claim_runs_out_and_another_takes_over(either: Ledger, url: str) -> None:
    add(either)
    (first,) = either.claim(1, TIMEOUT)
    let_pass(url, TIMEOUT - SECOND)
    assert either.claim(1, TIMEOUT) == []
    let_pass(url, 2 * SECOND)
    (second,) = either.claim(1, TIMEOUT)
    assert (second.attempts, second.fence) == (2, 2)
    assert settle(either, [(first, "too late")]) == [first]
    assert settle(either, [], [(first, DAY)]) == [first]
    assert settle(either, [], [], [first]) == [first]
    assert (state(url)["reason"], state(url)["attempts"]) == (None, 2)
    assert either.claim(1, TIMEOUT) == []
    assert settle(either, [(second, "linked")]) == []
    now = state(url)
    assert now["reason"] == "linked"
    assert now["finished_us"] is not None
    assert either.callbacks_pending() == 0


def test_a_clock_that_was_set_back_keeps_nothing_from_being_taken_up(
    either: Ledger, url: str
) -> None:
    add(either)
    let_pass(url, -timedelta(days=30))  # written when it was a month ahead
    (one,) = either.claim(9, TIMEOUT)
    let_pass(url, -timedelta(days=30))
    (two,) = either.claim(9, TIMEOUT)
    assert two.fence == one.fence + 1
    assert either.claim(9, TIMEOUT) == []


def test_a_claim_that_has_run_out_is_still_ours_until_it_is_taken(either: Ledger, url: str) -> None:
    add(either)
    claims = either.claim(1, TIMEOUT)
    let_pass(url, 2 * TIMEOUT)
    assert settle(either, [(claims[0], "linked")]) == []
    assert either.claim(1, TIMEOUT) == []


def test_what_is_released_is_due_again_later(either: Ledger, url: str) -> None:
    add(either)
    (claim,) = either.claim(1, TIMEOUT)
    assert settle(either, [], [(claim, timedelta(minutes=5))]) == []
    let_pass(url, timedelta(minutes=4))
    assert either.claim(1, TIMEOUT) == []
    let_pass(url, timedelta(minutes=1))
    (again,) = either.claim(1, TIMEOUT)
    assert (again.attempts, again.fence) == (2, 2)


def test_what_was_not_used_is_as_if_never_taken(either: Ledger, url: str) -> None:
    add(either)
    claims = either.claim(1, TIMEOUT)
    assert settle(either, [], [], claims) == []
    now = state(url)
    assert now["attempts"] == 0
    (again,) = either.claim(1, TIMEOUT)
    assert (again.attempts, again.fence) == (1, 2)
    assert settle(either, [(claims[0], "too late")]) == claims


def test_a_claim_ends_once(either: Ledger, url: str) -> None:
    add_all(either, [callback(n) for n in range(2)])
    one, two = either.claim(2, TIMEOUT)
    assert settle(either, [(one, "first"), (one, "second")], [(one, DAY), (two, DAY)]) == [one, one]
    assert settle(either, [(one, "third")]) == [one]
    assert {state(url, number)["reason"] for number in range(2)} == {"first", None}


def test_many_end_at_once(either: Ledger) -> None:
    add_all(either, [callback(n) for n in range(1500)])
    claims = either.claim(1500, TIMEOUT)
    finished = [(claim, f"linked {claim.sid}") for claim in claims[:700]]
    released = [(claim, timedelta()) for claim in claims[700:1400]]
    assert settle(either, finished, released, claims[1400:]) == []
    again = either.claim(1500, TIMEOUT)
    assert sorted(sids(again)) == sorted(sids(claims[700:]))
    assert sorted({claim.attempts for claim in again}) == [1, 2]


def test_process_may_finish_what_a_worker_has_claimed(either: Ledger, url: str) -> None:
    add(either)
    (claim,) = either.claim(1, TIMEOUT)
    assert either.finish_callback(sid(1), NOW, "linked by process")
    assert settle(either, [(claim, "linked")]) == [claim]
    assert state(url)["reason"] == "linked by process"
    assert either.claim(1, TIMEOUT) == []


def test_each_status_of_a_recording_is_claimed_by_itself(either: Ledger, url: str) -> None:
    add(either, status="in-progress")
    (first,) = either.claim(5, TIMEOUT)
    add(either, status="completed")
    (second,) = either.claim(5, TIMEOUT)
    assert settle(either, [(first, "a")]) == []
    assert either.callbacks_pending() == 1
    assert settle(either, [(second, "b")]) == []
    assert either.callbacks_pending() == 0


def test_nobody_gets_what_another_got(either: Ledger, url: str) -> None:
    count = 400
    add_all(either, [callback(n) for n in range(count)])
    got: list[str] = []
    start = threading.Barrier(4)

    def work() -> None:
        with Ledger.open(url) as mine:
            start.wait()
            while claims := mine.claim(7, TIMEOUT):
                got.extend(sids(claims))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [sid(n) for n in range(count)]


def test_a_ledger_from_when_claims_had_owners_is_taken_over(url: str) -> None:
    with Ledger.open(url) as ledger:
        add(ledger)
    for column in (
        "owner TEXT",
        "lease_until_us BIGINT" if "postgres" in url else "lease_until_us INTEGER",
    ):
        execute(url, f"ALTER TABLE callbacks ADD COLUMN {column}")
    execute(url, "UPDATE callbacks SET owner = 'who died', lease_until_us = due_us + 1000000000")
    with Ledger.open(url) as ledger:
        (claim,) = ledger.claim(9, TIMEOUT)
        assert settle(ledger, [(claim, "linked")]) == []
        add(ledger, 2)
        assert ledger.callbacks_pending() == 1


# --- what the databases make of it


def test_postgresql_does_not_wait_for_a_row_that_another_holds(postgres: str) -> None:
    engine = sa.create_engine(postgres, poolclass=sa.NullPool)
    with Ledger.open(postgres) as ledger:
        add_all(ledger, [callback(n) for n in range(3)])
        with engine.begin() as db:
            db.execute(
                sa.text("SELECT 1 FROM callbacks WHERE sid = :sid FOR UPDATE"), {"sid": sid(1)}
            )
            assert sorted(sids(ledger.claim(9, TIMEOUT))) == [sid(0), sid(2)]
        assert sids(ledger.claim(9, TIMEOUT)) == [sid(1)]


def test_claims_run_by_the_clock_of_postgresql(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(postgres) as ledger:
        add(ledger)
        ledger.claim(1, TIMEOUT)
        ((left,),) = execute(
            postgres,
            "SELECT due_us / 1e6 - extract(epoch FROM clock_timestamp()) FROM callbacks",
        )
        assert 10 < left <= 15


def test_batches_in_another_order_do_not_block_each_other_for_ever(postgres: str) -> None:
    told = [callback(n) for n in range(300)]
    failed: list[Exception] = []
    start = threading.Barrier(2)

    def work(step: int) -> None:
        with Ledger.open(postgres) as mine:
            start.wait()
            for at in range(0, 300, 3):
                some = [callback(n, status=f"s{at}") for n in range(300)]
                try:
                    add_all(mine, some[::step])
                except Exception as error:  # noqa: BLE001 - reported below
                    failed.append(error)

    threads = [threading.Thread(target=work, args=(step,)) for step in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Ledger.open(postgres) as ledger:
        assert ledger.callbacks_pending() == len(told)


@pytest.fixture
def statements(ledger: Ledger) -> list[tuple[str, Any]]:
    """Note what goes to SQLite."""
    seen: list[tuple[str, Any]] = []

    def note(_db: object, _cursor: object, sql: str, values: Any, *_: object) -> None:  # noqa: ANN401 - of the driver
        seen.append((sql, values))

    for engine in (ledger._reader, ledger._writer):
        sa.event.listen(engine, "before_cursor_execute", note)
    return seen


def test_nothing_that_is_done_often_reads_the_whole_table(
    ledger: Ledger, statements: list[tuple[str, Any]]
) -> None:
    """SQLite would, for one IN too complicated; with a million rows that is a quarter second."""
    add_all(ledger, [callback(n) for n in range(20)])
    claims = ledger.claim(20, TIMEOUT)
    settle(ledger, [(claims[0], "x")], [(claims[1], TIMEOUT)], claims[2:3])
    ledger.finish_callback(sid(4), NOW, "x")
    ledger.pending_callbacks(5)
    ledger.callbacks_pending()
    ledger.count_callbacks(NOW, NOW + SECOND)
    ledger.count_events(["saved"], NOW, NOW + SECOND)
    plans = []
    with ledger._reader.connect() as db:
        for sql, values in statements:
            one = values[0] if isinstance(values, list) else values
            if re.match("SELECT|UPDATE|INSERT", sql):
                plan = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", one).all()
                plans += [row[3] for row in plan]
    assert len(statements) > 12
    scans = {step for step in plans if step.startswith(("SCAN callbacks", "SCAN events"))}
    assert scans == {"SCAN callbacks USING INDEX callbacks_pending"}  # only what is unfinished
