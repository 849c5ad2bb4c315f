"""The ledger: what it keeps, through whatever happens to its file, and how it fails."""

# ruff: noqa: SLF001 - faults are put where the ledger cannot see them coming

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reccli.adapters.ledger import Event, Ledger, LedgerError, PendingCallback, connect, schema
from reccli.core.errors import FailureKind, ServiceError
from tests.ledger.samples import ACCOUNT, NOW, SECOND, TIMEOUT, add, add_all, callback, execute, sid

# --- what it keeps


def test_events_are_counted_by_name_and_window(either: Ledger) -> None:
    either.record(
        "r1",
        [
            Event("saved", NOW),
            Event("saved", NOW + SECOND, sid(1), "CA1", {"bytes": 2**40, "text": "ü\0\ud800"}),
            Event("lost", NOW + SECOND),
            Event("saved", NOW + 2 * SECOND),
        ],
    )
    either.record("r1", [])
    names = ["saved", "lost", "never"]
    window = (NOW, NOW + 2 * SECOND)
    assert either.count_events(names, *window) == {"saved": 2, "lost": 1, "never": 0}
    assert either.count_events([], *window) == {}


def test_recordings_of_an_event_are_told_once_each(
    either: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reccli.adapters.ledger.questions._SLICE", 2)
    told = [Event("saved", NOW + n * SECOND, sid(n % 3), "CA1") for n in range(7)]
    others = [Event("saved", NOW), Event("lost", NOW, sid(8)), Event("saved", NOW - SECOND, sid(9))]
    either.record("r1", [*told, *others, Event("saved", NOW + 9 * SECOND, sid(7))])
    window = (NOW, NOW + 9 * SECOND)
    assert either.recordings_with("saved", *window) == {sid(0), sid(1), sid(2)}
    assert either.recordings_with("never", *window) == set()


@pytest.mark.dialect
def test_times_of_any_zone_are_kept_to_the_microsecond(either: Ledger) -> None:
    there = NOW.astimezone(tz=datetime.strptime("+1030", "%z").tzinfo)
    add(either, received=there)
    (pending,) = either.pending_callbacks(10)
    assert pending == PendingCallback(sid(1), ACCOUNT, None, NOW)
    assert pending.received.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="without a zone"):
        add(either, received=NOW.replace(tzinfo=None))


@pytest.mark.dialect
def test_a_callback_is_kept_once_as_it_came(either: Ledger, url: str) -> None:
    body = b"From=%2B1\0\xff\xfe"
    assert add(either, body=body)
    assert not add(either, body=b"again", after=5)
    (kept,) = execute(url, "SELECT body, received_us, attempts, fence, reason FROM callbacks")
    assert bytes(kept[0]) == body
    assert kept[1:] == (int(NOW.timestamp() * 1_000_000), 0, 0, None)


def test_many_callbacks_at_once_say_which_are_new(either: Ledger) -> None:
    assert add(either, 2)
    told = [callback(n % 600) for n in range(1200)] + [callback(7, status="in-progress")]
    new = add_all(either, told)
    assert [n for n, is_new in enumerate(new) if not is_new] == [2, *range(600, 1200)]
    assert either.callbacks_pending() == 600
    assert add_all(either, []) == []


@pytest.mark.dialect
def test_of_two_in_one_batch_the_first_is_kept(either: Ledger, url: str) -> None:
    first, second = callback(1, body=b"first"), callback(1, body=b"second")
    assert add_all(either, [first, second]) == [True, False]
    assert [bytes(body) for (body,) in execute(url, "SELECT body FROM callbacks")] == [b"first"]


def test_pending_callbacks_are_recordings_and_calls_the_oldest_first(either: Ledger) -> None:
    assert either.pending_callbacks(10) == []
    call = "CA" + "4" * 32
    add(either, 2, after=1, status="in-progress")
    add(either, 2, after=9, call_sid="CA2")
    add(either, 1, after=5)
    add(either, 3, after=7)
    add(either, sid=call, status="stopped MZ1", after=8, call_sid=call)
    found = either.pending_callbacks(2)
    assert [(one.sid, one.call_sid) for one in found] == [(sid(2), "CA2"), (sid(1), None)]
    assert found[0].received == NOW + SECOND
    assert [one.sid for one in either.pending_callbacks(10)][2:] == [sid(3), call]
    assert either.callbacks_pending() == 4
    either.claim(10, TIMEOUT)
    assert len(either.pending_callbacks(10)) == either.callbacks_pending() == 4


