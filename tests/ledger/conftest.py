"""Ledgers to test: a file of SQLite, a real PostgreSQL, or first the one and then the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from reccli.adapters.ledger import Inbox, Ledger, schema
from tests.postgres import Server, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the second run of what knows no difference between the databases to `make test-all`."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        again = callspec and callspec.params.get("url") == "postgres"
        if again and not item.get_closest_marker("dialect"):
            item.add_marker("exhaustive")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One of our own, which a test may stop and start."""
    with server() as running:
        yield running


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database."""
    url = os.environ.get("TEST_POSTGRES_URL") or request.getfixturevalue("postgres_server").url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    schema.metadata.drop_all(engine)
    return str(url)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/reccli/ledger.sqlite3"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """First the one, then the other."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return f"sqlite:///{request.getfixturevalue('path')}"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{path}") as opened:
        yield opened


@pytest.fixture
def either(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def inbox(url: str) -> Iterator[Inbox]:
    opened = Inbox(lambda: Ledger.open(url))
    yield opened
    opened.close()
