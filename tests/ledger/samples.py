"""Callbacks to keep, and what a ledger's database holds of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reccli.adapters.ledger import Callback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reccli.adapters.ledger import Claim, Ledger
    from reccli.adapters.ledger.transaction import End

NOW = datetime(2026, 11, 22, 9, 30, 0, 123457, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACCOUNT = "AC" + "0" * 32
TIMEOUT = timedelta(seconds=15)


def sid(number: int) -> str:
    return f"RE{number:032x}"


def callback(number: int = 1, *, after: int = 0, **changes: object) -> Callback:
    values: dict[str, Any] = {
        "sid": sid(number),
        "status": "completed",
        "account_sid": ACCOUNT,
        "call_sid": None,
        "body": b"a=1",
        "received": NOW + after * SECOND,
    }
    return Callback(**(values | changes))


def add(ledger: Ledger, number: int = 1, *, after: int = 0, **changes: object) -> bool:
    (new,) = add_all(ledger, [callback(number, after=after, **changes)])
    return new


def add_all(ledger: Ledger, callbacks: Sequence[Callback]) -> list[bool]:
    """Add callbacks in one transaction; True for each that is new."""
    with ledger.transaction() as transaction:
        return transaction.add_callbacks(callbacks)


def settle(
    ledger: Ledger,
    finished: Sequence[tuple[Claim, str]],
    released: Sequence[tuple[Claim, timedelta]] = (),
    unused: Sequence[Claim] = (),
) -> list[Claim]:
    """End claims in one transaction; returns the stale ones."""
    ends: list[tuple[Claim, End]] = [*finished, *released, *((claim, None) for claim in unused)]
    with ledger.transaction() as transaction:
        ours = transaction.settle(ends)
    return [claim for (claim, _), mine in zip(ends, ours, strict=True) if not mine]


def execute(url: str, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Ask the database itself, past the ledger."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as db:
        done = db.execute(sa.text(statement), values)
        return [tuple(row) for row in done] if done.returns_rows else []


def let_pass(url: str, time: timedelta) -> None:
    """Make all that is due as old as if so much time had passed."""
    us = time // timedelta(microseconds=1)
    execute(url, "UPDATE callbacks SET due_us = due_us - :us", us=us)


def commits(url: str) -> int:
    """Tell how many transactions have written, as the database itself counts them."""
    if url.startswith("sqlite"):
        with file_of(url).open("rb") as file:
            file.seek(24)  # the file change counter of the format
            return int.from_bytes(file.read(4))
    ((count,),) = execute(url, "SELECT pg_current_xact_id()::text::bigint")
    return int(count)


def file_of(url: str) -> Path:
    return Path(sa.make_url(url).database or "")
