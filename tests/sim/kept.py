"""What waits for Twilio or a person: each scene, what stays in it, and what brings it on.

Together with `scenes` they lead through every state of the decision table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reccli.core.model import Reason

from .scenes import FOREIGN, R1, R2, R3
from .world import FIELDS, NAMING, World, ca_sid, re_sid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R4, R5 = re_sid(4), re_sid(5)
FULL = (f"{FOREIGN}/1", f"{FOREIGN}/2")


def words() -> World:
    """One field says "pending", one row of two is full, another is full alone, a link dies."""
    world = World()
    for number in (1, 2, 3, 4):
        world.record(number, number)
    links = [world.object_link(world.store(sid, hours=30)) for sid in (R1, R2, R3)]
    world.add_row("rowA", 1, links[0])
    world.add_row("rowB", 1, "pending")
    world.add_row("rowC", 2, links[1])
    world.add_row("rowD", 2, *FULL)
    world.add_row("rowE", 3, *FULL)
    world.add_row("rowF", 4, world.object_link(world.store(R4, hours=30), days=6.9))
    return world


def empty_the_fields(world: World) -> None:
    for row_id in ("rowB", "rowD", "rowE"):
        world.edit(row_id, FIELDS[0], "")


def calls() -> World:
    """Two calls have rows whose cell is no SID, and two conferences have rows of their own."""
    world = World()
    world.record(1, 1)
    world.record(2, 2)
    world.record(3, None, conference=1)
    world.record(4, None, conference=2)
    one, four = (world.object_link(world.store(sid, hours=30)) for sid in (R1, R4))
    world.add_row("rowA", 1, one)
    world.add_row("rowB", 1, call_cell=f"{ca_sid(1)}, {ca_sid(9)}")
    world.add_row("rowC", 2, call_cell='["recABC"]')
    world.add_row("rowD", None, conference=1)
    world.add_row("rowE", None, four, conference=2)
    world.add_row("rowF", None, conference=2)
    return world


def name_the_calls(world: World) -> None:
    for row_id, call in (("rowB", 1), ("rowC", 2)):
        world.correct(row_id, call_sid=ca_sid(call), call_cell="")


def keys() -> World:
    """Keys are made of a field: one is filled, one empty, one holds no text, one has no row."""
    world = World(naming=replace(NAMING, template="{agent}/{recording_sid}.{ext}"))
    for number, agent in enumerate(("Ann", "", None), 1):
        world.record(number, number)
        world.add_row(f"row{number}", number, fields={"agent": agent})
    world.record(4, 4)
    return world


def fill_in_the_agents(world: World) -> None:
    for row_id in ("row2", "row3"):
        world.correct(row_id, fields={"agent": "Bob"})
    world.add_row("row4", 4, fields={"agent": "Bob"})


def audio() -> World:
    """Twilio has none yet, is not done, is not done for too long, has failed, deletes late."""
    world = World(shows_late=90.0)
    world.no_media.add(world.record(1, 1))
    world.record(2, 2, "in-progress")
    world.record(3, 3, "processing", hours=7)
    world.record(4, 4, "failed")
    world.record(5, 5)
    for number in (1, 2, 3, 4):
        world.add_row(f"row{number}", number)
    world.add_row("row5", 5, world.object_link(world.store(R5, hours=30)))
    return world


def give_the_audio(world: World) -> None:
    for sid in (R1, R2, R3):
        world.complete(sid)


@dataclass(frozen=True, slots=True)
class Kept:
    """A scene; `stays` are the recordings that stay on Twilio until `mend` is called, and why."""

    scene: Callable[[], World]
    mend: Callable[[World], None]
    stays: Mapping[str, Reason]


KEPT = {
    "words and full rows": Kept(
        words,
        empty_the_fields,
        {R1: Reason.WORD, R2: Reason.FULL_TWIN, R3: Reason.UNREFERENCED},
    ),
    "calls that are not told, and conferences": Kept(
        calls, name_the_calls, {R1: Reason.CALL_UNREAD, R2: Reason.CALL_UNREAD}
    ),
    "keys of fields": Kept(
        keys,
        fill_in_the_agents,
        {R2: Reason.NEEDS_ROW, R3: Reason.BAD_KEY, R4: Reason.NEEDS_ROW},
    ),
    "no audio, and late deletes": Kept(
        audio,
        give_the_audio,
        {R1: Reason.NO_MEDIA, R2: Reason.NOT_COMPLETED, R3: Reason.OVERDUE},
    ),
}
