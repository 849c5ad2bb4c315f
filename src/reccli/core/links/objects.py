"""Links to objects of ours: presigned ones, plain ones, through a CDN, and into former places."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from reccli.core.links.address import of_configuration
from reccli.core.links.link import FORMER, NEVER, object_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.core.links.address import Address
    from reccli.core.links.link import Link

DATED = "X-Amz-Date="
"""What stands in a presigned link before the day on which it was signed, as `YYYYMMDD`."""

_SIGV2 = frozenset({"awsaccesskeyid", "signature"})
"""What names a signature of version 2, which newer regions and objects under KMS refuse."""
_LONGEST = timedelta(days=7)  # S3 answers 400 to a SigV4 link for longer
_URI = "s3://"
_AWS_HOST = re.compile(
    r"s3(?:-fips)?(?:[.-](?:dualstack\.)?[a-z0-9-]+)?(?:\.dualstack)?\.amazonaws\.com(?:\.cn)?"
)
_AS_HOST = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Buckets that a host can be named after. Before 2018 us-east-1 gave others too, which have nothing
but a path; and no certificate covers a dotted one."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket at a store of one's own, or without an `endpoint_url` at AWS."""

    name: str
    region: str = ""
    endpoint_url: str = ""

    @property
    def domain(self) -> str:
        """AWS's domain for the region: in China's partition the same names are other buckets."""
        return f"amazonaws.com{'.cn' if self.region.startswith('cn-') else ''}"

    def url(self, key: str) -> str:
        """Write the plain URL of an object."""
        if self.endpoint_url:
            return f"{self.endpoint_url.rstrip('/')}/{self.name}/{quote(key)}"
        host = f"s3{f'.{self.region}' if self.region else ''}.{self.domain}"
        if not _AS_HOST.fullmatch(self.name):
            return f"https://{host}/{self.name}/{quote(key)}"
        return f"https://{self.name}.{host}/{quote(key)}"

    def key(self, url: Address) -> str | None:
        """Return the key that an address names in the bucket, by whichever of its hosts."""
        if url.scheme == "s3":
            key = url.path.removeprefix("/") if url.host == self.name else None
        else:
            key = self._at_store(url) if self.endpoint_url else self._at_aws(url)
        return None if key is None else unquote(key)

    def _at_store(self, url: Address) -> str | None:
        store = of_configuration(self.endpoint_url)
        if store and url.origin == (store.scheme, f"{self.name}.{store.host}", store.port):
            return url.path.removeprefix("/")
        return url.below(f"{self.endpoint_url.rstrip('/')}/{self.name}")

    def _at_aws(self, url: Address) -> str | None:
        if not url.plain or url.host.endswith(".cn") != self.domain.endswith(".cn"):
            return None
        path = url.path.removeprefix("/")
        if _AWS_HOST.fullmatch(url.host):
            first, _, key = path.partition("/")
            return key if first == self.name else None
        rest = url.host.removeprefix(f"{self.name}.")
        return path if rest != url.host and _AWS_HOST.fullmatch(rest) else None


@dataclass(frozen=True, slots=True)
class ObjectLinks:
    """Links into the bucket, or below `base_url`; `style` is that of the links that rows get.

    `former` are places that links of ours may still name: `s3://bucket[/prefix]` and base URLs. A
    former bucket is known by its hosts at AWS, in the same partition, and at the endpoint.
    """

    bucket: Bucket
    style: str = "presigned"
    base_url: str = ""
    former: tuple[str, ...] = ()

    def write(self, key: str) -> str:
        """Write the plain URL of an object: through the CDN if there is one."""
        if self.base_url:
            return f"{self.base_url.rstrip('/')}/{quote(key)}"
        return self.bucket.url(key)

    def read(self, url: Address) -> Link | None:
        """Read a link by its key in the bucket, its path below `base_url`, or a former place."""
        key, tail, left = self.bucket.key(url), url.below(self.base_url), self._left(url)
        tail = None if tail is None else unquote(tail)
        # The deeper place counts: a folder of our bucket can have been left, and ours may lie
        # inside of what was left.
        if left is not None and all(len(left) < len(own) for own in (key, tail) if own is not None):
            return object_link(left, FORMER, NEVER)
        old, new = url.query.keys() & _SIGV2, "x-amz-signature" in url.query
        # First, for one proxy may stand before the bucket and below `base_url`.
        if key is not None and (old or new):
            return object_link(key, "sigv2" if old else "presigned", _expiry(url.query))
        if tail is not None and self.style != "permalink":
            style = "sigv2" if "awsaccesskeyid" in old else "object"
            return object_link(tail, style, _expiry(url.query))
        if key is None:
            return None
        # An s3:// URI opens in no browser, and a bucket behind a CDN is most likely closed.
        style = "bare" if self.base_url or url.scheme == "s3" else "object"
        return object_link(key, style, _expiry(url.query))

    def outdated(self) -> Iterator[str]:
        """Yield what links hold that are not to stay: of another style, signature or place.

        With links of another style than presigned, each presigned one is due by its day, whoever
        signed it.
        """
        yield "AWSAccessKeyId="
        if self.style == "permalink":
            yield self.bucket.url("")
        if self.style == "presigned":
            if self.base_url:
                yield f"{self.base_url.rstrip('/')}/"
            yield "X-Amz-Security-Token="
        for place in self.former:
            if place.startswith(_URI):
                yield from self._texts(*_parts(place))
            else:
                yield f"{place.rstrip('/')}/"

    def _left(self, url: Address) -> str | None:
        """Return what an address names below the deepest of the former places."""
        found = (self._below(place, url) for place in self.former)
        return min((key for key in found if key is not None), key=len, default=None)

    def _below(self, place: str, url: Address) -> str | None:
        if not place.startswith(_URI):
            tail = url.below(place)
            return None if tail is None else unquote(tail)
        name, folder = _parts(place)
        for endpoint_url in ("", self.bucket.endpoint_url):
            key = replace(self.bucket, name=name, endpoint_url=endpoint_url).key(url)
            if key is not None and key.startswith(folder):
                return key.removeprefix(folder)
        return None

    def _texts(self, name: str, folder: str) -> Iterator[str]:
        """Yield what a link into a former bucket holds, and no link that is written now."""
        folder, aws, endpoint = quote(folder), self.bucket.domain, self.bucket.endpoint_url
        ours = name == self.bucket.name
        if ours and not endpoint:
            if folder:
                yield from (f"/{name}/{folder}", f"{aws}/{folder}")
            return
        yield f"//{name}.s3"
        if ours and not folder:
            yield f"{aws}/{name}/"
            return
        yield f"/{name}/{folder}"  # by path anywhere, and s3://
        if endpoint:
            yield f"//{name}.{urlsplit(endpoint).netloc}/{folder}"


def _parts(place: str) -> tuple[str, str]:
    """Split a former place into its bucket and its folder."""
    name, _, prefix = place.removeprefix(_URI).partition("/")
    return name, prefix and f"{prefix.rstrip('/')}/"


def _expiry(query: Mapping[str, str]) -> datetime | None:
    """Return when a signed URL ends: SigV4 (date + seconds) or SigV2/CloudFront (epoch).

    An end that cannot be read, or that S3 would refuse, is long ago: such a link is made anew.
    So is that of a link signed with temporary credentials, whose own end no URL says.
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
