"""Servers for the opener: one that answers what a test says, one that speaks raw bytes, and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reccli.adapters.opener import Opener
from reccli.core.errors import Failure, ServiceError
from reccli.sandbox.standin import Request, Response, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 10.0
SECRET = "0f" * 32
KEY = "calls/CA1/RE1.mp3"
SIGNED = f"?X-Amz-Credential=AKIA/20270101/s3&X-Amz-Signature={SECRET}"
PERMALINK = f"/rec/r/{KEY}?sig={SECRET}"
AUDIO = Response(206, b"I", "audio/mpeg", {"Content-Range": "bytes 0-0/9"})


class Site(StandIn):
    """Answers each path as `answers` says, and everything else with the audio."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Response] = {}

    def handle(self, request: Request) -> Response:
        return self.answers.get(request.path, AUDIO)

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.requests]


def to(location: str, status: int = 302) -> Response:
    return Response(status, b"moved", "text/html", {"Location": location})


def refusal(status: int, code: str, message: str = "", **more: str) -> Response:
    rest = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{rest}"
    return Response(status, f"{body}</Error>".encode(), "application/xml")


def failure_of(url: str, timeout: float = PATIENCE) -> Failure:
    """Open what must not open, and check what holds for every failure."""
    with pytest.raises(ServiceError) as caught:
        Opener(timeout).open(url)
    failure = caught.value.failure
    assert SECRET not in f"{failure}{caught.value}"
    assert failure.message.isprintable()
    assert "?" not in failure.message
    return failure


@contextmanager
def wire(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let `talk` answer the first request in raw bytes; the client must have hung up after it."""
    hung_up = threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.settimeout(20)
            client.recv(65536)
            with suppress(OSError):
                talk(client)
            with suppress(ConnectionError):
                while client.recv(65536):
                    pass
            hung_up.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join(30)
        assert hung_up.is_set()


def make_certificate(directory: Path) -> Path:
    """Make a self-signed certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = directory / "both.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
