"""The common half of the stand-ins: a small HTTP service on this machine that can misbehave.

It speaks over real sockets, because what breaks reconciliation lives there: an answer lost after
the effect, half a body under a full Content-Length, a connection closed at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from reccli.sandbox.faults import Fault, FaultKind, Faults
from reccli.sandbox.messages import Request, Response, fingerprint, rest_exception
from reccli.sandbox.wire import Connection, Listener

__all__ = [
    "Fault",
    "FaultKind",
    "Faults",
    "Request",
    "Response",
    "StandIn",
    "fingerprint",
    "rest_exception",
    "stopped",
]

LOGIN_PAGE = b"<!DOCTYPE html><html><title>Sign in</title><body>Please sign in.</body></html>"
CANNED = {
    FaultKind.EMPTY: Response(200),
    FaultKind.HTML: Response(200, LOGIN_PAGE, "text/html"),
    FaultKind.XML: rest_exception(200, 20404, "The requested resource was not found"),
}


def utc_now() -> datetime:
    """Return the time, for services that are given no clock."""
    return datetime.now(UTC)


class StandIn(Listener):
    """A service on 127.0.0.1. Subclasses answer in `handle`; `admit` may refuse on arrival.

    `latency` (seconds before each answer), `down` (every connection is closed unanswered),
    `faults` and `on_request` may be changed while it runs.
    """

    def __init__(self, *, port: int = 0, latency: float = 0.0) -> None:
        super().__init__(port)
        self.latency = latency
        self.down = False
        self.faults = Faults()
        self.on_request: Callable[[Request], None] | None = None
        """Called just before a request is carried out: the world may change under a client."""
        self.active = 0
        self.lock = threading.RLock()
        self._log: dict[int, Request] = {}
        self._arrivals = 0

    def handle(self, request: Request) -> Response:
        """Carry the request out."""
        raise NotImplementedError

    def admit(self, _request: Request, /) -> Response | None:
        """Refuse on arrival, before any latency: limits count arrivals."""
        return None

    @property
    def requests(self) -> list[Request]:
        """What arrived so far, in order of arrival."""
        with self.lock:
            return list(self._log.values())

    def clear_requests(self) -> None:
        """Forget what arrived so far."""
        with self.lock:
            self._log.clear()

    def serve(self, request: Request, connection: Connection) -> bool:
        """Answer one request on its connection; return whether the connection lives on."""
        with self.lock:
            number = self._arrivals = self._arrivals + 1
            self._log[number] = request
            self.active += 1
        try:
            fault = None if self.down else self.faults.take(request.method, request.path)
            if self.down or (fault and fault.kind is FaultKind.REFUSE):
                return False
            if fault and fault.kind is FaultKind.STALL and self._stopping.wait(fault.delay):
                return False
            response = self._answer(request, fault)
            with self.lock:
                if number in self._log:
                    self._log[number] = replace(request, status=response.status)
        finally:
            with self.lock:
                self.active -= 1
        return connection.send(request.method, response, fault)

    def _answer(self, request: Request, fault: Fault | None) -> Response:
        response: Response | None = None
        if fault and fault.kind is FaultKind.STATUS:
            response = Response(fault.status, fault.body, fault.content_type, fault.headers)
        elif fault:
            response = CANNED.get(fault.kind)
        response = response or self.admit(request)
        if self.latency:
            self._stopping.wait(self.latency)
        if response:
            return response
        if self.on_request:
            self.on_request(request)
        return self.handle(request)


@contextmanager
def stopped(service: StandIn) -> Iterator[None]:
    """Shut a stand-in for a while: connections are truly refused, then the same port is back."""
    service.stop()
    try:
        yield
    finally:
        service.start()
