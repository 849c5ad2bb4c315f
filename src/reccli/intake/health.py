"""`GET /healthz` and `/readyz`: whether the process lives, and whether it can keep what comes in.

Nothing of ours stands in an answer: no URL, no SID, no message of a service. For `webhook` alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from reccli.core.errors import Service, ServiceError

if TYPE_CHECKING:
    from starlette.requests import Request

    from reccli.adapters.ledger import Inbox
    from reccli.flow.retry import Retry
    from reccli.intake.worker import Worker

SERVICES = (Service.TWILIO, Service.S3, Service.AIRTABLE)
REMEMBERED = 1.0
"""Seconds for which a look at the ledger counts: anybody may ask, and a look is a write."""
PATIENCE = 5.0
_NO_STORE = {"Cache-Control": "no-store"}


class Health:
    """Both endpoints. A service that is down makes nobody unready: what comes in is kept."""

    def __init__(self, inbox: Inbox, worker: Worker, retry: Retry) -> None:
        """`retry` is the one that asks the services for the worker."""
        self._inbox, self._worker, self._retry = inbox, worker, retry
        self.stopping = False
        self._look = asyncio.Lock()
        self._looked_at = float("-inf")
        self._ledger: dict[str, object] = {}

    @property
    def routes(self) -> list[Route]:
        """The routes to mount."""
        return [Route("/healthz", self.live), Route("/readyz", self.ready)]

    async def live(self, _request: Request) -> JSONResponse:
        """503 asks for a restart: the worker has died."""
        alive = not self._worker.dead
        return JSONResponse({"alive": alive}, 200 if alive else 503, headers=_NO_STORE)

    async def ready(self, _request: Request) -> JSONResponse:
        """503 asks to be sent nothing for now, or shows that nothing gets done."""
        ledger = await self._look_at_ledger()
        stuck = self._worker.stuck
        ready = ledger["writable"] is True and not stuck and not self.stopping
        heard = self._retry.heard
        failing = {outage.service: outage.since for outage in self._retry.failing}
        services = {
            service.value: {
                "last_contact": heard[service].isoformat() if service in heard else None,
                "failing_since": failing[service].isoformat() if service in failing else None,
            }
            for service in SERVICES
        }
        return JSONResponse(
            {
                "ready": ready,
                "stopping": self.stopping,
                "ledger": ledger,
                "worker": {
                    "alive": self._worker.started and not self._worker.dead,
                    "in_hand": self._worker.in_hand,
                    "stuck": stuck,
                },
                "services": services,
            },
            200 if ready else 503,
            headers=_NO_STORE,
        )

    async def _look_at_ledger(self) -> dict[str, object]:
        async with self._look:
            if time.monotonic() - self._looked_at >= REMEMBERED:
                self._ledger = await asyncio.to_thread(self._try_ledger)
                self._looked_at = time.monotonic()
            return self._ledger

    def _try_ledger(self) -> dict[str, object]:
        try:
            self._inbox.ping()
            pending = self._inbox.ledger.callbacks_pending()
        except ServiceError as error:
            return {"writable": False, "code": error.failure.code, "callbacks_pending": None}
        return {"writable": True, "code": None, "callbacks_pending": pending}
