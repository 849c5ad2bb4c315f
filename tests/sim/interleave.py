"""Lets several runs go on at once, one call of a port at a time, in an order that a test picks.

Each run has a thread, and only one of them ever moves: a schedule is the same every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .interpret import Run
from .world import World

Deed = Run | float | Callable[[World], None]
"""What an actor does: a run, a wait of so many seconds, or a person's change."""


@dataclass(slots=True)
class Actor:
    """One process, or one person: deeds one after the other, held up before each call."""

    deeds: Sequence[Deed]
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    steps: int = 0
    done: bool = False
    unexpected: BaseException | None = None


def interleave(world: World, actors: Sequence[Actor], turns: Iterable[int]) -> None:
    """Give the turns, each up to the actor's next call; whoever is left then goes to its end."""
    conductor = threading.Semaphore(0)
    threads = [
        threading.Thread(target=_act, args=(world, actor, conductor), daemon=True)
        for actor in actors
    ]
    for thread in threads:
        thread.start()
    for number in [*turns] if isinstance(turns, Sequence) else turns:
        if not actors[number].done:
            _give_turn(actors[number], conductor)
        if all(actor.done for actor in actors):
            break
    for actor in actors:
        while not actor.done:
            _give_turn(actor, conductor)
    for thread, actor in zip(threads, actors, strict=True):
        thread.join()
        if actor.unexpected is not None:
            raise actor.unexpected


def _give_turn(actor: Actor, conductor: threading.Semaphore) -> None:
    actor.steps += 1
    actor.gate.release()
    conductor.acquire()


def _act(world: World, actor: Actor, conductor: threading.Semaphore) -> None:
    def pause(_name: str) -> None:
        conductor.release()
        actor.gate.acquire()

    actor.gate.acquire()
    try:
        for deed in actor.deeds:
            if isinstance(deed, Run):
                deed.pause = pause
                deed.on(world)
                continue
            pause("deed")
            if isinstance(deed, float):
                world.sleep(deed)
            else:
                deed(world)
                world.check()
    except BaseException as error:  # noqa: BLE001 - it is raised again by the conductor
        actor.unexpected = error
    finally:
        actor.done = True
        conductor.release()
