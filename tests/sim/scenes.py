"""Where a run may find the world: fresh recordings, fallbacks, all linked, and odd ones."""

from __future__ import annotations

from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO

from .interpret import Run
from .world import World, re_sid

R1, R2, R3 = re_sid(1), re_sid(2), re_sid(3)
DAY_SECONDS = 25 * 3600.0
FOREIGN = "https://drive.example.org/notes"


def fresh(**how: object) -> World:
    """Two recordings of one call with two fields, and one of a call with two rows."""
    world = World(**how)  # type: ignore[arg-type]
    for number, call in ((1, 1), (2, 1), (3, 2)):
        world.record(number, call)
    world.add_row("rowA", 1)
    world.add_row("rowB", 2)
    world.add_row("rowC", 2)
    return world


def impostor() -> World:
    """Bytes of the right size and metadata that claims the rest, under the key of R1."""
    world = fresh()
    world.store(R1, hours=30, body=bytes(len(world.originals[R1]["mp3"])))
    return world


def fallbacks(**how: object) -> World:
    """S3 was down when the calls ended; one object came later, and its rows were not told."""
    world = World(**how)  # type: ignore[arg-type]
    for number, call in ((1, 1), (2, 1), (3, 2)):
        world.record(number, call)
    world.store(R3, hours=30)
    world.add_row("rowA", 1, world.twilio_link(R1), world.twilio_link(R2))
    world.add_row("rowB", 2, world.twilio_link(R3))
    world.add_row("rowC", 2)
    return world


def linked(**how: object) -> World:
    """All is stored and linked, and two of three have been in retention long enough."""
    world = World(**how)  # type: ignore[arg-type]
    for number, call in ((1, 1), (2, 1), (3, 2)):
        world.record(number, call)
    links = {
        sid: world.object_link(world.store(sid, hours=hours))
        for sid, hours in ((R1, 30), (R2, 2), (R3, 30))
    }
    world.add_row("rowA", 1, links[R1], links[R2])
    world.add_row("rowB", 2, links[R3])
    world.add_row("rowC", 2, links[R3])
    return world


def two_rows(**how: object) -> World:
    """Two recordings of a call with two rows; one row has the fallbacks, the other is empty."""
    world = World(**how)  # type: ignore[arg-type]
    for number in (1, 2):
        world.record(number, 1)
    world.add_row("rowA", 1, world.twilio_link(R1), world.twilio_link(R2))
    world.add_row("rowB", 1)
    return world


def three(**how: object) -> World:
    """Three recordings of a call with two rows of two fields each."""
    world = World(**how)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        world.record(number, 1)
    world.add_row("rowA", 1)
    world.add_row("rowB", 1)
    return world


def odd(**how: object) -> World:
    """Everything is stored, and none of it may go: archived, named elsewhere, of no known length.

    The row that names R2 has a free field.
    """
    world = World(**how)  # type: ignore[arg-type]
    world.record(1, 1)
    world.record(2, 2)
    world.record(3, 3, duration=None)
    links = {
        sid: world.object_link(world.store(sid, hours=30, unfit=sid == R1)) for sid in (R1, R2, R3)
    }
    world.add_row("rowA", 1, links[R1])
    world.add_row("rowB", 2, f"{FOREIGN}/{R2}")
    world.add_row("rowC", 3, links[R3])
    return world


SCENES = {
    PROCESS: fresh,
    MIGRATE_FALLBACKS: fallbacks,
    PURGE_TWILIO: linked,
}


def settle(world: World, days: int = 1) -> list[str]:
    """Run everything as cron would on the days after; tells what is still to do."""
    for _ in range(days):
        for command in (PROCESS, MIGRATE_FALLBACKS):
            Run(command).on(world)
        world.sleep(DAY_SECONDS)
        for command in (PURGE_TWILIO, PROCESS):
            Run(command).on(world)
    return world.converged()
