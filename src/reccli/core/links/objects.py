"""Addresses of objects: in a bucket at AWS or at another store."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from reccli.core.links.link import NEVER
from reccli.core.links.urls import PORTS, below, origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from reccli.core.links.urls import Origin

_AWS_HOST = re.compile(
    r"s3(?:-fips)?(?:[.-](?:dualstack\.)?[a-z0-9-]+)?(?:\.dualstack)?\.amazonaws\.com(?:\.cn)?"
)
_AS_HOST = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Buckets that a host can be named after. Before 2018 us-east-1 gave others too, which have nothing
but a path; and no certificate covers a dotted one."""
_LONGEST = timedelta(days=7)  # S3 answers 400 to a SigV4 link for longer


def bucket_url(bucket: str, key: str, region: str, endpoint_url: str) -> str:
    """Write the plain URL of an object in the bucket."""
    if endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{bucket}/{quote(key)}"
    host = f"s3{f'.{region}' if region else ''}.amazonaws.com{'.cn' if in_china(region) else ''}"
    if not _AS_HOST.fullmatch(bucket):
        return f"https://{host}/{bucket}/{quote(key)}"
    return f"https://{bucket}.{host}/{quote(key)}"


def in_china(region: str) -> bool:
    """Whether a region is of China's partition, where the same names are other buckets."""
    return region.startswith("cn-")


def uri_key(url: SplitResult, bucket: str) -> str | None:
    """Tell the quoted key that an `s3://` URI names in the bucket."""
    return url.path.removeprefix("/") if url.scheme == "s3" and url.netloc == bucket else None


def store_key(url: SplitResult, where: Origin, bucket: str, endpoint_url: str) -> str | None:
    """Tell the quoted key that a URL names in the bucket at a store of one's own."""
    tail = below(url, where, f"{endpoint_url.rstrip('/')}/{bucket}")
    if tail is not None:
        return tail
    scheme, endpoint, port = origin(urlsplit(endpoint_url))
    virtual = where == (scheme, f"{bucket}.{endpoint}", port)
    return url.path.removeprefix("/") if virtual else None


def aws_key(url: SplitResult, where: Origin, bucket: str, region: str) -> str | None:
    """Tell the quoted key that a URL names in the bucket at AWS, by whichever of its hosts."""
    host, path = url.hostname or "", url.path.removeprefix("/")
    if url.scheme not in PORTS or where[2] != PORTS[url.scheme]:
        return None
    if host.endswith(".cn") != in_china(region):
        return None
    if _AWS_HOST.fullmatch(host):
        first, _, key = path.partition("/")
        return key if first == bucket else None
    below_bucket = host.removeprefix(f"{bucket}.")
    return path if below_bucket != host and _AWS_HOST.fullmatch(below_bucket) else None


def expiry(query: Mapping[str, str]) -> datetime | None:
    """Read when a signed URL ends: SigV4 (date + seconds) or SigV2/CloudFront (epoch).

    An end that cannot be read, or that S3 would refuse, is long ago: such a link is made anew.
    So is that of a link signed with temporary credentials, whose own end no URL tells.
    """
    if "x-amz-security-token" in query:
        return NEVER
    try:
        if query.keys() & {"x-amz-expires", "x-amz-signature"}:
            start = datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            life = timedelta(seconds=int(query["x-amz-expires"]))
            return start + life if timedelta() < life <= _LONGEST else NEVER
        if query.keys() & {"expires", "signature"}:
            return datetime.fromtimestamp(int(query["expires"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return NEVER
    return None
