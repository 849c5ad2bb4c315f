"""Makes the S3 clients: what goes over the wire, and to where, is decided here.

Each setting differs from boto3's default for a reason, which stands beside it; the tests look at
the bytes that are sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from reccli import network
from reccli.adapters.s3.s3_errors import failure
from reccli.adapters.s3.s3_timeouts import PatientSession
from reccli.core.errors import FailureKind, ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_LINK_TTL = timedelta(days=7)
"""SigV4 allows no more; botocore would sign it all the same and S3 answer 400."""


@dataclass(frozen=True, slots=True)
class S3Options:
    """`[s3]` of the configuration, and what else the client needs.

    Empty strings leave a choice to boto3's own chain (credentials, region) or to the bucket
    (storage class, encryption). `connections` is how many threads call at once; the timeouts
    are in seconds, and for one socket operation, not for a whole request. `verifies_checksums`
    and `accept_archive_class` are an operator's word; the signing key presigns, and does no more.
    """

    bucket: str
    region: str = ""
    endpoint_url: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    storage_class: str = ""
    server_side_encryption: str = ""
    kms_key_id: str = ""
    link_ttl: timedelta = MAX_LINK_TTL
    connections: int = 32
    connect_timeout: float = 5
    read_timeout: float = 30
    verifies_checksums: bool = False
    accept_archive_class: bool = False
    signing_access_key_id: str = ""
    signing_secret_access_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse a life of links that no store would honour."""
        if not timedelta(seconds=1) <= self.link_ttl <= MAX_LINK_TTL:
            raise ValueError(f"link_ttl must be from 1 second to 7 days, not {self.link_ttl}")

    @property
    def believed(self) -> bool:
        """Whether a checksum that the store reports proves the bytes.

        Some stores repeat what they were sent: moto, ministack and rclone took a wrong SHA-256,
        and the first two gave it back. AWS checks it, and refuses with BadDigest.
        """
        if not self.endpoint_url or self.verifies_checksums:
            return True
        host = (urlsplit(self.endpoint_url).hostname or "").rstrip(".")
        return f".{host}".endswith((".amazonaws.com", ".amazonaws.com.cn"))


@dataclass(frozen=True, slots=True)
class S3Clients:
    """One client for the requests, one that signs links, and where the latter's key is from.

    Both are the same unless there is a signing key.
    """

    client: S3Client
    signer: S3Client
    signing: boto3.Session

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.signer.close()


def connect(options: S3Options) -> S3Clients:
    """Make clients that any number of threads may share; nothing is sent yet.

    Raises the SDK's errors, ValueError for an endpoint that is no URL, and a CONFIG `ServiceError`
    for half a signing key.
    """
    session, client = _client(options, options.access_key_id, options.secret_access_key)
    key = options.signing_access_key_id, options.signing_secret_access_key
    if not any(key):
        return S3Clients(client, client, session)
    if not all(key):
        message = "s3.signing_access_key_id and s3.signing_secret_access_key need each other"
        raise ServiceError(failure(FailureKind.CONFIG, "HalfSigningKey", message, "set both"))
    signing, signer = _client(options, *key)
    return S3Clients(client, signer, signing)


def _client(options: S3Options, key_id: str, secret: str) -> tuple[boto3.Session, S3Client]:
    """Make a client from a session of its own.

    boto3's default session is not safe to make clients from in threads (boto/boto3#1592).
    """
    session = boto3.Session(
        aws_access_key_id=key_id or None,
        aws_secret_access_key=secret or None,
        region_name=options.region or None,
    )
    region = session.region_name or "us-east-1"
    client: S3Client = session.client(
        "s3",
        endpoint_url=options.endpoint_url or None,
        verify=network.bundle_for_s3(),
        config=_config(options, f"https://{options.bucket}.s3.{region}.amazonaws.com"),
    )
    client.meta.events.register("before-call.s3", _stay_in_region)
    endpoint = client._endpoint  # type: ignore[attr-defined]  # noqa: SLF001 - no other way in
    endpoint.http_session = PatientSession(endpoint.http_session)
    return session, client


def _config(options: S3Options, address: str) -> Config:
    return Config(  # type: ignore[call-arg]  # the stubs lack ignore_configured_endpoint_urls
        # The same proxy as every other client; botocore's own reading of NO_PROXY differs.
        proxies=dict(network.proxies_for(options.endpoint_url or address)),
        # Without it presigned links are SigV2 in us-east-1, eu-west-1 and on custom endpoints.
        signature_version="s3v4",
        # flow.retry is the one policy, and it looks at S3 before it sends anything again.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # The default of 10 would close and reopen TLS connections all the time.
        max_pool_connections=options.connections,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        # Our own SHA-256 goes out and comes back; a CRC as well, in an aws-chunked body, proves
        # less and is what R2, B2, GCS and older MinIO reject.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Links must parse, and credentials stay where the configuration says: no AWS_ENDPOINT_URL.
        ignore_configured_endpoint_urls=True,
        s3={
            # "auto" sends requests to the region but signs links for the global host, which
            # newer regions refuse (boto/boto3#4768). Dotted buckets get a path all the same.
            "addressing_style": "path" if options.endpoint_url else "virtual",
            "us_east_1_regional_endpoint": "regional",
            # The signed x-amz-checksum-sha256 header binds the body to the signature already;
            # signing the body too would hash it a second time.
            "payload_signing_enabled": False,
        },
    )


def _stay_in_region(context: dict[str, Any], **_: object) -> None:
    """Stop botocore from following a bucket to another region: links would be signed for ours.

    It takes a request that was redirected once for settled (S3RegionRedirectorv2). The answer
    then reaches us as a failure which names the bucket's region.
    """
    context.setdefault("s3_redirect", {})["redirected"] = True
