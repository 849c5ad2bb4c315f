"""The ASGI app: `create_app()` for a server of our own, or to be mounted in a team's service.

A callback is answered once it is durable in the ledger, and worked on after that. For
`reccli serve`, and for whoever mounts it.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from reccli import history, preflight, wiring
from reccli.adapters.ledger import Inbox, Ledger, LedgerError
from reccli.config import RECORDING_STATUS, ConfigError, load
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow import machine
from reccli.flow.commands import PROCESS, Asked
from reccli.intake.callbacks import RecordingStatus
from reccli.intake.health import Health
from reccli.intake.media_stream import MediaStream
from reccli.intake.redirect import permalink_route
from reccli.intake.worker import Worker
from reccli.watch import logs
from reccli.watch.event_log import EventLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from reccli.adapters.ledger import Callback
    from reccli.adapters.twilio import Signatures
    from reccli.config import Settings

DURABLE_WITHIN = 10.0
"""Seconds after which a callback is refused: Twilio waits 15, and must hear the 503."""

_log = structlog.get_logger("reccli")


def _nowhere(request: Request, _error: Exception) -> Response:
    """Answer 404; a proxy that has changed the path of a callback is worth a line in the log."""
    if request.headers.get("x-twilio-signature"):
        _log.warning(
            "no_such_route",
            path=request.url.path[:100],
            hint=f"let the proxy pass the path on: callbacks go to {RECORDING_STATUS}",
        )
    return Response(status_code=404)


class UnconfiguredError(ValueError):
    """A setting without which nothing can be taken in; the message names it."""


def create_app(settings: Settings | None = None, *, run_id: str = "") -> Starlette:
    """Make the app; raises `UnconfiguredError`.

    Without settings it reads the configuration and sets up the log, as `reccli serve` does:
    `uvicorn --factory reccli.intake.webhook:create_app`. With settings the log is the caller's.
    What is mounted in another app does not get its lifespan by itself: enter
    `app.router.lifespan_context(app)` in the outer one, or callbacks are kept for `process` only.
    """
    run_id = run_id or f"s{uuid.uuid4().hex[:11]}"
    if settings is None:
        logs.configure(run_id=run_id)
        logs.unblock()
        settings = load(None)
        for warning in settings.warnings:
            _log.warning("config_warning", problem=warning)
    logs.redact_values(settings.secret_values())
    return _Intake(settings, run_id).app


def _signatures(settings: Settings) -> Signatures:
    """Return what callbacks are checked with; raises `UnconfiguredError` if that is nothing."""
    signatures = wiring.signatures(settings)
    if not settings.webhook.public_url:
        raise UnconfiguredError("webhook.public_url: missing; signatures are checked with it")
    if not signatures:
        raise UnconfiguredError("twilio.auth_token: missing; callbacks are signed with it")
    return signatures


class _Intake:
    """What the routes share: the way into the ledger, and the worker behind it."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        signatures = _signatures(settings)
        self._run_id = run_id
        self._idle_warned = False
        self._stack = ExitStack()
        stop = threading.Event()
        concurrency = machine.room_for(settings.engine.concurrency)
        try:
            services = wiring.services(settings, concurrency, stop, self._stack)
        except ServiceError as error:
            raise UnconfiguredError(f"{error} ({error.failure.hint})") from error
        try:
            preflight.check_fields(settings, services.airtable)
        except ConfigError as error:
            raise UnconfiguredError(str(error)) from error
        dying = preflight.dying_links(settings, services.s3)
        if dying:
            _log.error(dying.code, error=dying.message, hint=dying.hint)
        url = settings.ledger.url.get_secret_value()
        archive = history.archive(settings)
        self._inbox = Inbox(lambda: Ledger.open(url, archive))
        self._worker = Worker(
            services,
            wiring.rules(settings, Asked(PROCESS), services.book, lasting_links=not dying),
            self._inbox,
            EventLog(self._inbox, run_id, group=1),  # the inbox groups them
            stop=stop,
            concurrency=concurrency,
        )
        self._health = Health(self._inbox, self._worker, services.retry)
        account_sid, webhook = settings.twilio.account_sid, settings.webhook
        self._streams = MediaStream(webhook.stream_url, account_sid, signatures, self.keep)
        callbacks = RecordingStatus(
            webhook.recording_status_url, account_sid, signatures, self.keep
        )
        calls: list[BaseRoute] = [callbacks.route, self._streams.route]
        self.app = Starlette(
            routes=[
                *calls,
                permalink_route(services.book.permalinks, services.s3.presign),
                *self._health.routes,
                # A proxy may pass the path of the public URL on, or take it away as a mount does.
                *([Mount(webhook.path, routes=calls)] if webhook.path else []),
            ],
            lifespan=self._lifespan,
            exception_handlers={404: _nowhere},
        )
        self.app.router.redirect_slashes = False  # it would lead to whatever Host says
        self.app.state.misconfigured = dying is not None

    async def keep(self, callback: Callback) -> bool:
        """Return once the callback is durable, True if it is new; raises `ServiceError`."""
        try:
            async with asyncio.timeout(DURABLE_WITHIN):
                new = await asyncio.wrap_future(self._inbox.add(callback))
        except TimeoutError:
            raise LedgerError(
                Failure(Service.LEDGER, FailureKind.BUSY, "slow", "the ledger takes too long")
            ) from None
        if new:
            self._worker.wake()
            self._warn_if_idle()
        return new

    def _warn_if_idle(self) -> None:
        """Log once that nothing works on what comes in: mounted, but without the lifespan."""
        if not self._worker.started and not self._idle_warned:
            self._idle_warned = True
            hint = "enter app.router.lifespan_context(app), or run `reccli process` from cron"
            _log.warning("worker_not_started", hint=hint)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._inbox.start_run(self._run_id, "serve", datetime.now(UTC))
        await asyncio.to_thread(self._open)
        self._worker.start()
        try:
            yield
        finally:
            self._health.stopping = True
            _log.info("stopping", in_hand=self._worker.in_hand)
            self._worker.end()
            await self._streams.finish()
            await asyncio.to_thread(self._close)
            _log.info("stopped")

    def _open(self) -> None:
        """Open the ledger before the first callback needs it; without one they get a 503."""
        try:
            self._inbox.ping()
        except ServiceError as error:
            _log.error("ledger_error", error=str(error))

    def _close(self) -> None:
        self._worker.stop()
        self._inbox.finish_run(self._run_id, datetime.now(UTC), 0, {})
        self._inbox.close()
        self._stack.close()
