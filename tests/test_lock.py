"""The lock of a run, from inside: one for each archive, and how it is waited for."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reccli import lock
from reccli.config import identity, state_dir
from reccli.lock import LockedError, only_run
from tests.test_preflight import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE, MOMENT, LONG = timedelta(), timedelta(seconds=0.01), timedelta(days=1)


@contextmanager
def running(
    command: str = "process", wait: timedelta = NONE, stop: threading.Event | None = None
) -> Iterator[None]:
    with only_run(settings(), command, wait, stop or threading.Event()):
        yield


@pytest.mark.parametrize(
    "changes",
    [
        {"TWILIO_ACCOUNT_SID": "AC" + "0b" * 16},
        {"RECCLI_TWILIO__API_BASE": "https://api.sydney.au1.twilio.com"},
        {"AWS_S3_BUCKET": "others"},
        {"AWS_S3_RECORDINGS_PREFIX": "elsewhere/"},
        {"RECCLI_S3__ENDPOINT_URL": "https://s3.example.com"},
        {"AIRTABLE_BASE_ID": "appOther"},
        {"RECCLI_AIRTABLE__TABLE": "Other"},
        {"RECCLI_AIRTABLE__ENDPOINT_URL": "https://airtable.example.com"},
    ],
)
def test_what_tells_one_archive_from_another(changes: dict[str, str]) -> None:
    assert identity(settings(**changes)) != identity(settings())
    same = {"RECCLI_ENGINE__CONCURRENCY": "3", "TWILIO_AUTH_TOKEN": "another", "AWS_REGION": "x"}
    assert identity(settings(**same)) == identity(settings())


def test_the_lock_is_free_when_the_run_has_ended() -> None:
    for _ in range(2):
        with running(), pytest.raises(LockedError), running():
            pass
    assert not list(state_dir().glob("run-*.json"))


@pytest.mark.parametrize("wait", [NONE, MOMENT])
def test_it_says_who_is_in_the_way(wait: timedelta, capsys: pytest.CaptureFixture[str]) -> None:
    who = pytest.raises(LockedError, match="purge-twilio, pid ")
    with running("purge-twilio"), who as error, running(wait=wait):
        pass
    assert str(error.value).endswith(" UTC")
    assert ("waiting_for_lock" in capsys.readouterr().out) is bool(wait)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"command": "x"}'])
def test_a_holder_that_cannot_be_read_still_holds(text: str) -> None:
    with running():
        (holder,) = state_dir().glob("run-*.json")
        holder.write_text(text)
        with pytest.raises(LockedError, match="does not say who it is"), running():
            pass


def test_what_cannot_be_written_down_is_held_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError

    monkeypatch.setattr(lock, "_sign", full)
    with running(), pytest.raises(LockedError), running():
        pass


def test_who_waits_goes_on_when_the_other_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_POLL", 0.001)
    waiting = threading.Event()
    first = running()
    first.__enter__()

    def holder(_holder: object) -> str:
        waiting.set()
        return "somebody"

    monkeypatch.setattr(lock, "_holder", holder)
    began: list[bool] = []

    def second() -> None:
        with running(wait=LONG):
            began.append(True)
            with pytest.raises(LockedError), running():
                pass

    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(30)
    assert not began
    first.__exit__(None, None, None)
    thread.join(30)
    assert began
    with running():
        pass


def test_a_run_that_is_stopped_waits_no_longer_and_leaves_the_lock_alone() -> None:
    stop = threading.Event()
    stop.set()
    with running():
        (holder,) = state_dir().glob("run-*.json")
        with running(wait=LONG, stop=stop):
            pass
        assert holder.exists()
        with pytest.raises(LockedError), running():
            pass


def test_what_lies_beside_the_lock_is_for_our_eyes() -> None:
    """Who may open the lock of another may also hold it for ever."""
    before = os.umask(0)
    try:
        with running():
            files = list(state_dir().glob("run-*"))
            assert len(files) == 2
            assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    finally:
        os.umask(before)
