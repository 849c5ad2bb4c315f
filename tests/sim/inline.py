"""Executors without threads: what a run asks for is carried out in the run's own thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from random import Random
from typing import ParamSpec, TypeVar

from reccli.flow.executors import Executors

P = ParamSpec("P")
R = TypeVar("R")


class Inline(Executor):
    """Carries out what is submitted before it returns; a crash of the run goes up."""

    def submit(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        done: Future[R] = Future()
        _carry_out(done, partial(call, *args, **kwargs))
        return done


class AnyOrder(Executor):
    """Carries out what was submitted when `clock` is read next, in an order drawn by lot.

    As in production, where the order in which cases go on is that of the answers.
    """

    def __init__(self, lots: Random, clock: Callable[[], float]) -> None:
        self._lots, self._clock = lots, clock
        self._waiting: list[Callable[[], None]] = []

    def submit(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        done: Future[R] = Future()
        self._waiting.append(partial(_carry_out, done, partial(call, *args, **kwargs)))
        return done

    def clock(self) -> float:
        while self._waiting:
            self._waiting.pop(self._lots.randrange(len(self._waiting)))()
        return self._clock()


def _carry_out(done: Future[R], call: Callable[[], R]) -> None:
    try:
        done.set_result(call())
    except AssertionError:  # an invariant is broken: whatever comes after it proves nothing
        raise
    except Exception as error:  # noqa: BLE001 - as in an executor of threads
        done.set_exception(error)


def executors(one: Executor) -> Executors:
    """Have one executor do everything; the requests of a batch of links are sent at once."""
    return Executors(source=one, airtable=one, links=Inline(), workers=one, copies=one)
