"""Ways to the sandbox as offices have them: TLS of a private authority, and a proxy in between."""

from __future__ import annotations

import base64
import datetime as dt
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOSTS = ("api.twilio.test", "airtable.test", "s3.test")
_DAY = dt.timedelta(days=1)


def _key_and_name(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
    return ec.generate_private_key(ec.SECP256R1()), x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def certify(folder: Path, *, days: int = 1) -> tuple[Path, Path]:
    """Make a private authority and a certificate of the hosts: both files; `days` may be gone."""
    now = dt.datetime.now(dt.UTC)
    (root, issuer), (key, subject) = _key_and_name("private authority"), _key_and_name(HOSTS[0])

    def begin(name: x509.Name, of: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * _DAY)
        )

    authority = (
        begin(issuer, root)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in (*HOSTS, "localhost")])
    leaf = (
        begin(subject, key)
        .not_valid_after(now + days * _DAY)
        .add_extension(names, critical=False)
        .sign(root, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    trusted, own = folder / "authority.pem", folder / "hosts.pem"
    trusted.write_bytes(authority.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own.write_bytes(leaf.public_bytes(pem) + private)
    return trusted, own


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on a port of this machine, each in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                one, _ = server.accept()
                threading.Thread(target=serve_one, args=(one,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either says until one has done."""

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=pass_on, args=(other, one), daemon=True)
    back.start()
    pass_on(one, other)
    back.join()


@contextmanager
def tls(certificate: Path, port: int) -> Iterator[int]:
    """Speak TLS in front of a service of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", port)) as outside,
        ):
            _join(inside, outside)

    with listening(serve) as front:
        yield front


@dataclass
class Proxy:
    """A proxy for CONNECT that alone knows where the hosts are; `login` is "user:password"."""

    ways: dict[str, int]
    login: str | None = None
    status: int | None = None
    """Answer every request with that."""
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.login + '@' if self.login else ''}127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        method, target, _ = head.decode().split(" ", 2)
        self.asked.append(f"{method} {target}")
        basic = base64.b64encode((self.login or "").encode()).decode()
        allowed = self.login is None or f"Basic {basic}" in head.decode()
        status = self.status or (200 if allowed else 407)
        connection.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())
        if status == 200:
            port = self.ways[target.partition(":")[0]]
            with socket.create_connection(("127.0.0.1", port)) as outside:
                _join(connection, outside)


@contextmanager
def office(folder: Path, services: tuple[int, int, int], *, days: int = 1) -> Iterator[Proxy]:
    """Open the three services behind TLS and a proxy; the authority is in `folder`."""
    _, own = certify(folder, days=days)
    with ExitStack() as stack:
        fronts = [stack.enter_context(tls(own, port)) for port in services]
        proxy = Proxy(dict(zip(HOSTS, fronts, strict=True)))
        proxy.port = stack.enter_context(listening(proxy.serve))
        yield proxy
