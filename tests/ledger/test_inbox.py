"""The inbox: one commit for what comes in together, and no acknowledgement that is not true."""

# ruff: noqa: SLF001 - faults are put where the ledger cannot see them coming

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from reccli.adapters.ledger import Event, Inbox, Ledger, LedgerError, connect
from reccli.adapters.ledger import inbox as inbox_module
from reccli.core.errors import FailureKind
from tests.ledger.samples import (
    NOW,
    SECOND,
    TIMEOUT,
    add_all,
    callback,
    commits,
    execute,
    file_of,
    settle,
    sid,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

SOON = 20.0
"""Seconds that a test waits for what should come within one."""


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Be another process that writes, and is in no hurry."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as db:
        if db.dialect.name == "sqlite":
            db.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            db.exec_driver_sql("LOCK TABLE callbacks, events, schema_version IN EXCLUSIVE MODE")
        yield
        db.rollback()


def answers(futures: list[Future[bool]]) -> list[bool | LedgerError]:
    """Give what each said: new or not, or that it failed."""
    told: list[bool | LedgerError] = []
    for future in futures:
        error = future.exception(SOON)
        assert error is None or isinstance(error, LedgerError)
        told.append(future.result() if error is None else error)
    return told


def failures(futures: list[Future[bool]]) -> set[FailureKind]:
    told = answers(futures)
    assert all(isinstance(one, LedgerError) for one in told), told
    return {one.failure.kind for one in told if isinstance(one, LedgerError)}


def stored(url: str) -> set[str]:
    return {row[0] for row in execute(url, "SELECT sid FROM callbacks")}


# --- what it keeps


@pytest.mark.dialect
def test_what_is_acknowledged_is_there(inbox: Inbox, url: str) -> None:
    assert inbox.add(callback(1)).result(SOON) is True
    assert stored(url) == {sid(1)}
    assert inbox.add(callback(1)).result(SOON) is False


def test_what_comes_together_is_one_commit(inbox: Inbox, url: str) -> None:
    inbox.ping()
    before = commits(url)
    with locked(url):
        futures = [inbox.add(callback(n % 900)) for n in range(1000)]
        inbox.record("r1", [Event("saved", NOW)] * 3)
        assert not wait(futures, 0.1).done
    assert answers(futures) == [True] * 900 + [False] * 100
    inbox.ping()
    assert commits(url) - before <= 6  # the first one, two full ones, the rest, and the pings
    assert inbox.ledger.count_events(["saved"], NOW, NOW + SECOND) == {"saved": 3}


def test_many_threads_share_commits(inbox: Inbox, url: str) -> None:
    inbox.ping()
    before, count = commits(url), 40

    def work(start: int) -> list[bool]:
        return [inbox.add(callback(start + n)).result(SOON) for n in range(count)]

    with ThreadPoolExecutor(32) as threads:
        done = list(threads.map(work, range(0, 32 * count, count)))
    assert done == [[True] * count] * 32
    assert len(stored(url)) == 32 * count
    assert commits(url) - before < 32 * count / 4


def test_claims_are_settled_in_the_same_commits(inbox: Inbox, url: str) -> None:
    wait([inbox.add(callback(n)) for n in range(4)])
    one, two, three, four = inbox.ledger.claim(4, TIMEOUT)
    settle(inbox.ledger, [(four, "already")])
    before = commits(url)
    with locked(url):
        first = inbox.add(callback(9))
        ends = [
            inbox.settle(one, "linked"),
            inbox.settle(four, "late"),
            inbox.settle(two, TIMEOUT),
            inbox.settle(three, None),
            inbox.settle(one, "twice"),
        ]
    assert [end.result(SOON) for end in ends] == [True, False, True, True, False]
    assert first.result(SOON)
    assert commits(url) - before <= 3
    reasons = "SELECT reason FROM callbacks WHERE finished_us IS NOT NULL ORDER BY reason"
    assert execute(url, reasons) == [("already",), ("linked",)]


def test_runs_and_events_are_history(inbox: Inbox, url: str) -> None:
    inbox.start_run("r1", "serve", NOW)
    inbox.record("r1", [])
    inbox.record("r1", [Event("saved", NOW)])
    inbox.finish_run("r1", NOW + SECOND, 0, {"copied": 1})
    inbox.close()
    assert execute(url, "SELECT run_id, exit_code, summary FROM runs") == [
        ("r1", 0, '{"copied": 1}')
    ]
    assert execute(url, "SELECT run_id, name FROM events") == [("r1", "saved")]


def test_a_ping_is_a_write(inbox: Inbox, url: str) -> None:
    inbox.ping()
    before = commits(url)
    inbox.ping()
    assert commits(url) > before


# --- how it fails


def test_a_failed_commit_fails_all_that_was_in_it(
    inbox: Inbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.ping()
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.3)
    inbox.close()
    inbox = Inbox(lambda: Ledger.open(url))
    inbox.ping()
    with locked(url):
        started = time.monotonic()
        futures = [inbox.add(callback(n)) for n in range(2000)]
        assert failures(futures) == {FailureKind.BUSY}
        assert time.monotonic() - started < 3  # also those that had to wait behind the others
        with pytest.raises(LedgerError):
            inbox.ping()
    assert stored(url) == set()
    assert inbox.add(callback(1)).result(SOON)
    inbox.close()


def test_a_full_disk_fails_all_and_is_got_over(path: Path) -> None:
    url = f"sqlite:///{path}"
    inbox = Inbox(lambda: Ledger.open(url))
    assert inbox.add(callback(1)).result(SOON)
    pages: list[int] = []

    def small(db: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - the driver's
        pages.extend(db.execute("PRAGMA page_count").fetchone())
        db.execute(f"PRAGMA max_page_count = {pages[-1]}")

    sa.event.listen(inbox.ledger._writer, "checkout", small)
    with locked(url):
        futures = [inbox.add(callback(n, body=b"x" * 9000)) for n in range(2, 50)]
    assert failures(futures) == {FailureKind.OUTAGE}
    assert pages
    assert stored(url) == {sid(1)}
    # The ledger is opened anew, and the limit was the old connection's.
    assert inbox.add(callback(2, body=b"x" * 9000)).result(SOON)
    inbox.close()


@pytest.mark.dialect
@pytest.mark.parametrize(
    "changes",
    [
        {"account_sid": None},
        {"received": NOW.replace(tzinfo=None)},
        {"body": object()},
        {"sid": 5},
        {"received": NOW.replace(year=9999), "status": ("a",)},
    ],
)
def test_one_odd_entry_fails_alone(inbox: Inbox, url: str, changes: dict[str, Any]) -> None:
    inbox.ping()
    with locked(url):
        futures = [inbox.add(callback(n)) for n in range(20)]
        odd = inbox.add(callback(20, **changes))
        futures += [inbox.add(callback(n)) for n in range(21, 40)]
    with pytest.raises(LedgerError) as caught:
        odd.result(SOON)
    assert caught.value.failure.kind is FailureKind.PERMANENT
    assert answers(futures) == [True] * 39
    assert stored(url) == {sid(n) for n in range(40) if n != 20}


def test_an_odd_event_fails_nobody(inbox: Inbox, url: str) -> None:
    inbox.ping()
    odd = Event("saved", NOW.replace(tzinfo=None))
    with locked(url):
        futures = [inbox.add(callback(n)) for n in range(5)]
        inbox.record("r1", [Event("saved", NOW)])
        inbox.record("r1", [odd])
    assert answers(futures) == [True] * 5
    inbox.ping()
    assert inbox.ledger.count_events(["saved"], NOW, NOW + SECOND) == {"saved": 1}


def test_too_much_is_refused_at_once(
    inbox: Inbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "LONGEST_QUEUE", 10)
    inbox.ping()
    with locked(url):
        futures = [inbox.add(callback(0))]
        while inbox._queue:  # it is in hand: nothing else is taken up until the lock is gone
            time.sleep(0.001)
        futures += [inbox.add(callback(n)) for n in range(1, 30)]
        refused = [future for future in futures if future.done()]
        assert len(refused) == 19  # ten wait, and one is in hand
        assert failures(refused) == {FailureKind.BUSY}
        assert "too much waits" in str(refused[0].exception())
        with capture_logs() as logs:
            inbox.record("r1", [Event("saved", NOW)])
        assert [log["event"] for log in logs] == ["ledger_error"]
    assert answers([one for one in futures if one not in refused]) == [True] * (30 - len(refused))


def test_a_caller_who_has_gone_harms_nobody(inbox: Inbox, url: str) -> None:
    inbox.ping()
    with locked(url):
        futures = [inbox.add(callback(n)) for n in range(9)]
        assert futures[5].cancel()
    assert answers(futures[:5] + futures[6:]) == [True] * 8
    inbox.ping()
    assert len(stored(url)) == 9  # it costs nothing, and may be the only time that it is told


# --- the ledger comes and goes


class Away:
    """A ledger that can be opened only now and then."""

    def __init__(self, url: str) -> None:
        self.url, self.error, self.opened = url, "away", 0

    def __call__(self) -> Ledger:
        if self.error == "bug":
            raise KeyError(self.error)
        url = "postgresql+psycopg://127.0.0.1:1/db" if self.error else self.url
        ledger = Ledger.open(url)
        self.opened += 1
        return ledger


def test_it_starts_while_the_ledger_is_away(path: Path) -> None:
    pytest.importorskip("psycopg")
    away = Away(f"sqlite:///{path}")
    inbox = Inbox(away)
    inbox.start_run("r1", "serve", NOW)
    assert failures([inbox.add(callback(1))]) == {FailureKind.OUTAGE}
    with pytest.raises(LedgerError):
        inbox.ping()
    with pytest.raises(LedgerError):
        _ = inbox.ledger
    away.error = "bug"
    assert failures([inbox.add(callback(1))]) == {FailureKind.PERMANENT}
    away.error = ""
    assert inbox.add(callback(1)).result(SOON)
    inbox.close()
    assert away.opened == 1


def test_history_is_tried_twice_and_then_told(path: Path) -> None:
    pytest.importorskip("psycopg")
    url = f"sqlite:///{path}"
    away = Away(url)
    inbox = Inbox(away)
    with capture_logs() as logs:
        inbox.record("r1", [Event("lost", NOW)])
        failures([inbox.add(callback(1))])
        failures([inbox.add(callback(1))])
    assert [(log["event"], log["dropped"]) for log in logs] == [("ledger_error", 1)]
    with capture_logs() as logs:
        inbox.record("r1", [Event("saved", NOW)])
        failures([inbox.add(callback(1))])
        away.error = ""
        assert inbox.add(callback(1)).result(SOON)
    assert logs == []
    inbox.close()
    assert execute(url, "SELECT name FROM events") == [("saved",)]


@pytest.mark.parametrize("when", ["deleted", "moved", "replaced"])
def test_a_file_that_is_lost_under_way(path: Path, when: str) -> None:
    url = f"sqlite:///{path}"
    inbox = Inbox(lambda: Ledger.open(url))
    inbox.add(callback(1)).result(SOON)
    path.rename(path.with_suffix(".old"))
    if when == "replaced":
        with Ledger.open(url) as other:
            add_all(other, [callback(2)])
    elif when == "deleted":
        path.with_suffix(".old").unlink()
    assert inbox.add(callback(3)).result(SOON)
    inbox.close()
    assert stored(url) == {sid(n) for n in ((2, 3) if when == "replaced" else (3,))}


@pytest.mark.dialect
def test_tables_that_are_gone_are_made_again(inbox: Inbox, url: str) -> None:
    inbox.add(callback(1)).result(SOON)
    for table in ("callbacks", "events"):
        execute(url, f"DROP TABLE {table}")
    answers([inbox.add(callback(2))])  # fails, and has the ledger opened anew
    assert inbox.add(callback(3)).result(SOON)
    assert stored(url) == {sid(3)}


def test_a_corrupt_file_fails_all_until_it_is_moved_away(path: Path) -> None:
    url = f"sqlite:///{path}"
    inbox = Inbox(lambda: Ledger.open(url))
    inbox.add(callback(1)).result(SOON)
    path.write_bytes(b"not a database, " * 4096)
    assert failures([inbox.add(callback(n)) for n in range(5)]) == {FailureKind.PERMANENT}
    path.rename(path.with_suffix(".bad"))
    assert inbox.add(callback(2)).result(SOON)
    inbox.close()


def test_postgresql_stops_and_starts(request: pytest.FixtureRequest, postgres: str) -> None:
    server = request.getfixturevalue("postgres_server")
    if server.url != postgres:
        pytest.skip("TEST_POSTGRES_URL names a server that is not ours to stop")
    inbox = Inbox(lambda: Ledger.open(postgres))
    assert inbox.add(callback(1)).result(SOON)
    server.stop()
    try:
        started = time.monotonic()
        assert failures([inbox.add(callback(n)) for n in range(50)]) == {FailureKind.OUTAGE}
        with pytest.raises(LedgerError):
            inbox.ping()
        assert time.monotonic() - started < connect.BUSY_SECONDS
    finally:
        server.start()
    assert inbox.add(callback(2)).result(SOON)
    inbox.close()
    assert stored(postgres) == {sid(1), sid(2)}  # what was acknowledged outlived the crash


# --- its end


def test_closing_writes_what_waits(inbox: Inbox, url: str) -> None:
    inbox.ping()
    with locked(url):
        futures = [inbox.add(callback(n)) for n in range(1500)]
        closing = threading.Thread(target=inbox.close)
        closing.start()
    closing.join(SOON)
    assert answers(futures) == [True] * 1500
    assert failures([inbox.add(callback(1))]) == {FailureKind.PERMANENT}
    with pytest.raises(LedgerError, match="is closed"):
        inbox.ping()
    with pytest.raises(LedgerError, match="is closed"):
        _ = inbox.ledger
    inbox.record("r1", [Event("saved", NOW)])
    inbox.close()


def test_closing_what_was_never_used(path: Path) -> None:
    threads = threading.active_count()
    inbox = Inbox(lambda: Ledger.open(f"sqlite:///{path}"))
    inbox.close()
    assert not path.exists()
    assert threading.active_count() == threads


FORK = """
import os, sys
from datetime import UTC, datetime
from reccli.adapters.ledger import Callback, Inbox, Ledger, LedgerError

def told(number):
    return Callback(f"RE{number}", "completed", "AC", None, b"", datetime.now(UTC))

inbox = Inbox(lambda: Ledger.open(sys.argv[1]))
if os.fork() == 0:  # before the first use: the child has its own
    inbox.add(told(1)).result(20)
    os._exit(3)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
inbox.add(told(2)).result(20)
if os.fork() == 0:  # after it: the thread is the parent's
    try:
        inbox.add(told(3)).result(20)
    except LedgerError as error:
        inbox.close()
        os._exit(4 if "fork" in str(error) else 5)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 4
inbox.add(told(4)).result(20)
inbox.close()
"""


def test_a_fork_is_told(url: str) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, url],
        check=True,
        timeout=60,
    )
    assert stored(url) == {"RE1", "RE2", "RE4"}


