"""`reccli serve`: the app behind uvicorn, from the first connection to a clean end.

For the command line alone; a team that has a server of its own mounts `webhook.create_app`.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from reccli.intake.media_stream import WEBSOCKET
from reccli.intake.webhook import create_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.config import Settings

BACKLOG = 2048
"""Connections that wait to be taken: a burst after a restart must not be refused."""
GRACE = 10
"""Seconds for the answers in hand when the server is told to stop."""


class CannotListenError(Exception):
    """The address is taken, or not ours."""


def serve(settings: Settings, run_id: str, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is told the URL once callbacks are taken.

    Raises `CannotListenError`, and `UnconfiguredError` for what only a server needs.
    """
    # A thread that computes gives way after 1 ms instead of 5: answers wait for their turn too.
    sys.setswitchinterval(0.001)
    app = create_app(settings, run_id=run_id)
    with _listen(settings.webhook.host, settings.webhook.port) as listening:
        server = _Server(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,  # ours, which redacts
                access_log=False,  # links carry signatures, and Twilio's console has the rest
                proxy_headers=False,  # whoever sends them is not believed
                server_header=False,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=GRACE,
                **WEBSOCKET,
            ),
            lambda: ready(_url(listening)),
        )
        # From now on, and not only once uvicorn runs; it also raises them again when it is done,
        # which would kill us although the end was in order.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is here now stays: to look through all of it again and again holds up answers.
        gc.collect()
        gc.freeze()
        if self.started:
            self._ready()


def _listen(host: str, port: int) -> socket.socket:
    """Take the port ourselves: uvicorn would end the process without saying why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotListenError(f"cannot listen on {host} port {port}: {why}") from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
