"""What is asked once a run, before the first write or delete that rests on it.

A bucket that does not exist, links that open for nobody, a permalink host that leads nowhere: each
is the same for every recording, and damage is done by the first one. For `perform` and `linking`.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow.outages import NotAskedError
from reccli.flow.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.core.links import LinkBook
    from reccli.flow.ports import AirtablePort, LinkPort, S3Port
    from reccli.flow.retry import Retry

REMEMBERED = timedelta(seconds=60)
"""How long an answer that was no counts: a server lives for weeks, and people mend things."""
_SHORT = timedelta(minutes=5)
_CONFIG = frozenset({FailureKind.CONFIG})


class Checks:
    """Each check is asked until it was passed once; threads that come meanwhile wait for it."""

    def __init__(  # noqa: PLR0913 - all that is asked
        self,
        s3: S3Port,
        links: LinkPort,
        book: LinkBook,
        retry: Retry,
        now: Callable[[], datetime],
        *,
        airtable: AirtablePort,
    ) -> None:
        """`now` is our clock (UTC)."""
        self._s3, self._links, self._book, self._retry = s3, links, book, retry
        self._airtable = airtable
        self._bucket, self._fields = _Once(now, _CONFIG), _Once(now, _CONFIG)
        self._link = _Once(now, remembers=frozenset({FailureKind.DENIED}))
        self._permalink = _Once(now)
        self.refusals = Refusals(airtable.rows_a_write, now)

    def before_write(self) -> None:
        """Raise if there is surely no bucket, or a link field that takes no links.

        What cannot be found out now is no reason to stop.
        """
        if not self._retry.fails(Service.S3):
            self._bucket(lambda: self._retry.once(Service.S3, self._s3.require_bucket))
        if not self._retry.fails(Service.AIRTABLE):
            fields = self._airtable.require_fields
            self._fields(lambda: self._retry.once(Service.AIRTABLE, fields))

    def before_link(self, key: str, url: str) -> None:
        """Raise unless the link opens, or what a permalink will lead to.

        Of plain object links this is not asked: a CDN may well be closed to this machine. What is
        wrong with this object alone says nothing of others, and whether an archive is good enough
        has been decided.
        """
        try:
            match self._book.style:
                case "presigned":
                    self._link(lambda: self._retry.more(Service.S3, self._links.open, url))
                case "permalink":
                    self._link(lambda: self._retry.more(Service.S3, self._open_object, key))
        except ServiceError as error:
            if error.failure.kind is not FailureKind.ARCHIVED:
                raise

    def before_delete(self, key: str) -> None:
        """Raise unless a permalink opens; presigned links were opened when they were made."""
        if self._book.style == "permalink":
            url = self._book.permalinks.write(key)
            self._permalink(lambda: self._retry(Service.RECCLI, self._open_permalink, url))

    def _open_object(self, key: str) -> None:
        self._links.open(self._s3.presign(key, life=_SHORT))

    def _open_permalink(self, url: str) -> None:
        try:
            self._links.open(url)
        except ServiceError as error:  # of our own server, whoever answers in its place
            raise ServiceError(replace(error.failure, service=Service.RECCLI)) from error


class _Once:
    """One question; `minds` are the kinds of failure that count, all of them by default.

    Those in `remembers` are the answer for everybody for a while.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        minds: frozenset[FailureKind] = frozenset(FailureKind),
        remembers: frozenset[FailureKind] = frozenset(FailureKind),
    ) -> None:
        self._now, self._minds, self._remembers = now, minds, remembers
        self._lock = threading.Lock()
        self._passed = False
        self._failed: Failure | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    def __call__(self, ask: Callable[[], None]) -> None:
        """Ask unless the answer is known; raises `ServiceError` if it is no."""
        with self._lock:
            if not self._passed and self._now() >= self._until:
                self._ask(ask)
            if self._failed is not None and self._failed.kind in self._minds:
                raise ServiceError(self._failed)

    def _ask(self, ask: Callable[[], None]) -> None:
        self._failed = None
        try:
            ask()
        except ServiceError as error:
            self._failed = failure = error.failure
            passing = failure.transient and failure.kind in self._minds
            answered = not isinstance(error, NotAskedError)
            if answered and failure.kind in self._remembers and not passing:
                self._until = self._now() + REMEMBERED  # else the next one may have more luck
        else:
            self._passed = True