# --- others beside it

WRITER = """
import sys, time
from datetime import UTC, datetime
from reccli.adapters.ledger import Event, Ledger
with Ledger.open(sys.argv[1]) as ledger:
    print("ready", flush=True)
    for _ in range(20):
        started = time.monotonic()
        ledger.record("r2", [Event("saved", datetime.now(UTC))] * 50)
        print(time.monotonic() - started, flush=True)
"""


def test_another_process_gets_its_turn_under_load(path: Path) -> None:
    """Without pauses here and short steps there it waits for seconds."""
    url = f"sqlite:///{path}"
    inbox = Inbox(lambda: Ledger.open(url))
    inbox.ping()
    room, over = threading.Semaphore(200), threading.Event()

    def load() -> None:
        number = 0
        while not over.is_set():
            room.acquire()
            number += 1
            inbox.add(callback(number)).add_done_callback(lambda _: room.release())

    loading = threading.Thread(target=load)
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        loading.start()
        waited = sorted(float(line) for line in process.stdout)
        over.set()
        loading.join(SOON)
    inbox.close()
    assert len(waited) == 20
    assert waited[-1] < 1.0
    assert file_of(url).stat().st_size > 0


def test_claims_get_their_turn_under_load(inbox: Inbox) -> None:
    inbox.ping()
    futures = [inbox.add(callback(n)) for n in range(5000)]
    claimed = 0
    while not all(future.done() for future in futures):
        claimed += len(inbox.ledger.claim(10, TIMEOUT))
    assert answers(futures) == [True] * 5000
    assert claimed
