"""A log that nobody reads: who writes a line never waits, and what is lost is counted."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from reccli.watch import unblocked
from reccli.watch.logs import configure, unblock
from reccli.watch.unblocked import Unblocked

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10.0


class Pipe(io.StringIO):
    """A stream whose reader hangs until it is told to go on."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.reading, self.begun, self.broken = threading.Event(), threading.Event(), broken

    def write(self, text: str) -> int:
        self.begun.set()
        assert self.reading.wait(WAIT)
        if self.broken:
            raise BrokenPipeError
        return super().write(text)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    yield
    configure(run_id="after")


def test_nobody_waits_and_what_is_lost_is_told_later() -> None:
    pipe = Pipe()
    configure(run_id="r", stream=pipe)
    lines = unblock()
    log = structlog.get_logger("reccli")
    for number in range(unblocked.LONGEST + 8):
        log.warning("line", number=number)
        pipe.begun.wait(WAIT)  # from now on one is being written, and the others wait
    pipe.reading.set()
    lines.finish(WAIT)
    told = [json.loads(line) for line in pipe.getvalue().splitlines()]
    assert [line["number"] for line in told if line["event"] == "line"] == [
        *range(unblocked.LONGEST + 1)
    ]
    (lost,) = [line for line in told if line["event"] == "log_lines_lost"]
    assert (lost["lines"], lost["run_id"]) == (7, "r")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unblocked, "LONGEST", 20)


def test_the_end_does_not_wait_for_a_reader_that_hangs() -> None:
    pipe = Pipe()
    lines = Unblocked(pipe)
    for number in range(2 * unblocked.LONGEST):
        lines.write(str(number))
    lines.finish(0.05)
    assert pipe.getvalue() == ""
    pipe.reading.set()


def test_a_reader_that_is_gone_ends_nothing() -> None:
    pipe = Pipe(broken=True)
    pipe.reading.set()
    lines = Unblocked(pipe)
    lines.write("lost")
    pipe.begun.wait(WAIT)
    pipe.broken = False
    lines.write("written\n")
    lines.finish(WAIT)
    assert pipe.getvalue().endswith("written\n")


def test_a_person_stays_a_person() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert Unblocked(Terminal()).isatty()
    assert not Unblocked(io.StringIO()).isatty()


def test_nothing_else_of_the_log_changes() -> None:
    stream = io.StringIO()
    configure(run_id="r", stream=stream)
    lines = unblock()
    logging.getLogger("uvicorn.error").error("Basic QUM6dG9rZW4=")
    lines.finish(WAIT)
    assert json.loads(stream.getvalue())["event"] == "Basic [redacted]"