def test_pending_callbacks_of_more_than_a_page(either: Ledger) -> None:
    add_all(either, [callback(n, after=-n, call_sid=f"CA{n}") for n in range(1201)])
    found = either.pending_callbacks(1100)
    assert [one.call_sid for one in found] == [f"CA{n}" for n in range(1200, 100, -1)]


def test_callbacks_are_counted_by_status_and_window(
    either: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reccli.adapters.ledger.questions._SLICE", 3)
    add(either, 1, status="in-progress")
    add_all(either, [callback(n, after=1) for n in range(10)])  # more than a slice at once
    add_all(either, [callback(n, after=n) for n in range(10, 20)])
    window = (NOW, NOW + 15 * SECOND)
    assert either.count_callbacks(*window) == {"in-progress": 1, "completed": 15}
    assert either.count_callbacks(NOW + SECOND, NOW + 2 * SECOND) == {"completed": 10}
    assert either.count_callbacks(NOW, NOW) == {}
    either.finish_callback(sid(3), NOW + SECOND, "linked")
    assert either.count_callbacks(*window)["completed"] == 15


def test_finishing_leaves_what_came_in_later(either: Ledger, url: str) -> None:
    add(either, status="in-progress")
    add(either, status="completed", after=5)
    assert either.finish_callback(sid(1), NOW + SECOND, "linked")
    assert either.callbacks_pending() == 1
    assert not either.finish_callback(sid(1), NOW + SECOND, "again")
    assert either.finish_callback(sid(1), NOW + 5 * SECOND, "lo\0st")
    assert either.callbacks_pending() == 0
    assert not add(either)  # told again by Twilio: still finished
    assert either.callbacks_pending() == 0
    assert not either.finish_callback(sid(9), NOW, "")
    found = execute(url, "SELECT status, reason FROM callbacks ORDER BY status DESC")
    assert found == [("in-progress", "linked"), ("completed", "lost")]


@pytest.mark.dialect
def test_text_from_outside_that_no_database_takes(either: Ledger) -> None:
    assert add(either, call_sid="CA\0\ud800'; DROP TABLE callbacks; --")
    (pending,) = either.pending_callbacks(1)
    assert pending.call_sid == "CA?'; DROP TABLE callbacks; --"


def test_runs(either: Ledger, url: str) -> None:
    either.start_run("r1", "process", NOW)
    either.start_run("r1", "process", NOW + SECOND)
    either.finish_run("r1", NOW + SECOND, 5, {"copied": 3})
    either.finish_run("unknown", NOW, 0, {})
    begun = int(NOW.timestamp() * 1_000_000)
    assert execute(url, "SELECT * FROM runs") == [
        ("r1", "process", begun, begun + 1_000_000, 5, '{"copied": 3}', "")
    ]


@pytest.mark.dialect
def test_opening_again_finds_everything(url: str) -> None:
    for number in range(3):
        with Ledger.open(url) as ledger:
            assert ledger.callbacks_pending() == number
            add(ledger, number)
    assert execute(url, "SELECT version FROM schema_version") == [(schema.VERSION,)]


@pytest.mark.dialect
def test_a_transaction_writes_all_or_nothing(either: Ledger) -> None:
    def write() -> None:
        with either.transaction() as transaction:
            assert transaction.add_callbacks([callback(1)]) == [True]
            transaction.record([("r1", Event("saved", NOW))])
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert either.callbacks_pending() == 0
    assert either.count_events(["saved"], NOW, NOW + SECOND) == {"saved": 0}
    assert add(either, 1)


# --- the file


def test_the_file_is_private_and_durable(ledger: Ledger, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for engine in (ledger._reader, ledger._writer):
        with engine.connect() as db:
            for pragma, value in (
                ("journal_mode", "truncate"),
                ("synchronous", 2),
                ("foreign_keys", 1),
                ("busy_timeout", 6000),
            ):
                assert db.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    strict = execute(f"sqlite:///{path}", "SELECT name FROM pragma_table_list WHERE strict")
    assert {name for (name,) in strict} == set(schema.metadata.tables)


def test_a_ledger_in_wal_mode_is_turned_back(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.callbacks_pending() == 0
    assert execute(f"sqlite:///{path}", "PRAGMA journal_mode") == [
        ("delete",)
    ]  # the file's own: not WAL


def test_what_cannot_be_made_durable_is_refused() -> None:
    with (
        closing(sqlite3.connect(":memory:")) as db,  # its journal is always in memory
        pytest.raises(sqlite3.OperationalError, match="journal_mode memory"),
    ):
        connect.harden(db, read_only=False)


def test_an_odd_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Ledger.open("sqlite:///odd%3F%2520 #name/l.db") as ledger:
        monkeypatch.chdir("/")
        add(ledger)
    assert (tmp_path / "odd?%20 #name/l.db").is_file()


def test_read_only_reads_and_never_writes(path: Path) -> None:
    url = f"sqlite:///{path}"
    with pytest.raises(LedgerError, match="there is no ledger yet"):
        Ledger.open(url, read_only=True)
    assert not path.parent.exists()
    with Ledger.open(url) as ledger:
        add(ledger)
    with Ledger.open(url, read_only=True) as ledger:
        assert ledger.callbacks_pending() == 1
        with pytest.raises(LedgerError, match="may not be written"):
            add(ledger, 2)


def test_read_only_reads_what_a_killed_writer_left_half_written(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        add(ledger)
    left = path.with_name("left.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")  # or nothing of it would be in the file yet
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE callbacks SET finished_us = 1")
        db.execute("CREATE TABLE large AS SELECT randomblob(100000)")
        for suffix in ("", "-journal"):  # what is on the disk if the writer dies now
            shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    assert path.read_bytes() != left.read_bytes()
    with Ledger.open(f"sqlite:///{left}", read_only=True) as ledger:
        assert ledger.callbacks_pending() == 1


@pytest.mark.parametrize("when", ["deleted", "moved", "replaced"])
def test_losing_the_file_under_way_loses_history_only(
    ledger: Ledger, path: Path, when: str
) -> None:
    add(ledger, 1)
    if when == "deleted":
        path.unlink()
    else:
        path.rename(path.with_suffix(".old"))
    if when == "replaced":
        with Ledger.open(f"sqlite:///{path}") as other:
            add(other, 2)
    add(ledger, 3)
    ledger.record("r", [Event("saved", NOW)])
    found = execute(f"sqlite:///{path}", "SELECT sid FROM callbacks ORDER BY 1")
    assert found == [(sid(number),) for number in ((2, 3) if when == "replaced" else (3,))]


# --- how it fails


def failure(caught: pytest.ExceptionInfo[LedgerError]) -> tuple[FailureKind, str]:
    return caught.value.failure.kind, str(caught.value)


@pytest.mark.parametrize(
    "content", [b"not a database, " * 512, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_corrupt_file_says_that_it_can_be_moved_away(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(f"sqlite:///{path}")
    kind, text = failure(caught)
    assert kind is FailureKind.PERMANENT
    assert text.startswith(f"{path}: is corrupt (move the file away")
    path.rename(path.with_suffix(".bad"))
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.callbacks_pending() == 0


def test_a_page_that_goes_bad_under_way(ledger: Ledger, path: Path) -> None:
    ledger.record("r", [Event("saved", NOW, detail={"text": "x" * 500})] * 100)
    ledger.close()  # or the pages would come from memory
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(LedgerError, match="is corrupt"):
        ledger.count_events(["saved"], NOW, NOW + SECOND)


def test_a_full_disk_fails_the_write_and_nothing_else(ledger: Ledger) -> None:
    add(ledger, 1)
    with ledger._writer.begin() as db:  # the writer has but one connection
        pages = db.exec_driver_sql("PRAGMA page_count").scalar()
        db.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError) as caught:
        add(ledger, 2, body=b"x" * 100_000)
    assert isinstance(caught.value, ServiceError)
    kind, text = failure(caught)
    assert kind is FailureKind.OUTAGE
    assert "the disk is full" in text
    assert ledger.callbacks_pending() == 1
    with ledger._writer.begin() as db:
        db.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert add(ledger, 2, body=b"x" * 100_000)


def test_many_events_are_kept_all_or_none(ledger: Ledger) -> None:
    good, bad = Event("saved", NOW), Event("saved", NOW, detail={"n": "x" * 200_000})
    with ledger._writer.begin() as db:
        db.exec_driver_sql("PRAGMA max_page_count = 20")
    with pytest.raises(LedgerError):
        ledger.record("r", [good, good, bad])
    assert ledger.count_events(["saved"], NOW, NOW + SECOND) == {"saved": 0}


def test_a_lock_that_is_never_released(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.05)
    with Ledger.open(f"sqlite:///{path}") as ledger, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process keeps it locked") as caught:
            add(ledger)
        assert caught.value.failure.transient
        assert ledger.callbacks_pending() == 0  # reading goes on
        other.rollback()
        assert add(ledger)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="Permission denied"):
            Ledger.open(f"sqlite:///{tmp_path}/l.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_path_that_can_be_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"Not a directory|File exists"):
        Ledger.open(f"sqlite:///{tmp_path}/file/l.db")
    with pytest.raises(LedgerError, match="Is a directory"):
        Ledger.open(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("other", [schema.VERSION - 1, schema.VERSION + 1])
def test_a_schema_of_another_version_is_left_alone(path: Path, other: int) -> None:
    Ledger.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE schema_version SET version = ?", (other,))
    with pytest.raises(LedgerError, match=f"has schema {other}, not {schema.VERSION} .use the"):
        Ledger.open(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nonsense", "nosuch://h/d"])
def test_a_url_that_keeps_nothing(url: str) -> None:
    with pytest.raises(LedgerError, match=r"^ledger\.url: "):
        Ledger.open(url)


def test_no_password_in_a_message() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError) as caught:
        Ledger.open("postgresql+psycopg://me:s3cr3t@127.0.0.1:1/db")
    kind, text = failure(caught)
    assert kind is FailureKind.OUTAGE
    assert "127.0.0.1" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize(("magic", "name"), connect.NETWORK_FILE_SYSTEMS.items())
def test_network_file_systems_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, magic: int, name: str
) -> None:
    monkeypatch.setattr(connect, "file_system", lambda _path: magic)
    with pytest.raises(LedgerError, match=rf"network file system \({name}\)"):
        Ledger.open(f"sqlite:///{path}")
    assert not path.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="statfs of Linux")
def test_the_kernel_is_asked_for_the_file_system() -> None:
    assert connect.file_system(Path("/proc")) == 0x9FA0
    assert connect.file_system(Path("/nonexistent")) == 0


# --- PostgreSQL


@pytest.mark.parametrize(
    ("setting", "ours"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
def test_commits_wait_for_the_disk_whatever_the_default(
    postgres: str, setting: str, ours: str
) -> None:
    options = sa.make_url(postgres).update_query_dict(
        {"options": f"-c synchronous_commit={setting}"}
    )
    with Ledger.open(options.render_as_string(hide_password=False)) as ledger:
        for _ in range(2):  # also after the connection has been given back, and rolled back
            with ledger._writer.connect() as db:
                shown = [
                    db.exec_driver_sql(f"SHOW {name}").scalar()
                    for name in ("synchronous_commit", "statement_timeout")
                ]
            assert shown == [ours, "6s"]


def test_a_database_in_another_encoding(postgres: str) -> None:
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as db:
        db.exec_driver_sql("DROP DATABASE IF EXISTS plain")
        db.exec_driver_sql("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
    url = sa.make_url(postgres).set(database="plain").render_as_string(hide_password=False)
    with Ledger.open(url) as ledger:
        assert add(ledger, call_sid="CAü")
        (pending,) = ledger.pending_callbacks(1)
        assert (pending.sid, pending.call_sid) == (sid(1), "CAü")


def test_read_only_reads_postgresql(postgres: str) -> None:
    with Ledger.open(postgres) as ledger:
        add(ledger)
    with Ledger.open(postgres, read_only=True) as ledger:
        assert ledger.callbacks_pending() == 1
        with pytest.raises(LedgerError, match="read-only transaction"):
            add(ledger, 2)


def test_a_row_that_is_locked_for_too_long(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.2)
    engine = sa.create_engine(postgres, poolclass=sa.NullPool)
    with Ledger.open(postgres) as ledger:
        with engine.begin() as db:
            db.execute(sa.insert(schema.callbacks).values(row(1)))
            with pytest.raises(LedgerError) as caught:
                add(ledger, 1)
            assert caught.value.failure.kind is FailureKind.BUSY
        assert not add(ledger, 1)


def row(number: int) -> dict[str, object]:
    told = callback(number)
    return {
        "sid": told.sid,
        "status": told.status,
        "account_sid": told.account_sid,
        "body": told.body,
        "received_us": schema.from_time(told.received),
        "due_us": 0,
    }


# --- many threads


def test_threads_share_one_ledger(either: Ledger) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 20):
            add(either, number)
            either.pending_callbacks(5)

    threads = [threading.Thread(target=work, args=(start * 20,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert either.callbacks_pending() == 160


def test_a_thread_waits_no_longer_than_for_another_process(
    either: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.05)

    def late() -> LedgerError:
        with pytest.raises(LedgerError, match="keeps it locked") as caught:
            add(either)
        return caught.value

    with either.transaction(), ThreadPoolExecutor(1) as other:
        assert other.submit(late).result(10).failure.kind is FailureKind.BUSY
    assert add(either)
