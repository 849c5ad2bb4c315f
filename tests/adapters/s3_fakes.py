"""A scripted server, for answers that a real store gives too rarely; and a recording to store."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import pytest

from reccli.adapters.s3 import S3Adapter, S3Options
from reccli.core.errors import FailureKind, ServiceError
from reccli.flow.ports import Provenance
from tests.core.samples import make_recording

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from reccli.core.model import Recording

SID = "RE" + "a1" * 16
OTHER_SID = "RE" + "b2" * 16
AUDIO = b"ID3" + bytes(range(256)) * 64
KEY = f"call-recordings/CA1/{SID}.mp3"
SHA256 = base64.b64encode(hashlib.sha256(AUDIO).digest()).decode()
LAST_MODIFIED = {"Last-Modified": "Sun, 22 Nov 2026 09:00:00 GMT"}
ENCRYPTION = {
    "encryption_public_key_sid": "CR" + "d4" * 16,
    "encryption_cek": "OV4h6zrsxMIW7h0Zfqwfn6TI2GCNl54KALlg8wn8YB8KYZhXt6HlgvBWAmQTlfYVeLWydMiC"
    * 4,
    "encryption_iv": "8I2hhNIYNTrwxfHk",
}


def recording(sid: str = SID, **facts: Any) -> Recording:  # noqa: ANN401
    """Make a recording with all that the S3 adapter notes beside its audio."""
    noted = {
        "account_sid": "AC" + "c3" * 16,
        "call_sid": "CA" + "e5" * 16,
        "duration": 12,
        "channels": 2,
        "created": datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        "source": "OutboundAPI",
    }
    return make_recording(**{"sid": sid, **noted, **facts})


def provenance(data: bytes = AUDIO, about: Recording | None = None) -> Provenance:
    digest = hashlib.sha256(data).hexdigest()
    return Provenance(about or recording(), len(data), digest, "audio/mpeg")


def utc() -> datetime:
    return datetime.now(UTC)


@contextmanager
def adapter(
    now: Callable[[], datetime] = utc,
    **options: Any,  # noqa: ANN401
) -> Iterator[S3Adapter]:
    made = S3Adapter(
        S3Options(
            **{
                "bucket": "rec",
                "region": "ap-southeast-2",
                "access_key_id": "AKIAIOSFODNN7EXAMPLE",
                "secret_access_key": "made-up",
                "connect_timeout": 2,
                "read_timeout": 10,
                **options,
            }
        ),
        now,
    )
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What to answer; `cut` closes the connection in the middle of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    cut: bool = False


def refusal(status: int, code: str, message: str = "", **headers: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml", **headers})


class ScriptedS3:
    """Answers each request by `script`, and keeps what it has seen."""

    def __init__(self, script: Callable[[Seen], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.date: str | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                headers = {name.lower(): text for name, text in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                request = Seen(self.command, self.path, headers, body)
                outer.seen.append(request)
                reply = outer.script(request)
                time.sleep(reply.delay)
                self.send_response_only(reply.status)
                date = self.date_time_string() if outer.date is None else outer.date
                if date:
                    self.send_header("Date", date)
                for name, text in reply.headers.items():
                    if text:
                        self.send_header(name, text)
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(
                        reply.body[: len(reply.body) // 2] if reply.cut else reply.body
                    )
                if reply.cut:
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.endpoint_url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def body(data: bytes = AUDIO) -> io.BytesIO:
    stream = io.BytesIO(data)
    stream.seek(len(data) // 2)  # the adapter has to rewind
    return stream


def head_of(data: bytes = AUDIO, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer as a store that knows the recording and reports no checksum."""
    about = {
        "x-amz-meta-Recording-Sid": SID,
        "x-amz-meta-Sha256": hashlib.sha256(AUDIO).hexdigest(),
        "x-amz-meta-Size": str(len(AUDIO)),
    }
    return Reply(200, data, {**LAST_MODIFIED, **about, **(headers or {})})


def failure_in(call: Callable[[], object]) -> tuple[FailureKind, str]:
    with pytest.raises(ServiceError) as caught:
        call()
    return kind_of(caught)


def kind_of(caught: pytest.ExceptionInfo[ServiceError]) -> tuple[FailureKind, str]:
    return caught.value.failure.kind, caught.value.failure.code
