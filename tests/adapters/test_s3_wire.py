"""What goes out over the wire, and what links look like."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reccli.adapters.s3 import S3Options
from reccli.core.errors import FailureKind
from tests.adapters.s3_fakes import (
    AUDIO,
    ENCRYPTION,
    KEY,
    SHA256,
    Reply,
    ScriptedS3,
    Seen,
    adapter,
    body,
    failure_in,
    provenance,
    recording,
)

PERMANENT = FailureKind.PERMANENT


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def echo(_: Seen) -> Reply:
    return Reply(200, headers={"x-amz-checksum-sha256": SHA256})


@pytest.mark.parametrize("secure", [False, True])
def test_one_put_carries_the_proof_and_the_condition(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch, *, secure: bool
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with (
        ScriptedS3(echo, tls if secure else None) as server,
        adapter(endpoint_url=server.endpoint_url, verifies_checksums=True) as s3,
    ):
        assert s3.put(KEY, body(), provenance()).proven
    (put,) = server.seen
    assert (put.method, put.path) == ("PUT", f"/rec/{KEY}")
    assert put.body == AUDIO
    assert put.headers["if-none-match"] == "*"
    assert put.headers["x-amz-checksum-sha256"] == SHA256
    assert put.headers["content-length"] == str(len(AUDIO))
    assert put.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert put.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    signed = re.findall(r"SignedHeaders=([^,]+)", put.headers["authorization"])[0].split(";")
    assert {"x-amz-checksum-sha256", "if-none-match", "x-amz-meta-sha256"} <= set(signed)
    assert not put.headers.keys() & {
        "content-encoding",
        "transfer-encoding",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-checksum-crc32",
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
    }


def test_an_unknown_certificate_is_told_before_anything_is_sent(tls: ssl.SSLContext) -> None:
    with ScriptedS3(echo, tls) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        expected = (FailureKind.CONFIG, "certificate_not_trusted")
        assert failure_in(lambda: s3.put(KEY, body(), provenance())) == expected
    assert server.seen == []


def test_only_configured_options_are_sent() -> None:
    options = S3Options("rec", storage_class="STANDARD", kms_key_id="k", secret_access_key="hidden")
    assert "hidden" not in repr(options)

    with (
        ScriptedS3(echo) as server,
        adapter(
            endpoint_url=server.endpoint_url,
            storage_class="STANDARD",
            server_side_encryption="aws:kms",
            kms_key_id="alias/recordings",
        ) as s3,
    ):
        s3.put(KEY, body(), provenance())
    headers = server.seen[0].headers
    assert headers["x-amz-storage-class"] == "STANDARD"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/recordings"


@pytest.mark.parametrize(
    "encryption",
    [
        {**ENCRYPTION, "encryption_cek": "x" * 2048},
        {**ENCRYPTION, "encryption_iv": "ü"},
        {**ENCRYPTION, "encryption_iv": "x\nx-evil: 1"},
        {**ENCRYPTION, "encryption_iv": " padded"},
    ],
)
def test_metadata_that_does_not_fit_is_refused_and_not_cut(encryption: dict[str, str]) -> None:
    about = recording(encryption=encryption)
    with ScriptedS3(lambda _: Reply()) as server, adapter(endpoint_url=server.endpoint_url) as s3:
        expected = (PERMANENT, "MetadataUnfit")
        assert failure_in(lambda: s3.put(KEY, body(), provenance(about=about))) == expected
    assert server.seen == []


@pytest.mark.parametrize(
    ("region", "bucket", "host"),
    [
        ("ap-southeast-2", "rec", "rec.s3.ap-southeast-2.amazonaws.com"),
        ("us-east-1", "rec", "rec.s3.us-east-1.amazonaws.com"),
        ("ap-southeast-2", "rec.with.dots", "s3.ap-southeast-2.amazonaws.com"),
    ],
)
def test_links_are_sigv4_for_the_regional_host(region: str, bucket: str, host: str) -> None:
    with adapter(region=region, bucket=bucket) as s3:
        url = urlsplit(s3.presign(KEY))
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc) == ("https", host)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["604800"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert len(query) == 6


def test_a_link_of_minutes() -> None:
    with adapter(link_ttl=timedelta(hours=1)) as s3:
        urls = s3.presign(KEY), s3.presign(KEY, life=timedelta(minutes=5), method="HEAD")
    lives = [parse_qs(urlsplit(url).query)["X-Amz-Expires"] for url in urls]
    assert lives == [["3600"], ["300"]]


def test_an_endpoint_from_the_environment_gets_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with adapter() as s3:
        assert urlsplit(s3.presign(KEY)).hostname == "rec.s3.ap-southeast-2.amazonaws.com"


@pytest.mark.parametrize("ttl", [timedelta(), timedelta(days=7, seconds=1)])
def test_a_link_that_no_store_would_honour_is_not_promised(ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="7 days"):
        S3Options("rec", link_ttl=ttl)
