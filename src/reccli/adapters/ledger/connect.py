"""How a ledger is reached: its file, the file system under it, and connections that keep writes.

SQLite is safe only where locks hold and syncs are real, so that is seen to before the first
write. For `ledger` only.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from reccli.adapters.ledger.ledger_errors import absent, unusable

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_SECONDS = 6.0
"""How long to wait for another process; below the 15 s that Twilio waits for the webhook."""

DEADLINE = "deadline"
"""The option of a connection that says until when, by the monotonic clock, to wait for others."""

_STEP = 0.001

NETWORK_FILE_SYSTEMS = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB",
    0xFF534D42: "SMB",
    0x65735546: "FUSE",
    0x01021997: "9p",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x0BD00BD0: "Lustre",
}


def file_of(url: sa.URL) -> Path | None:
    """Return the file of an SQLite ledger; raises where it would be in memory, and keep nothing."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise unusable("ledger.url", "names no file")
    return Path(url.database).absolute()


def prepare(file: Path, *, read_only: bool) -> None:
    """Create a private file if there is none; raises where SQLite cannot be trusted with it."""
    if sqlite3.sqlite_version_info < (3, 37):
        raise unusable(str(file), f"needs SQLite 3.37, this is {sqlite3.sqlite_version}")
    if read_only and not file.exists():
        raise absent(str(file))
    if not read_only:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name := NETWORK_FILE_SYSTEMS.get(file_system(file.parent)):
        raise unusable(
            str(file),
            f"is on a network file system ({name}), where locks do not hold",
            "put ledger.url on a local disk, or use PostgreSQL",
        )
    if not read_only:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def file_system(path: Path) -> int:
    """Return the kernel's number of the kind of file system; 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    answer = (ctypes.c_long * 64)()  # struct statfs, f_type first, with room to spare
    if libc.statfs(os.fsencode(path), ctypes.byref(answer)) != 0:
        return 0
    return int(answer[0]) & 0xFFFFFFFF


def inode(file: Path) -> int:
    """Return what tells one file of a name from another; 0 where there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def reader_and_writer(url: sa.URL, *, read_only: bool) -> tuple[sa.Engine, sa.Engine]:
    """Return two engines: what takes the write lock must not be what reads."""
    file = file_of(url)
    if file is None:
        reader, writer = (_postgres_engine(url, read_only=read_only) for _ in range(2))
        sa.event.listen(writer, "connect", _harden_postgres)
        return reader, writer
    reader, writer = (_sqlite_engine(file, read_only=read_only) for _ in range(2))
    sa.event.listen(writer, "begin", _begin_immediate)
    return reader, writer


def _postgres_engine(url: sa.URL, *, read_only: bool) -> sa.Engine:
    patience = int(BUSY_SECONDS * 1000)
    how = {
        "client_encoding": "utf8",  # whatever the database's own is
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "tcp_user_timeout": patience,
    }
    engine = sa.create_engine(url, connect_args=how, pool_pre_ping=True)
    return engine.execution_options(postgresql_readonly=True) if read_only else engine


def _harden_postgres(connection: DBAPIConnection, _record: object) -> None:
    """Wait for the disk at every commit, whatever the server's default, and for nothing too long.

    The one setting that promises more is left as it is. A commit is not cut short by the time
    that a statement may take.
    """
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
    )
    cursor.execute(f"SET statement_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.close()
    connection.commit()  # or a rollback would take it back


def _sqlite_engine(file: Path, *, read_only: bool) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            # Never "rwc": the file would not be private. Never "ro": what a killed writer left
            # half written is rolled back by who reads next, and can be read by nobody before.
            f"{file.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # the module's own BEGINs come too late and are deferred
            check_same_thread=False,
        )
        try:
            harden(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)


def harden(connection: sqlite3.Connection, *, read_only: bool) -> None:
    """Set what durability needs, and see that it took: a pragma fails silently."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    journal = "truncate"
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        (journal,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if synchronous != 2 or journal != "truncate":  # noqa: PLR2004 - FULL
        message = f"cannot be made durable (journal_mode {journal}, synchronous {synchronous})"
        raise sqlite3.OperationalError(message)


def _begin_immediate(connection: sa.Connection) -> None:
    """Lock for writing first: a deferred writer fails at once, whatever the timeout.

    SQLite's own waiting sleeps for up to 100 ms, and a busy server leaves gaps of one.
    """
    deadline = connection.get_execution_options().get(DEADLINE, time.monotonic() + BUSY_SECONDS)
    db = connection.connection.driver_connection
    if not isinstance(db, sqlite3.Connection):
        raise TypeError(db)
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while not _begun(db):
            if time.monotonic() >= deadline:
                db.execute("BEGIN IMMEDIATE")
                return
            time.sleep(_STEP)
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def _begun(db: sqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
    return db.in_transaction
