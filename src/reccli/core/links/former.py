"""Places that links of ours may still name, although the recordings are kept elsewhere by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from reccli.core.links.objects import aws_key, in_china, store_key, uri_key
from reccli.core.links.urls import below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from reccli.core.links.urls import Origin

_URI = "s3://"


@dataclass(frozen=True, slots=True)
class Left:
    """Places as `s3://bucket[/prefix]` or base URLs, and where the recordings are kept now.

    A bucket is known by all of its hosts at AWS, in the partition of the region, and at the
    endpoint if there is one; a prefix is a folder.
    """

    places: tuple[str, ...]
    bucket: str
    endpoint_url: str
    region: str

    def key(self, url: SplitResult, where: Origin) -> str | None:
        """Tell what a URL names below the deepest of the places; None if it is below none."""
        found = (self._below(place, url, where) for place in self.places)
        return min((key for key in found if key is not None), key=len, default=None)

    def _below(self, place: str, url: SplitResult, where: Origin) -> str | None:
        if not place.startswith(_URI):
            tail = below(url, where, place)
            return None if tail is None else unquote(tail)
        bucket, prefix = _parts(place)
        keys = (unquote(key) for key in self._keys(bucket, url, where) if key is not None)
        return next((key.removeprefix(prefix) for key in keys if key.startswith(prefix)), None)

    def _keys(self, bucket: str, url: SplitResult, where: Origin) -> Iterator[str | None]:
        yield uri_key(url, bucket)
        yield aws_key(url, where, bucket, self.region)
        if self.endpoint_url:
            yield store_key(url, where, bucket, self.endpoint_url)

    def texts(self) -> Iterator[str]:
        """Tell what a link into one of the places holds, and no link that is written now."""
        for place in self.places:
            if place.startswith(_URI):
                yield from self._texts(*_parts(place))
            else:
                yield f"{place.rstrip('/')}/"

    def _texts(self, bucket: str, prefix: str) -> Iterator[str]:
        folder = quote(prefix)
        aws = "amazonaws.com.cn" if in_china(self.region) else "amazonaws.com"
        in_ours = bucket == self.bucket
        if in_ours and not self.endpoint_url:
            if folder:
                yield from (f"/{bucket}/{folder}", f"{aws}/{folder}")
            return
        yield f"//{bucket}.s3"
        if in_ours and not folder:
            yield f"{aws}/{bucket}/"
            return
        yield f"/{bucket}/{folder}"  # by path anywhere, and s3://
        if self.endpoint_url:
            yield f"//{bucket}.{urlsplit(self.endpoint_url).netloc}/{folder}"


def _parts(place: str) -> tuple[str, str]:
    bucket, _, prefix = place.removeprefix(_URI).partition("/")
    return bucket, prefix and f"{prefix.rstrip('/')}/"
