"""What the commands are, and what can be asked of one: a source of recordings, and steps.

Whatever differs from command to command is an attribute here, so that a new one is a new value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.core.model import StepKind

if TYPE_CHECKING:
    from reccli.core.naming import Naming
    from reccli.flow.outcome import Candidate, Outcome
    from reccli.flow.source import Sources

_LINKS = frozenset({StepKind.LINK_TWILIO, StepKind.RELINK, StepKind.RESIGN})


@dataclass(frozen=True, slots=True)
class Backlog:
    """What earlier runs and callbacks have left for a run, as far as the ledger knows.

    `callbacks` are SIDs of recordings and calls, each with its call's; everything up to `since`
    was seen; with `compare` everything on Twilio is to be held against S3's listing.
    """

    callbacks: Mapping[str, str | None] = field(default_factory=dict)
    since: datetime | None = None
    compare: Naming | None = None


_NO_BACKLOG = Backlog()

Source = Callable[["Sources", "Asked", Backlog], "Iterator[Candidate | Outcome]"]


def _nothing(_sources: Sources, _asked: Asked, _backlog: Backlog) -> Iterator[Candidate | Outcome]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the steps that it `may` take, and the `source` of its recordings.

    One that `catches_up` goes on where earlier runs were: it takes in callbacks, and looks back to
    the last run that saw everything. One that `reports` ends with figures.
    """

    name: str
    may: frozenset[StepKind] = frozenset()
    source: Source = _nothing
    catches_up: bool = False
    reports: bool = False

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    @property
    def makes_links(self) -> bool:
        """Whether it may write links of its own into rows."""
        return not self.may.isdisjoint(_LINKS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, by a person or by cron; times are UTC."""

    command: Command
    run_id: str = field(default_factory=lambda: f"r{os.urandom(6).hex()[:11]}")
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    """How many recordings may be acted on, or, for a command that does nothing, be listed."""
    full: bool = False
    accept_length: bool = False
    """A person has listened: what is shorter than Twilio says is taken as it is."""
    dry_run: bool = False
    retention: timedelta | None = None
    max_deletes: int | None = None
    concurrency: int | None = None
    max_duration: timedelta | None = None
    wait: timedelta = timedelta()
    """How long to wait for another run of the same configuration to end."""

    @property
    def writes(self) -> bool:
        """Whether anything at all may change."""
        return not self.dry_run and bool(self.command.may)

    @property
    def most_acted_on(self) -> int | None:
        """How many recordings may be acted on; those that only wait or are held do not count."""
        return self.limit if self.command.may else None

    @property
    def everything(self) -> bool:
        """Whether all is wanted that the command finds to do, and not a named part of it."""
        return not (self.sids or self.since or self.until)

    def items(
        self, sources: Sources, backlog: Backlog = _NO_BACKLOG
    ) -> Iterator[Candidate | Outcome]:
        """Return the recordings to look at, and the outcomes that are known without a look."""
        return self.command.source(sources, self, backlog)


def _unlinked(sources: Sources, asked: Asked, backlog: Backlog) -> Iterator[Candidate | Outcome]:
    if asked.sids:
        from reccli.flow.named import named  # when it is needed: `--help` knows the commands too

        return named(sources, asked.sids)
    since = asked.since or backlog.since
    return sources.unlinked(since, asked.until, backlog.callbacks, compare=backlog.compare)


def _fallbacks(sources: Sources, _asked: Asked, _backlog: Backlog) -> Iterator[Candidate | Outcome]:
    from reccli.flow.tables import fallbacks

    return fallbacks(sources)


def _on_twilio(sources: Sources, asked: Asked, _backlog: Backlog) -> Iterator[Candidate | Outcome]:
    return sources.on_twilio(asked.since, asked.until)


def _first(sources: Sources, asked: Asked, _backlog: Backlog) -> Iterator[Candidate | Outcome]:
    return sources.first(asked.limit)


PROCESS = Command("process", frozenset({StepKind.COPY, *_LINKS}), _unlinked, catches_up=True)
MIGRATE_FALLBACKS = Command(
    "migrate-fallbacks", frozenset({StepKind.COPY, StepKind.RELINK, StepKind.DELETE}), _fallbacks
)
PURGE_TWILIO = Command("purge-twilio", frozenset({StepKind.DELETE}), _on_twilio)
REPORT = Command("report", source=_first, reports=True)
