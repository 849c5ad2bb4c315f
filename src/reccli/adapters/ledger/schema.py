"""The tables, and how values are put into them, alike in SQLite and PostgreSQL.

Times are integer microseconds since 1970, as a database keeps neither zones nor precision alike;
bodies are raw bytes, as PostgreSQL takes no NUL in a text. For `ledger` only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Archive:
    """Whose entries are read and written: those of one account, in one configuration."""

    account_sid: str = ""
    name: str = ""


LEFT_FOR = timedelta(days=1)
"""How long a callback is overdue until every configuration of its account may take it up."""
ANY = Archive()
"""Of what is kept without saying whose it is."""


def _archive() -> sa.Column[str]:
    """Return the column that says whose an entry is; empty from before entries did."""
    return sa.Column("archive", sa.Text, nullable=False, server_default="")


metadata = sa.MetaData()
_schema = sa.Table(
    "schema_version",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sqlite_strict=True,
)
version = sa.select(_schema.c.version)
callbacks = sa.Table(
    "callbacks",
    metadata,
    sa.Column("sid", sa.Text, primary_key=True),  # RE…, or CA… of a stream
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
    _archive(),
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
sa.Index(
    "callbacks_received_archive",
    callbacks.c.received_us,
    callbacks.c.status,
    callbacks.c.archive,
)
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
    _archive(),
    sa.Index("events_name_at_archive", "name", "at_us", "archive"),
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
    _archive(),
    sqlite_strict=True,
)


def create(db: sa.Connection) -> None:
    """Create what is not there yet, also when several processes do so at once."""
    if db.dialect.name != "sqlite":  # there BEGIN IMMEDIATE has the lock already
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
    metadata.create_all(db)
    _extend(db)
    add_new(db, _schema, {"only": 1, "version": VERSION})


def _extend(db: sa.Connection) -> None:
    """Add what a ledger from before entries said whose they are lacks.

    Nothing else changes, so that a server of that version can go on writing to it.
    """
    if any(column["name"] == "archive" for column in sa.inspect(db).get_columns(callbacks.name)):
        return
    for table in (callbacks, events, runs):
        db.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN archive TEXT NOT NULL DEFAULT ''"))
        for index in table.indexes:
            index.create(db, checkfirst=True)
    for name in ("callbacks_received", "events_name_at"):
        db.execute(sa.text(f"DROP INDEX IF EXISTS {name}"))


def of(archive: Archive, table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition on what is an archive's, or of before entries said whose they are."""
    return table.c.archive.in_(sorted({archive.name, ""}))


def callbacks_of(archive: Archive, now: int) -> sa.ColumnElement[bool]:
    """Return the condition on the callbacks of an archive: of each the account is known.

    And those of its account at which nobody has worked for long: a configuration that was mended
    is another one, and what came in before must not be forgotten.
    """
    ours = of(archive, callbacks)
    if not archive.account_sid:
        return ours
    left = callbacks.c.due_us < now - LEFT_FOR // timedelta(microseconds=1)
    return sa.and_(sa.or_(ours, left), callbacks.c.account_sid == archive.account_sid)


def add_new(db: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> None:
    """Insert a row unless its key is there already."""
    db.execute(unless_there(db, table).values(row))


def unless_there(db: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that leaves out what is there already."""
    if db.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def now_us(db: sa.Connection) -> int:
    """Return the time by the clock that all who share the ledger share."""
    if db.dialect.name == "sqlite":
        return from_time(datetime.now(UTC))
    clock = sa.func.extract("epoch", sa.func.clock_timestamp()) * 1_000_000
    return int(db.execute(sa.select(sa.cast(clock, sa.BigInteger))).scalar_one())


def from_time(at: datetime) -> int:
    """Return a time as it is stored; raises without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone is hours wrong somewhere")
    return (at - _EPOCH) // timedelta(microseconds=1)


def to_time(us: int) -> datetime:
    """Return a time as it was stored, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def from_text(text: str | None) -> str | None:
    """Return a text from outside as both databases take it."""
    return text and text.encode("utf-8", "replace").decode().replace("\0", "")


def to_detail(text: str | None) -> Mapping[str, object]:
    """Parse it; empty where it is none of ours."""
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def from_detail(value: Mapping[str, object]) -> str:
    """Return the text of what has no columns of its own."""
    return json.dumps(value, default=str)
