"""What this machine runs out of is told as that, and makes do with less where it can."""

from __future__ import annotations

import errno
import os
import resource
import threading

import pytest

from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.flow import machine
from reccli.flow.executors import ThreadPool
from reccli.flow.unexpected import unexpected

BUSY, PERMANENT = FailureKind.BUSY, FailureKind.PERMANENT


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (OSError(errno.EMFILE, "Too many open files"), BUSY, "out_of_descriptors"),
        (OSError(errno.ENFILE, "Too many open files"), BUSY, "out_of_descriptors"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), BUSY, "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), PERMANENT, "disk_full"),
        (MemoryError(), BUSY, "out_of_memory"),
        (RuntimeError("can't start new thread"), BUSY, "out_of_threads"),
    ],
)
def test_a_lack_is_found_however_it_is_wrapped(
    error: Exception, kind: FailureKind, code: str
) -> None:
    wrapped = ValueError("no route to host", error)
    outer = ConnectionError("all connection attempts failed")
    outer.__context__ = wrapped
    for one in (error, wrapped, outer):
        found = machine.failure_of(one)
        assert found is not None
        assert (found.service, found.kind, found.code) == (Service.MACHINE, kind, code)
        assert unexpected(one) == found


def test_what_others_do_is_not_this_machines() -> None:
    for error in (OSError(errno.ECONNREFUSED, "refused"), RuntimeError("bug"), ValueError()):
        assert machine.failure_of(error) is None


def test_a_look_up_without_a_descriptor_is_no_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", full)
    found = machine.failure_of(OSError(-2, "Name or service not known"))
    assert found is not None
    assert found.code == "out_of_descriptors"


@pytest.mark.parametrize(
    ("soft", "hard", "lifted", "workers"),
    [
        (256, 1 << 20, 4096, 32),
        (256, resource.RLIM_INFINITY, 4096, 32),
        (256, 256, None, 32),
        (128, 128, None, 10),
        (16, 16, None, 1),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 32),
    ],
)
def test_the_limit_of_descriptors_is_lifted_or_kept_to(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, lifted: int | None, workers: int
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, to: asked.append(to))
    assert machine.room_for(32) == workers
    assert asked == ([(lifted, hard)] if lifted else [])


def test_a_limit_that_cannot_be_lifted_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (124, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert machine.room_for(32) == 10


def test_fewer_threads_do_all_the_work_and_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start, allowed = threading.Thread.start, 2

    def scarce(thread: threading.Thread) -> None:
        nonlocal allowed
        if allowed == 0:
            raise RuntimeError("can't start new thread")
        allowed -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with ThreadPool(8) as pool:
        assert list(pool.map(str, range(50))) == [str(n) for n in range(50)]
    with pytest.raises(ServiceError) as caught, ThreadPool(8) as pool:
        pool.submit(str, 1)
    assert caught.value.failure.code == "out_of_threads"
