"""An open-loop load: requests leave when they are due, whether or not others were answered.

A closed loop waits with a slow server and so hides how slow it is. Here the time of a request
counts from the moment when it was due, also while it had to wait for a free connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

_END = b"\r\n\r\n"


@dataclass(slots=True)
class Answers:
    """What came of a load: status and seconds of each request, by its place in the sequence."""

    statuses: list[int]
    seconds: list[float]
    lasted: float = 0.0
    late: float = 0.0
    """How far behind its own schedule the load fell at most: it is the machine's fault, then."""


@dataclass(slots=True, eq=False)
class _Load:
    requests: Sequence[bytes]
    answers: Answers
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    due: list[float] = field(default_factory=list)
    idle: deque[_Connection] = field(default_factory=deque)
    waiting: deque[int] = field(default_factory=deque)
    left: int = 0

    def send(self, number: int) -> None:
        if self.idle:
            self.idle.popleft().send(number)
        else:
            self.waiting.append(number)

    def answered(self, connection: _Connection, number: int, status: int) -> None:
        self.answers.statuses[number] = status
        self.answers.seconds[number] = self.loop.time() - self.due[number]
        self.left -= 1
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.idle.append(connection)
        if not self.left and not self.done.done():
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    """One keep-alive connection; the answers have no body, or a Content-Length."""

    def __init__(self, load: _Load) -> None:
        self._load, self._number, self._got = load, -1, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.idle.append(self)

    def send(self, number: int) -> None:
        self._number = number
        self._transport.write(self._load.requests[number])

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(_END)
        if not end:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if len(body) >= length:
            self._got = b""
            self._load.answered(self, self._number, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(exc or ConnectionError("the server hung up"))


async def load(
    host: str, port: int, requests: Sequence[bytes], *, per_second: float, connections: int
) -> Answers:
    """Send all requests, evenly spaced, and wait for every answer."""
    loop = asyncio.get_running_loop()
    answers = Answers([0] * len(requests), [0.0] * len(requests))
    state = _Load(requests, answers, loop, loop.create_future(), left=len(requests))
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(state), host, port)
    start = loop.time() + 0.1
    state.due = [start + number / per_second for number in range(len(requests))]
    number = 0
    while number < len(requests):
        await asyncio.sleep(max(0.0, state.due[number] - loop.time()))
        now = loop.time()
        answers.late = max(answers.late, now - state.due[number])
        while number < len(requests) and state.due[number] <= now:
            state.send(number)
            number += 1
    await asyncio.wait_for(state.done, 60)
    answers.lasted = loop.time() - start
    return answers
