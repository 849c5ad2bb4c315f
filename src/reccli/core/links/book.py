"""The configuration that turns addresses into links and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote

from reccli.core.cells import bare, is_address
from reccli.core.links import objects, odd, permalink, urls
from reccli.core.links.former import Left
from reccli.core.links.link import FORMER, NEVER, ForeignLink, Word, named, recordings_in
from reccli.core.links.twilio import MAIN_REGION, twilio_link, twilio_url, without_host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reccli.core.links.link import Link, ObjectLink
    from reccli.core.links.odd import Oddity
    from reccli.core.links.urls import Origin
    from reccli.core.model import Ref

_SIGV2 = frozenset({"awsaccesskeyid", "signature"})
"""What names a signature of version 2, which newer regions and objects under KMS refuse."""


@dataclass(frozen=True, slots=True)
class LinkBook:
    """The configuration that reading and writing links needs; see `[links]`, `[s3]`, `[twilio]`.

    `apis` maps each configured region to the base URL of its API; `account_sid` is ours. `former`
    are the places that links of ours may still name: `s3://bucket[/prefix]` and base URLs.
    """

    account_sid: str
    apis: Mapping[str, str]
    bucket: str
    endpoint_url: str = ""
    s3_region: str = ""
    style: str = "presigned"
    base_url: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)  # a traceback may show locals
    refresh_before: timedelta = timedelta(hours=48)
    ttl: timedelta = timedelta(hours=168)
    former: tuple[str, ...] = ()

    def twilio_url(self, ref: Ref, extension: str) -> str:
        """Write the fallback link of a recording, from configuration and SIDs alone."""
        return twilio_url(self.apis[ref.region or MAIN_REGION], ref, extension)

    def permalink(self, key: str) -> str:
        """Write `<base_url>/r/<key>?sig=…`, signed by the first secret."""
        return permalink.permalink(self.base_url, key, self.secrets[0])

    def signed(self, key: str, sig: str) -> bool:
        """Whether one of the secrets has signed this key, told in the same time for all of them."""
        return permalink.signed(key, sig, self.secrets)

    def object_url(self, key: str) -> str:
        """Write the plain URL of an object: through the CDN if there is one."""
        if self.base_url:
            return f"{self.base_url.rstrip('/')}/{quote(key)}"
        return self._bucket_url(key)

    def _bucket_url(self, key: str) -> str:
        return objects.bucket_url(self.bucket, key, self.s3_region, self.endpoint_url)

    @property
    def life_of_links(self) -> timedelta:
        """How long after its signing a presigned link has to be renewed."""
        return self.ttl - self.refresh_before

    @property
    def outdated(self) -> tuple[str, ...]:
        """Texts that tell a link of ours that is not to stay, besides the day of a presigned one.

        Of another style or signature, or of a former place. With links of another style than
        presigned, each presigned one is due by its day, whoever signed it.
        """
        texts = ["AWSAccessKeyId="]
        base = self.base_url.rstrip("/")
        if self.style == "permalink":
            texts.append(self._bucket_url(""))
        elif base:
            texts.append(f"{base}/r/" if self.style == "object" else f"{base}/")
        if self.style == "presigned":
            texts.append("X-Amz-Security-Token=")
        return tuple(dict.fromkeys([*texts, *self._left.texts()]))

    def usable(self, link: ObjectLink, now: datetime) -> bool:
        """Whether the link is of the configured style and lives beyond the refresh margin."""
        if link.style != self.style:
            return False
        return link.expires is None or link.expires - now > self.refresh_before

    def oddity(self, text: str) -> Oddity | None:
        """Say why a cell that has to do with Twilio is no link; None if it is one, or has not."""
        return odd.oddity(text, self.account_sid, self.apis)

    def parse(self, text: str) -> Link | None:
        """Read a cell: None when it is empty, never an exception."""
        text = bare(text)
        if not text:
            return None
        if link := without_host(text, self.account_sid):
            return link
        if (found := urls.read(text)) is None:
            return ForeignLink() if is_address(text) or recordings_in(text) else Word()
        url, where = found
        link = twilio_link(url, where, self.account_sid, self.apis)
        return link or self._object(url, where) or ForeignLink()

    def _object(self, url: SplitResult, where: Origin) -> ObjectLink | None:
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = {name.lower(): value for name, value in pairs}
        key = self._bucket_key(url, where)
        tail = urls.below(url, where, self.base_url)
        ours = [unquote(own) for own in (key, tail) if own is not None]
        left = self._left.key(url, where)
        # The deeper place counts: a folder of our bucket can have been left, and ours may lie
        # inside of what was left.
        if left is not None and all(len(left) < len(own) for own in ours):
            return self._moved_permalink(url, query) or named(left, FORMER, NEVER)
        return self._own(url, query, key, tail)

    def _own(
        self, url: SplitResult, query: Mapping[str, str], key: str | None, tail: str | None
    ) -> ObjectLink | None:
        """Read a link by its key in the bucket, its path below `base_url`, or our signature."""
        # First, for one proxy may stand before the bucket and below `base_url`.
        if key is not None and query.keys() & {"x-amz-signature", *_SIGV2}:
            style = "sigv2" if query.keys() & _SIGV2 else "presigned"
            return named(unquote(key), style, objects.expiry(query))
        if tail is not None:
            if tail.startswith("r/") and (self.style == "permalink" or "sig" in query):
                return self._permalink(tail, query)
            if self.style != "permalink":
                style = "sigv2" if "awsaccesskeyid" in query else "object"
                return named(unquote(tail), style, objects.expiry(query))
        if moved := self._moved_permalink(url, query):
            return moved
        if key is None:
            return None
        # An s3:// URI opens in no browser, and a bucket behind a CDN is most likely closed.
        style = "bare" if self.base_url or url.scheme == "s3" else "object"
        return named(unquote(key), style, objects.expiry(query))

    @property
    def _left(self) -> Left:
        return Left(self.former, self.bucket, self.endpoint_url, self.s3_region)

    def _permalink(self, tail: str, query: Mapping[str, str]) -> ObjectLink | None:
        key = unquote(tail.removeprefix("r/"))
        valid = self.signed(key, query.get("sig", ""))
        return named(key, "permalink", None if valid else NEVER)

    def _moved_permalink(self, url: SplitResult, query: Mapping[str, str]) -> ObjectLink | None:
        """Know our own signature under any address.

        The link works no longer, or not for long, so it counts as dead and is written anew.
        """
        if "sig" not in query:
            return None
        key = permalink.moved_key(url.path, query["sig"], self.secrets)
        return None if key is None else named(key, "permalink", NEVER)

    def _bucket_key(self, url: SplitResult, where: Origin) -> str | None:
        if url.scheme == "s3":
            return objects.uri_key(url, self.bucket)
        if self.endpoint_url:
            return objects.store_key(url, where, self.bucket, self.endpoint_url)
        return objects.aws_key(url, where, self.bucket, self.s3_region)
