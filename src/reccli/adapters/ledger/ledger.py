"""What the ledger is asked and told, one method a question. For `__init__`, which exports it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from reccli.adapters.ledger import connect, schema
from reccli.adapters.ledger.errors import translating, unusable
from reccli.adapters.ledger.schema import (
    add_new,
    callbacks,
    from_detail,
    from_text,
    from_time,
    runs,
    unfinished,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from reccli.flow.ports import Event


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
        self._file = connect.file_of(url)
        self._inode = 0
        self._location = str(self._file or url.render_as_string(hide_password=True))
        self._read_only = read_only
        # In line here, our own threads need not find the file locked and wait in steps.
        self._turn = threading.Lock()
        self._reader, self._writer = connect.reader_and_writer(url, read_only=read_only)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open a ledger, making it if there is none; with `read_only` there must be one."""
        try:
            ledger = cls(sa.make_url(url), read_only=read_only)
        except SQLAlchemyError:
            raise unusable("ledger.url", "is not the URL of a database that is known") from None
        except ModuleNotFoundError as error:
            hint = "install reccli[postgres]"
            raise unusable("ledger.url", f"{error.name} is missing", hint) from None
        try:
            ledger._prepare()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _prepare(self) -> None:
        with translating(self._location):
            if self._file:
                connect.prepare(self._file, read_only=self._read_only)
                self._inode = connect.inode(self._file)
            if not self._read_only:
                with self._writer.begin() as db:
                    schema.create(db)
        version = self._read(schema.version)[0][0]
        if version != schema.VERSION:
            raise unusable(self._location, f"has schema {version}, not {schema.VERSION}")

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

    def ping(self) -> None:
        """Raise unless the ledger answers."""
        self._read(schema.version)

    def _read(self, query: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Read all rows at once: an open cursor would keep the webhook from writing."""
        with translating(self._location), self._reader.connect() as db:
            return db.execute(query).all()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with translating(self._location), self._turn:
            if self._file and connect.inode(self._file) != self._inode:
                self.close()  # ours was moved away, and is nobody's any more
                self._prepare()
            with self._writer.begin() as db:
                yield db

    # --- history

    def record(self, run_id: str, events: Sequence[Event]) -> None:
        """Keep events, all or none."""
        rows = [
            {
                "at_us": from_time(event.at),
                "run_id": run_id,
                "name": event.name,
                "recording_sid": from_text(event.recording_sid),
                "call_sid": from_text(event.call_sid),
                "detail": from_detail(event.detail),
            }
            for event in events
        ]
        if rows:
            with self._writing() as db:
                db.execute(sa.insert(schema.events), rows)

    def start_run(self, run_id: str, command: str, at: datetime) -> None:
        """Note that a run has begun."""
        row = {"run_id": run_id, "command": command, "started_us": from_time(at)}
        with self._writing() as db:
            add_new(db, runs, row)

    def finish_run(
        self, run_id: str, at: datetime, exit_code: int, summary: Mapping[str, object]
    ) -> None:
        """Note how a run ended."""
        end = {
            "finished_us": from_time(at),
            "exit_code": exit_code,
            "summary": from_detail(summary),
        }
        with self._writing() as db:
            db.execute(sa.update(runs).where(runs.c.run_id == run_id).values(end))

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, int]:
        """Count events by name, from `since` on and before `until`; 0 for those not seen."""
        events = schema.events
        query = (
            sa.select(events.c.name, sa.func.count())
            .where(events.c.name.in_(names))
            .where(events.c.at_us >= from_time(since), events.c.at_us < from_time(until))
            .group_by(events.c.name)
        )
        return dict.fromkeys(names, 0) | {row[0]: row[1] for row in self._read(query)}

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
            "recording_sid": from_text(recording_sid),
            "status": from_text(status),
            "account_sid": from_text(account_sid),
            "call_sid": from_text(call_sid),
            "body": body,
            "received_us": from_time(received),
        }
        with self._writing() as db:
            return add_new(db, callbacks, row)

    def pending_callbacks(self, limit: int) -> list[PendingCallback]:
        """List the recordings with unfinished callbacks, those that wait longest first."""
        oldest = sa.func.min(callbacks.c.received_us)
        query = (
            sa.select(
                callbacks.c.recording_sid,
                sa.func.max(callbacks.c.account_sid),
                sa.func.max(callbacks.c.call_sid),
                oldest,
            )
            .where(unfinished)
            .group_by(callbacks.c.recording_sid)
            .order_by(oldest, callbacks.c.recording_sid)
            .limit(limit)
        )
        return [
            PendingCallback(row[0], row[1], row[2], schema.to_time(row[3]))
            for row in self._read(query)
        ]

    def finish_callback(self, recording_sid: str, at: datetime) -> bool:
        """Mark what had come in by `at` as done; a later callback stays. False if none was."""
        update = (
            sa.update(callbacks)
            .where(callbacks.c.recording_sid == recording_sid, unfinished)
            .where(callbacks.c.received_us <= from_time(at))
            .values(finished_us=from_time(at), owner=None, lease_until_us=None)
            .returning(callbacks.c.status)
        )
        with self._writing() as db:
            return bool(db.execute(update).all())

    def callbacks_pending(self) -> int:
        """Count the recordings with unfinished callbacks."""
        distinct = sa.func.count(sa.distinct(callbacks.c.recording_sid))
        return int(self._read(sa.select(distinct).where(unfinished))[0][0])
