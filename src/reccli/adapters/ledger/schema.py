"""The tables, and how values are put into them, alike in SQLite and PostgreSQL.

Times are integer microseconds since 1970, as a database keeps neither zones nor precision alike;
bodies are raw bytes, as PostgreSQL takes no NUL in a text. For `ledger` only.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 2
_CREATION_LOCK = 0x72656363  # any number, as long as every version uses the same
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# STRICT tables of SQLite know INTEGER (64 bits there) and no BIGINT.
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData()
_schema = sa.Table(
    "schema_version",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("touched", _BIG, nullable=False, server_default="0"),
    sqlite_strict=True,
)
version = sa.select(_schema.c.version)
# To the same value would not do: SQLite writes nothing then.
touch = sa.update(_schema).values(touched=_schema.c.touched + 1)
callbacks = sa.Table(
    "callbacks",
    metadata,
    sa.Column("sid", sa.Text, primary_key=True),  # RE…, or CA… where a stream told of a call
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("account_sid", sa.Text, nullable=False),
    sa.Column("call_sid", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("received_us", _BIG, nullable=False),
    sa.Column("due_us", _BIG, nullable=False),  # not to be taken up before
    sa.Column("finished_us", _BIG),
    sa.Column("reason", sa.Text),  # why it was finished
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fence", _BIG, nullable=False, server_default="0"),  # grows with every claim
    sa.Column("owner", sa.Text),
    sa.Column("lease_until_us", _BIG),
    sqlite_strict=True,
)
unfinished = callbacks.c.finished_us.is_(None)
sa.Index(
    "callbacks_due",
    callbacks.c.due_us,
    sqlite_where=unfinished,
    postgresql_where=unfinished,
)
sa.Index(
    "callbacks_pending",
    callbacks.c.sid,
    callbacks.c.received_us,
    sqlite_where=unfinished,
    postgresql_where=unfinished,
)
sa.Index("callbacks_received", callbacks.c.received_us, callbacks.c.status)
events = sa.Table(
    "events",
    metadata,
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
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("started_us", _BIG, nullable=False),
    sa.Column("finished_us", _BIG),
    sa.Column("exit_code", sa.Integer),
    sa.Column("summary", sa.Text),
    sqlite_strict=True,
)


def create(db: sa.Connection) -> None:
    """Make what is not there yet, also when several processes do so at once."""
    if db.dialect.name != "sqlite":  # there BEGIN IMMEDIATE has the lock already
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
    metadata.create_all(db)
    add_new(db, _schema, {"only": 1, "version": VERSION})


def add_new(db: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> None:
    """Insert a row unless its key is there already."""
    db.execute(unless_there(db, table).values(row))


def unless_there(db: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that leaves out what is there already."""
    if db.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def now_us(db: sa.Connection) -> int:
    """Tell the time by the clock that all who share the ledger share."""
    if db.dialect.name == "sqlite":
        return from_time(datetime.now(UTC))
    clock = sa.func.extract("epoch", sa.func.clock_timestamp()) * 1_000_000
    return int(db.execute(sa.select(sa.cast(clock, sa.BigInteger))).scalar_one())


def from_time(at: datetime) -> int:
    """Write a time."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone is hours wrong somewhere")
    return (at - _EPOCH) // timedelta(microseconds=1)


def to_time(us: int) -> datetime:
    """Read a time, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def from_text(text: str | None) -> str | None:
    """Make a text from outside one that both databases take."""
    return text and text.encode("utf-8", "replace").decode().replace("\0", "")


def from_detail(value: Mapping[str, object]) -> str:
    """Write what has no columns of its own."""
    return json.dumps(value, default=str)
