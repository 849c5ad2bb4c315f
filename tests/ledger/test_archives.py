"""One ledger for several accounts and configurations: none of them sees what is another's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.adapters.ledger import Archive, Event, Ledger
from tests.ledger.samples import ACCOUNT, NOW, SECOND, TIMEOUT, add, execute, let_pass, sid

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "AC" + "1" * 32
ARCHIVES = {
    "mine": Archive(ACCOUNT, "mine"),
    "staging": Archive(ACCOUNT, "staging"),
    "theirs": Archive(OTHER, "theirs"),
}


@pytest.fixture
def ledgers(url: str) -> Iterator[dict[str, Ledger]]:
    opened = {name: Ledger.open(url, archive) for name, archive in ARCHIVES.items()}
    yield opened
    for ledger in opened.values():
        ledger.close()


def test_each_has_its_own_callbacks(ledgers: dict[str, Ledger]) -> None:
    for number, name in enumerate(ledgers):
        assert add(ledgers[name], number, account_sid=ARCHIVES[name].account_sid)
    for number, ledger in enumerate(ledgers.values()):
        assert [one.sid for one in ledger.pending_callbacks(10)] == [sid(number)]
        assert ledger.callbacks_pending() == 1
        assert ledger.count_callbacks(NOW, NOW + SECOND) == {"completed": 1}
        assert not ledger.finish_callback(sid((number + 1) % 3), NOW, "not mine")
        assert [claim.sid for claim in ledger.claim(10, TIMEOUT)] == [sid(number)]
        assert ledger.finish_callback(sid(number), NOW, "done")
        assert ledger.callbacks_pending() == 0


def test_each_has_its_own_events_and_runs(ledgers: dict[str, Ledger], url: str) -> None:
    for number, (name, ledger) in enumerate(ledgers.items()):
        ledger.record("r", [Event("saved", NOW + number * SECOND, sid(number))])
        ledger.start_run(f"r{number}", name, NOW)
        ledger.finish_run(f"r{number}", NOW, 0, {})
    window = (NOW, NOW + 3 * SECOND)
    for number, ledger in enumerate(ledgers.values()):
        assert ledger.count_events(["saved"], *window) == {"saved": 1}
        assert ledger.recordings_with("saved", *window) == {sid(number)}
        assert ledger.last_event("saved") == NOW + number * SECOND
        assert ledger.last_event("never") is None
    whose = execute(url, "SELECT command, archive FROM runs")
    assert sorted(whose) == [(name, name) for name in sorted(ledgers)]


def test_what_nobody_works_at_any_more_is_everybodys_of_the_account(
    ledgers: dict[str, Ledger], url: str
) -> None:
    """The name of a table is put right, and so the archive is another one."""
    add(ledgers["mine"], 1)
    add(ledgers["theirs"], 2, account_sid=OTHER)
    let_pass(url, timedelta(hours=23))
    assert ledgers["staging"].pending_callbacks(10) == []
    assert ledgers["staging"].claim(10, TIMEOUT) == []
    let_pass(url, timedelta(hours=2))
    assert [one.sid for one in ledgers["staging"].pending_callbacks(10)] == [sid(1)]
    assert [claim.sid for claim in ledgers["staging"].claim(10, TIMEOUT)] == [sid(1)]
    assert not ledgers["staging"].finish_callback(sid(2), NOW, "not mine")
    assert ledgers["staging"].finish_callback(sid(1), NOW, "done")


def forget_archives(url: str) -> None:
    """Make the ledger one of the version before: as it was, with what it held."""
    for index in ("callbacks_received_archive", "events_name_at_archive"):
        execute(url, f"DROP INDEX {index}")
    for table in ("callbacks", "events", "runs"):
        execute(url, f"ALTER TABLE {table} DROP COLUMN archive")
    execute(url, "CREATE INDEX events_name_at ON events (name, at_us)")
    execute(url, "CREATE INDEX callbacks_received ON callbacks (received_us, status)")


@pytest.mark.dialect
def test_a_ledger_of_the_version_before_is_taken_over(url: str) -> None:
    with Ledger.open(url) as ledger:
        add(ledger, 1)
        add(ledger, 2, account_sid=OTHER)
        ledger.record("r", [Event("saved", NOW)])
        ledger.start_run("r", "process", NOW)
    forget_archives(url)
    mine, theirs = ARCHIVES["mine"], ARCHIVES["theirs"]
    for _ in range(2):
        with Ledger.open(url, mine) as ledger, Ledger.open(url, theirs) as other:
            assert [one.sid for one in ledger.pending_callbacks(10)] == [sid(1)]
            assert [one.sid for one in other.pending_callbacks(10)] == [sid(2)]
            assert ledger.count_events(["saved"], NOW, NOW + SECOND) == {"saved": 1}
            assert ledger.last_event("saved") == NOW
    execute(  # a server that has not been updated yet goes on
        url,
        "INSERT INTO callbacks (sid, status, account_sid, body, received_us, due_us)"
        " SELECT :sid, 'completed', :account, body, received_us, due_us FROM callbacks LIMIT 1",
        sid=sid(3),
        account=ACCOUNT,
    )
    with Ledger.open(url, mine) as ledger:
        assert {claim.sid for claim in ledger.claim(9, TIMEOUT)} == {sid(1), sid(3)}
        assert ledger.finish_callback(sid(1), NOW + timedelta(days=1), "done")
        assert not ledger.finish_callback(sid(2), NOW + timedelta(days=1), "not mine")


@pytest.mark.dialect
def test_it_has_the_same_indexes_then(url: str) -> None:
    def indexes() -> list[str]:
        if url.startswith("sqlite"):
            found = execute(url, "SELECT sql FROM sqlite_master WHERE type = 'index'")
        else:
            found = execute(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
        return sorted(text for (text,) in found if text)

    Ledger.open(url).close()
    fresh = indexes()
    forget_archives(url)
    assert indexes() != fresh
    Ledger.open(url).close()
    assert indexes() == fresh
