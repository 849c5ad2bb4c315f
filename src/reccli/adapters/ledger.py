"""The ledger: callbacks not yet finished, events and runs, in SQLite or PostgreSQL.

It informs and never authorises: no recording is deleted on its word, and losing it costs time
only. Yet a callback that was acknowledged must survive a crash, so every write is durable when
the method returns. What SQLite is told here, and why, was measured: see docs/architecture.md.

Times are integer microseconds since 1970, as a database keeps neither zones nor precision alike;
bodies are raw bytes, as PostgreSQL takes no NUL in a text. SQLAlchemy stops at this module.
"""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.ports import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Event", "Ledger", "LedgerError", "PendingCallback"]

SCHEMA_VERSION = 1
BUSY_SECONDS = 6.0
"""How long to wait for another process; below the 15 s that Twilio waits for the webhook."""

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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CREATION_LOCK = 0x72656363  # any number, as long as every version uses the same

# STRICT tables of SQLite know INTEGER (64 bits there) and no BIGINT.
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_metadata = sa.MetaData()

_schema = sa.Table(
    "schema_version",
    _metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sqlite_strict=True,
)
_callbacks = sa.Table(
    "callbacks",
    _metadata,
    sa.Column("recording_sid", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("account_sid", sa.Text, nullable=False),
    sa.Column("call_sid", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("received_us", _BIG, nullable=False),
    sa.Column("finished_us", _BIG),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fence", _BIG, nullable=False, server_default="0"),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until_us", _BIG),
    sqlite_strict=True,
)
_unfinished = _callbacks.c.finished_us.is_(None)
sa.Index(
    "callbacks_pending",
    _callbacks.c.received_us,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("id", _BIG, primary_key=True),
    sa.Column("at_us", _BIG, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("recording_sid", sa.Text),
    sa.Column("call_sid", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("events_name_at", "name", "at_us"),
    sqlite_strict=True,
)
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("started_us", _BIG, nullable=False),
    sa.Column("finished_us", _BIG),
    sa.Column("exit_code", sa.Integer),
    sa.Column("summary", sa.Text),
    sqlite_strict=True,
)


class LedgerError(ServiceError):
    """The ledger cannot be used; the message names it and the cause, and never a password."""

    def __str__(self) -> str:
        """Say what to do as well, for this goes to the log and nowhere else."""
        hint = self.failure.hint
        return f"{self.failure.message} ({hint})" if hint else self.failure.message


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A recording of which callbacks told and that is not finished; `received` is the oldest."""

    recording_sid: str
    account_sid: str
    call_sid: str | None
    received: datetime


class Ledger:
    """One open ledger; made by `Ledger.open`, safe to use from many threads."""

    def __init__(self, url: sa.URL, *, read_only: bool) -> None:
        self._path = _path(url)
        self.location = str(self._path or url.render_as_string(hide_password=True))
        self._read_only = read_only
        self._inode = 0
        # In line here, our own threads need not find the file locked and wait in steps.
        self._turn = threading.Lock()
        # A "begin" listener would make reads take the write lock too: hence two engines.
        self._reader = _engine(url, read_only=read_only, isolation_level="AUTOCOMMIT")
        self._writer = _engine(url, read_only=read_only, pool_size=1, max_overflow=0)
        if self._path:
            sa.event.listen(self._writer, "begin", _begin_immediate)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open a ledger, making it if there is none; with `read_only` there must be one."""
        try:
            ledger = cls(sa.make_url(url), read_only=read_only)
        except SQLAlchemyError:
            raise _error("ledger.url", "is not the URL of a database that is known") from None
        except ModuleNotFoundError as error:
            hint = "install reccli[postgres]"
            raise _error("ledger.url", f"{error.name} is missing", hint) from None
        try:
            ledger._prepare()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()

    def __enter__(self) -> Self:
        """Hand over the open ledger."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    # --- history

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Keep events, all or none."""
        rows = [
            {
                "at_us": _us(event.at),
                "run_id": run_id,
                "name": event.name,
                "recording_sid": _clean(event.recording_sid),
                "call_sid": _clean(event.call_sid),
                "detail": _json(event.detail),
            }
            for event in events
        ]
        if rows:
            with self._writing() as db:
                db.execute(sa.insert(_events), rows)

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Note that a run has begun."""
        row = {"run_id": run_id, "command": command, "started_us": _us(at)}
        with self._writing() as db:
            db.execute(self._insert(_runs).values(row).on_conflict_do_nothing())

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Note how a run ended."""
        row = {"finished_us": _us(at), "exit_code": exit_code, "summary": _json(summary)}
        with self._writing() as db:
            db.execute(sa.update(_runs).where(_runs.c.run_id == run_id).values(row))

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, int]:
        """Count events by name, from `since` on and before `until`; 0 for those not seen."""
        query = (
            sa.select(_events.c.name, sa.func.count())
            .where(_events.c.name.in_(names))
            .where(_events.c.at_us >= _us(since), _events.c.at_us < _us(until))
            .group_by(_events.c.name)
        )
        counts = dict.fromkeys(names, 0)
        counts.update({row[0]: row[1] for row in self._read(query)})
        return counts

    # --- callbacks

    def add_callback(  # noqa: PLR0913 - the columns
        self,
        *,
        recording_sid: str,
        status: str,
        account_sid: str,
        call_sid: str | None,
        body: bytes,
        received: datetime,
    ) -> bool:
        """Keep a callback for ever once this returns; False if it was here already."""
        row = {
            "recording_sid": _clean(recording_sid),
            "status": _clean(status),
            "account_sid": _clean(account_sid),
            "call_sid": _clean(call_sid),
            "body": body,
            "received_us": _us(received),
        }
        insert = self._insert(_callbacks).values(row).on_conflict_do_nothing()
        with self._writing() as db:
            # Not rowcount: it is -1 on psycopg.
            return db.execute(insert.returning(_callbacks.c.status)).first() is not None

    def pending_callbacks(self, limit: int) -> list[PendingCallback]:
        """List the recordings with unfinished callbacks, those that wait longest first."""
        oldest = sa.func.min(_callbacks.c.received_us)
        query = (
            sa.select(
                _callbacks.c.recording_sid,
                sa.func.max(_callbacks.c.account_sid),
                sa.func.max(_callbacks.c.call_sid),
                oldest,
            )
            .where(_unfinished)
            .group_by(_callbacks.c.recording_sid)
            .order_by(oldest, _callbacks.c.recording_sid)
            .limit(limit)
        )
        return [
            PendingCallback(row[0], row[1], row[2], _EPOCH + timedelta(microseconds=row[3]))
            for row in self._read(query)
        ]

    def finish_callback(self, recording_sid: str, at: datetime) -> bool:
        """Mark what had come in by `at` as done; a later callback stays. False if none was."""
        update = (
            sa.update(_callbacks)
            .where(_callbacks.c.recording_sid == recording_sid, _unfinished)
            .where(_callbacks.c.received_us <= _us(at))
            .values(finished_us=_us(at), owner=None, lease_until_us=None)
            .returning(_callbacks.c.status)
        )
        with self._writing() as db:
            return bool(db.execute(update).all())

    def callbacks_pending(self) -> int:
        """Count the recordings with unfinished callbacks."""
        distinct = sa.func.count(sa.distinct(_callbacks.c.recording_sid))
        return int(self._read(sa.select(distinct).where(_unfinished))[0][0])

    def ping(self) -> None:
        """Raise unless the ledger answers."""
        self._read(sa.select(_schema.c.version))

    # --- how it is reached

    def _insert(self, table: sa.Table) -> Any:  # noqa: ANN401 - two types with one method in common
        return (sqlite if self._path else postgresql).insert(table)

    def _read(self, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Read all rows at once: an open cursor would keep the webhook from writing."""
        with self._translating(), self._reader.connect() as db:
            return [tuple(row) for row in db.execute(query)]

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._translating(), self._turn:
            if self._path and _inode(self._path) != self._inode:
                self._reopen()
            with self._writer.begin() as db:
                yield db

    def _reopen(self) -> None:
        """Go on with a new file where ours was moved away; the old one is nobody's any more."""
        self.close()
        self._prepare()

    def _prepare(self) -> None:
        with self._translating():
            if self._path:
                self._check_path(self._path)
            if not self._read_only:
                with self._writer.begin() as db:
                    if not self._path:
                        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
                    _metadata.create_all(db)
                    row = self._insert(_schema).values(only=1, version=SCHEMA_VERSION)
                    db.execute(row.on_conflict_do_nothing())
            version = self._read(sa.select(_schema.c.version))[0][0]
        if version != SCHEMA_VERSION:
            raise _error(self.location, f"has schema {version}, not {SCHEMA_VERSION}")

    def _check_path(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise _error(self.location, f"needs SQLite 3.37, this is {sqlite3.sqlite_version}")
        if self._read_only and not path.exists():
            raise _error(self.location, "there is no ledger yet")
        if not self._read_only:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if name := NETWORK_FILE_SYSTEMS.get(_file_system(path.parent)):
            raise _error(
                self.location,
                f"is on a network file system ({name}), where locks do not hold",
                "put ledger.url on a local disk, or use PostgreSQL",
            )
        if not self._read_only:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._inode = _inode(path)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise _translated(self.location, error) from error
        except OSError as error:
            raise _error(self.location, error.strerror or str(error)) from error


def _path(url: sa.URL) -> Path | None:
    """Tell the file of an SQLite ledger; a private one in memory would keep nothing."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise _error("ledger.url", "names no file")
    return Path(url.database).absolute()


def _engine(url: sa.URL, *, read_only: bool, **options: Any) -> sa.Engine:  # noqa: ANN401
    if (path := _path(url)) is None:
        engine = sa.create_engine(
            url, connect_args={"connect_timeout": 5}, pool_pre_ping=True, **options
        )
        if read_only:
            return engine.execution_options(postgresql_readonly=True)
        return engine
    address = path.as_uri()
    mode = "ro" if read_only else "rw"  # never "rwc": the file would not be private

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{address}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # the module's own BEGINs come too late and are deferred
            check_same_thread=False,
        )
        try:
            _harden(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, **options)


def _harden(connection: sqlite3.Connection, *, read_only: bool) -> None:
    """Set what durability needs, and see that it took: a pragma fails silently."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    journal = "truncate"
    if not read_only:
        (journal,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if synchronous != 2 or journal != "truncate":  # noqa: PLR2004 - FULL
        message = f"cannot be made durable (journal_mode {journal}, synchronous {synchronous})"
        raise sqlite3.OperationalError(message)


def _begin_immediate(connection: sa.Connection) -> None:
    """Take the write lock first: a deferred writer fails at once, whatever the timeout."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_CAUSES = {
    "SQLITE_FULL": (FailureKind.OUTAGE, "the disk is full", "free some space"),
    "SQLITE_BUSY": (FailureKind.BUSY, "another process keeps it locked", ""),
    "SQLITE_LOCKED": (FailureKind.BUSY, "another process keeps it locked", ""),
    "SQLITE_READONLY": (FailureKind.PERMANENT, "may not be written", "check owner and mode"),
    "SQLITE_PERM": (FailureKind.PERMANENT, "may not be opened", "check owner and mode"),
    "SQLITE_CANTOPEN": (FailureKind.PERMANENT, "cannot be opened", "check owner and mode"),
    "SQLITE_IOERR": (FailureKind.OUTAGE, "the disk failed", "see the kernel's log"),
    **dict.fromkeys(
        ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
        (
            FailureKind.PERMANENT,
            "is corrupt",
            "move the file away: a new one is made, and only history is lost",
        ),
    ),
}


def _translated(location: str, error: SQLAlchemyError | sqlite3.Error) -> LedgerError:
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", "")
    for code, (kind, what, hint) in _CAUSES.items():
        if name == code or name.startswith(f"{code}_"):
            return _error(location, what, hint, kind=kind, code=name)
    text = " ".join(str(cause).split())
    kind = FailureKind.PERMANENT
    if isinstance(error, sa.exc.OperationalError) and not isinstance(cause, sqlite3.Error):
        kind = FailureKind.OUTAGE  # the server is away
    if str(getattr(cause, "sqlstate", None)).startswith("28"):
        kind = FailureKind.DENIED
    return _error(location, text, kind=kind, code=name or type(cause).__name__)


def _error(
    location: str,
    what: str,
    hint: str = "",
    *,
    kind: FailureKind = FailureKind.PERMANENT,
    code: str = "unusable",
) -> LedgerError:
    return LedgerError(Failure(Service.LEDGER, kind, code, f"{location}: {what}", hint))


def _file_system(path: Path) -> int:
    """Ask the kernel what kind of file system it is; 0 where that cannot be asked."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    answer = (ctypes.c_long * 64)()  # struct statfs, f_type first, with room to spare
    if libc.statfs(os.fsencode(path), ctypes.byref(answer)) != 0:
        return 0
    return int(answer[0]) & 0xFFFFFFFF


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _us(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a time without a zone is hours wrong somewhere")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _clean(text: str | None) -> str | None:
    """Make a text from outside one that both databases take."""
    return text and text.encode("utf-8", "replace").decode().replace("\0", "")


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, default=str)
