"""Where the audio may come from, where credentials may go, and what is no audio."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reccli.adapters.twilio import TwilioAdapter
from reccli.adapters.twilio.media import CHUNK
from reccli.core.errors import FailureKind

from .samples import (
    ACCOUNT,
    PATH,
    RECORDING,
    REF,
    TOKENS,
    download,
    failure_of,
    resource,
    sid,
    verdict_of,
)
from .scripted import Reply, Server, always, as_json, to

AUDIO = Reply(200, b"RIFF", {"Content-Type": "audio/x-wav"})
OURS = f"{ACCOUNT}:{TOKENS['us1']}"
BAD_REDIRECT = (FailureKind.PERMANENT, "bad_redirect")


def test_media_is_streamed_as_it_comes(server: Server, adapter: TwilioAdapter) -> None:
    body = bytes(range(256)) * 4096
    server.answer = always(replace(AUDIO, body=body))
    with adapter.media(RECORDING, "wav") as media:
        chunks = list(media.chunks)
    assert (media.content_type, media.length) == ("audio/x-wav", len(body))
    assert b"".join(chunks) == body
    assert {len(chunk) for chunk in chunks} == {CHUNK}
    (seen,) = server.seen
    assert (seen.path, seen.query, seen.auth) == (f"{PATH}.wav", {}, OURS)
    assert seen.headers["accept-encoding"] == "identity"


def test_a_body_left_unread_does_no_harm(server: Server, adapter: TwilioAdapter) -> None:
    server.answer = lambda seen: (
        replace(AUDIO, body=bytes(1 << 22)) if seen.path.endswith("wav") else as_json(resource())
    )
    with adapter.media(RECORDING, "wav") as media:
        next(media.chunks)
        assert adapter.fetch(REF).sid == sid(1)  # by the same thread, meanwhile
    assert adapter.fetch(REF).sid == sid(1)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(404), FailureKind.NOT_YET, "media_not_ready"),
        (Reply(401), FailureKind.DENIED, "http_401"),
        (Reply(403), FailureKind.DENIED, "http_403"),
        (Reply(429), FailureKind.BUSY, "http_429"),
        (Reply(500), FailureKind.OUTAGE, "http_500"),
        (Reply(400), FailureKind.PERMANENT, "http_400"),
        (Reply(206, b"RI"), FailureKind.PERMANENT, "unexpected_status"),
        (Reply(204), FailureKind.PERMANENT, "unexpected_status"),
        (Reply(300), FailureKind.PERMANENT, "unexpected_status"),
        (Reply(200, b"x", {"Content-Encoding": "gzip"}), FailureKind.OUTAGE, "compressed"),
        (Reply(302), FailureKind.PERMANENT, "unexpected_status"),
        (Reply(500, b"x" * 100_000, cut=100), FailureKind.OUTAGE, "http_500"),
        (Reply(500, b"x" * 100_000), FailureKind.OUTAGE, "http_500"),
    ],
)
def test_only_a_200_is_media(
    server: Server, adapter: TwilioAdapter, reply: Reply, kind: FailureKind, code: str
) -> None:
    server.answer = always(reply)
    failure = failure_of(lambda: download(adapter))
    assert (failure.kind, failure.code) == (kind, code)
    assert f"GET {PATH}.wav" in failure.message


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        replace(AUDIO, body=bytes(1000), cut=300),
        replace(AUDIO, body=bytes(1000), cut=300, chunked=True),
        replace(AUDIO, body=bytes(1000), cut=0),
        to("http://nowhere:port/"),  # to httpx that is a broken answer
    ],
)
def test_a_body_that_breaks_off_is_an_outage(
    server: Server, adapter: TwilioAdapter, reply: Reply
) -> None:
    server.answer = always(reply)
    assert verdict_of(lambda: download(adapter)) == (FailureKind.OUTAGE, "connection")


def test_a_chunked_body_has_no_length(server: Server, adapter: TwilioAdapter) -> None:
    server.answer = always(replace(AUDIO, chunked=True))
    with adapter.media(RECORDING, "wav") as media:
        assert (media.length, b"".join(media.chunks)) == (None, b"RIFF")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_origin_gets_no_credentials(
    server: Server, other: Server, adapter: TwilioAdapter, status: int
) -> None:
    signed = f"{other.url}/signed?Signature=abc"
    server.answer = always(to(signed, status, Set_Cookie="session=secret; Path=/"))
    other.answer = always(AUDIO)
    assert download(adapter) == b"RIFF"
    (seen,) = other.seen
    assert seen.query == {"Signature": "abc"}
    assert seen.headers.keys().isdisjoint({"authorization", "cookie", "referer"})


def test_a_relative_redirect_stays_at_home_with_credentials(
    server: Server, adapter: TwilioAdapter
) -> None:
    server.answer = lambda seen: AUDIO if seen.path == "/moved" else to("/moved")
    assert download(adapter) == b"RIFF"
    assert [seen.auth for seen in server.seen] == [OURS, OURS]


def test_a_chain_that_left_gets_no_credentials_when_it_comes_back(
    server: Server, other: Server, adapter: TwilioAdapter
) -> None:
    server.answer = lambda seen: Reply(401) if seen.path == "/back" else to(f"{other.url}/away")
    other.answer = always(to(f"{server.url}/back"))
    assert verdict_of(lambda: download(adapter)) == (FailureKind.BUSY, "media_refused")
    assert [seen.auth for seen in server.seen] == [OURS, None]


def test_a_signed_address_that_ran_out_does_not_accuse_our_credentials(
    server: Server, other: Server, adapter: TwilioAdapter
) -> None:
    server.answer = always(to(f"{other.url}/path?Signature=abc"))
    other.answer = always(Reply(403, b"<Error>expired</Error>"))
    assert verdict_of(lambda: download(adapter)) == (FailureKind.BUSY, "media_refused")


def test_a_redirect_loop_ends(server: Server, adapter: TwilioAdapter) -> None:
    server.answer = always(to("/again"))
    assert verdict_of(lambda: download(adapter)) == (FailureKind.PERMANENT, "redirect_loop")
    assert len(server.seen) == 6
    assert len({seen.connection for seen in server.seen}) == 1


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://u:token=@127.0.0.1/x",
        "HTTP://u@[::1]/",
    ],
)
def test_a_redirect_to_nowhere_safe_is_not_followed(
    server: Server, adapter: TwilioAdapter, location: str
) -> None:
    server.answer = always(to(location))
    assert verdict_of(lambda: download(adapter)) == BAD_REDIRECT
    assert len(server.seen) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a key and a certificate for "localhost", in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def test_https_is_never_left_for_http(
    server: Server,
    other: Server,
    twilio_adapter: Callable[..., TwilioAdapter],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.secure(certificate)
    adapter = twilio_adapter(server)
    server.answer = always(to(f"{other.url}/x?Signature=abc"))
    assert verdict_of(lambda: download(adapter)) == BAD_REDIRECT
    assert other.seen == []
    server.answer = always(AUDIO)
    assert download(adapter) == b"RIFF"


def test_an_untrusted_certificate_is_told_as_that(
    server: Server, twilio_adapter: Callable[..., TwilioAdapter], certificate: Path
) -> None:
    server.secure(certificate)
    failure = failure_of(lambda: twilio_adapter(server).fetch(REF))
    assert (failure.kind, failure.code) == (FailureKind.CONFIG, "certificate_not_trusted")
    assert failure.message.startswith("the certificate of localhost is not trusted: ")
    assert server.seen == []
