"""A proxy in front of SeaweedFS that shows what passes, can be cut, and plays other stores.

SeaweedFS keeps no log of requests, has no archive, and keeps its promises; stores in the wild
don't all. Heads pass to the letter, above all Host, which is signed. Bodies are held whole.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from reccli.sandbox.faults import Fault, FaultKind, Faults
from reccli.sandbox.s3_messages import (
    BODILESS,
    Head,
    S3Answer,
    S3Request,
    Upstream,
    read_body,
    read_head,
)
from reccli.sandbox.s3_sessions import expired, has_session, sign_anew
from reccli.sandbox.s3_traits import Archived, S3Traits
from reccli.sandbox.seaweed import SeaweedFS
from reccli.sandbox.wire import Connection, Listener, framed

__all__ = ["Archived", "S3Proxy", "S3Traits"]

CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"


class ProxyConnection(Connection):
    """One connection of a client, with one of its own to the store."""

    def handle(self) -> None:
        """Pass requests on, one after the other."""
        proxy = self.server.owner
        if not isinstance(proxy, S3Proxy) or proxy.cut:
            return
        upstream = Upstream()
        try:
            while head := read_head(self.rfile):
                if not self._pass(proxy, S3Request(head), upstream):
                    return
        finally:
            upstream.close()

    def _pass(self, proxy: "S3Proxy", request: S3Request, upstream: Upstream) -> bool:
        proxy.requests.append((request.method, request.target))
        if proxy.cut:
            return False
        if request.head.get("expect").lower() == "100-continue":
            self.send_raw(CONTINUE, b"")
        request.body = read_body(self.rfile, request.head)
        fault = proxy.faults.take(request.method, request.target)
        if not proxy.hold(fault):
            return False
        answer = proxy.answer(request, fault, upstream)
        if fault and fault.kind is FaultKind.LOST_RESPONSE:
            return False
        if request.method == "HEAD" or answer.status in BODILESS:
            self.send_raw(str(answer.head), b"")
            return True
        framing, body, lives_on = framed(answer.body, fault)
        for name in ("content-length", "transfer-encoding", "connection"):
            answer.head.drop(name)
        answer.head.put(*framing.split(": ", 1))
        if fault and fault.kind is FaultKind.DRIP:
            self.drip(str(answer.head), body, fault)
        else:
            self.send_raw(str(answer.head), body)
        return lives_on


class S3Proxy(Listener):
    """Passes HTTP/1.1 on to STORE, for `with`. All its attributes may be set while it runs."""

    connection = ProxyConnection

    def __init__(self, store: SeaweedFS) -> None:
        super().__init__()
        self.store = store
        self.requests: list[tuple[str, str]] = []
        """Method, and path with query, in order of arrival."""
        self.reset()

    def reset(self) -> None:
        """Pass everything on as it is, and forget what has passed."""
        self.faults = Faults()
        """REFUSE, STATUS and STALL act before S3 has seen the request, the others behind it."""
        self.traits = S3Traits()
        self.cut = False
        """Whether every connection is closed at once, as when S3 is down."""
        self.on_request: Callable[[str, str], None] | None = None
        """Called with method and path just before a request is passed on."""
        self.requests.clear()

    def answer(self, request: S3Request, fault: Fault | None, upstream: Upstream) -> S3Answer:
        """Find an answer, in most cases at the store."""
        if fault and fault.kind is FaultKind.STATUS:
            head = Head(f"HTTP/1.1 {fault.status} Fault", list(fault.headers.items()))
            head.put("Content-Type", fault.content_type)
            head.put("Content-Length", str(len(fault.body)))
            return S3Answer(head, b"" if request.method == "HEAD" else fault.body)
        if self.on_request:
            self.on_request(request.method, request.target)
        answer = self.traits.refused(request)
        if answer is None and has_session(request):
            answer = expired(request)
            if answer is None:
                sign_anew(request, self.store)
        if answer is None:
            target = urlsplit(self.store.endpoint_url)
            answer = upstream.ask((target.hostname or "", target.port or 80), request)
        return self.traits.apply(request, answer)

    def hold(self, fault: Fault | None) -> bool:
        """Wait as FAULT says; return whether the request may pass."""
        if fault and fault.kind is FaultKind.STALL and self._stopping.wait(fault.delay):
            return False
        return not (fault and fault.kind is FaultKind.REFUSE)
