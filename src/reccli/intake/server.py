"""`reccli serve`: the app behind uvicorn, from the first connection to a clean end.

For the command line alone; a team that has a server of its own mounts `webhook.create_app`.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from reccli.adapters.ledger import Ledger
from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.flow.result import Exit
from reccli.intake.connection import BoundedProtocol
from reccli.intake.media_stream import WEBSOCKET
from reccli.intake.webhook import UnconfiguredError, create_app
from reccli.watch import logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.applications import Starlette

    from reccli.config import Settings

BACKLOG = 2048
"""Connections that wait to be taken: a burst after a restart must not be refused."""
GRACE = 10
"""Seconds for the answers in hand when the server has to stop."""
HANGUP = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
"""The end of the terminal, unless nohup was asked to survive it."""
LAST_LINES = 2.0
"""Seconds for what is left of the log, in case nobody reads it."""

_HINTS = {
    errno.EADDRINUSE: "end what listens there, or set webhook.port or --port",
    errno.EACCES: "ports below 1024 need rights: set webhook.port or --port to a higher one",
}

_log = structlog.get_logger("reccli")


class CannotServeError(Exception):
    """What keeps the server from starting, in words; `hint` says what to do about it."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        """`code` is "listen", "config", "ledger" or the name of a service."""
        super().__init__(message)
        self.code, self.hint = code, hint
        self.exit_code = Exit.FAILED if code == "listen" else Exit.USAGE


def serve(
    settings: Settings, run_id: str, ready: Callable[[str], None], stopping: Callable[[], None]
) -> Exit:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; a second Ctrl-C ends the process at once.

    `ready` is called with the URL once callbacks are taken, `stopping` when the end begins. Returns
    `Exit.USAGE` where the configuration kept it from a part of its work. Raises `CannotServeError`.
    """
    # A thread that computes gives way after 1 ms instead of 5: answers wait for their turn too.
    sys.setswitchinterval(0.001)
    app = _make(settings, run_id)
    with _listen(settings.webhook.host, settings.webhook.port) as listening:
        server = _Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                lifespan="on",
                log_config=None,  # ours, which redacts
                access_log=False,  # links carry signatures, and Twilio's console has the rest
                proxy_headers=False,  # whoever sends them is not believed
                server_header=False,
                timeout_keep_alive=settings.webhook.keep_alive,
                timeout_graceful_shutdown=GRACE,
                **WEBSOCKET,
            ),
            lambda: ready(_url(listening)),
            stopping,
        )
        # From now on, and not only once uvicorn runs; it also raises them again when it is done,
        # which would kill us although the end was in order.
        for number in (signal.SIGINT, signal.SIGTERM, *HANGUP):
            signal.signal(number, server.handle_exit)
        lines = logs.unblock()
        try:
            server.run(sockets=[listening])
        finally:
            lines.finish(LAST_LINES)
    return Exit.USAGE if app.state.misconfigured else Exit.OK


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._stopping = ready, stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            os._exit(Exit.INTERRUPTED)  # nothing that was acknowledged is only in memory
        if not self.should_exit:
            self._stopping()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is here now stays: to look through all of it again and again holds up answers.
        gc.collect()
        gc.freeze()
        if self.started:
            self._ready()


def _make(settings: Settings, run_id: str) -> Starlette:
    """Make the app, and refuse where no waiting will ever make it useful."""
    try:
        app = create_app(settings, run_id=run_id)
        Ledger.open(settings.ledger.url.get_secret_value()).close()
    except UnconfiguredError as error:
        hint = "see config.example.toml for every key; `reccli config init` writes it"
        raise CannotServeError("config", str(error), hint) from error
    except ServiceError as error:
        failure = error.failure
        if failure.service is not Service.LEDGER:
            raise CannotServeError(failure.service, str(error), failure.hint) from error
        if failure.kind in {FailureKind.PERMANENT, FailureKind.DENIED, FailureKind.CONFIG}:
            hint = failure.hint or "set ledger.url or STATE_DIRECTORY to where it may be written"
            raise CannotServeError("ledger", f"ledger: {failure.message}", hint) from error
    return app


def _listen(host: str, port: int) -> socket.socket:
    """Open the port ourselves: uvicorn would end the process without saying why.

    `::` takes IPv4 as well, where the system can do that.
    """
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    if host == "::" and not both:
        _log.warning("ipv6_only", hint="for IPv4 set webhook.host to 0.0.0.0, behind a proxy")
    try:
        return socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both
        )
    except OSError as error:
        code = error.errno or 0
        why = os.strerror(code) if code > 0 else error.strerror or str(error)
        hint = _HINTS.get(code, "set webhook.host to an address of this machine")
        message = f"cannot listen on {host} port {port}: {why}"
        raise CannotServeError("listen", message, hint) from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
