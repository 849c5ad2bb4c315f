"""A PostgreSQL that will never take us as we are: told at once, and not waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from reccli.adapters.ledger import Ledger, LedgerError
from reccli.core.errors import FailureKind
from tests.test_cli_serve import serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

WRONG = "the-wrong-one"


@pytest.fixture(scope="module")
def locked(postgres_server: Server) -> str:
    """Give the URL of a role that has to show a password."""
    engine = sa.create_engine(
        postgres_server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    rules = postgres_server.directory / "data" / "pg_hba.conf"
    rule = "host all locked 127.0.0.1/32 scram-sha-256\n"
    if rule not in rules.read_text():
        rules.write_text(rule + rules.read_text())
    with engine.connect() as db:
        db.exec_driver_sql("DROP ROLE IF EXISTS locked")
        db.exec_driver_sql("CREATE ROLE locked LOGIN PASSWORD 'right'")
        db.exec_driver_sql("SELECT pg_reload_conf()")
    postgres_server.stop()
    postgres_server.start()
    return postgres_server.url.replace("reccli@", f"locked:{WRONG}@")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("reccli@", f"locked:{WRONG}@"), "password authentication failed"),
        (("reccli@", "locked@"), "no password supplied"),
        (("/postgres", "/nothere"), "does not exist"),
        (("/postgres", "/postgres?sslmode=require"), "does not support SSL"),
        (("/postgres", "/postgres?sslmode=nonsense"), "invalid sslmode"),
        (("/postgres", "/postgres?nonsense=1"), "invalid connection option"),
    ],
)
@pytest.mark.usefixtures("locked")
def test_no_waiting_helps(postgres_server: Server, change: tuple[str, str], told: str) -> None:
    with pytest.raises(LedgerError, match=told) as caught:
        Ledger.open(postgres_server.url.replace(*change))
    failure = caught.value.failure
    assert failure.kind is FailureKind.PERMANENT
    assert "ledger.url" in failure.hint
    assert WRONG not in str(caught.value)


def test_the_server_does_not_start_with_a_wrong_password(tmp_path: Path, locked: str) -> None:
    done = serve(tmp_path, "--port", "0", RECCLI_LEDGER__URL=locked)
    assert done.exit_code == 2
    assert "password authentication failed" in done.stderr
    assert "fix: check the user, the password, the database and sslmode" in done.stderr
    assert "serving" not in done.stderr
    assert WRONG not in done.stderr
