"""Reads every form of link that a row or a callback may hold, and writes ours.

A link found in data is data: it is parsed down to SIDs or a key and never requested as it
stands. The grammar of Twilio's hosts is that of its API domain guide; hosts such as
`api.ie1.twilio.com` were always served from US1 and died on 2026-04-28, so they are read as US1.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.core.model import Ref

MAIN_REGION = "us1"
FORMER = "former"
"""The style of a link into a place that links of ours named formerly: `links.former`."""

_EDGES = (
    "ashburn|dublin|frankfurt|sao-paulo|singapore|sydney|tokyo|umatilla"
    "|ashburn-ix|frankfurt-ix|london-ix|san-jose-ix|singapore-ix"
)
_TWILIO_HOST = re.compile(
    rf"api(?:\.(?:us1|(?:{_EDGES})\.(?P<region>us1|ie1|au1)|ie1|au1|br1|de1|jp1|sg1|us2))?"
    r"\.twilio\.com"
)
_TWILIO_PATH = re.compile(
    r"2010-04-01/Accounts/(?P<account>AC[0-9a-fA-F]{32})"
    r"/(?:Calls/(?P<call>CA[0-9a-fA-F]{32})/|Conferences/CF[0-9a-fA-F]{32}/)?"
    r"Recordings/(?P<sid>RE[0-9a-fA-F]{32})(?:\.(?:mp3|wav|json))?"
)
_RECORDING_SID = re.compile(r"(?<![0-9a-zA-Z])RE[0-9a-fA-F]{32}(?![0-9a-zA-Z])")
_AWS_VIRTUAL = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3(?:[.-](?:dualstack\.)?[a-z0-9-]+|-accelerate)?"
    r"(?:\.dualstack)?\.amazonaws\.com(?:\.cn)?"
)
_AWS_PATH = re.compile(r"s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")
_NEVER = datetime.min.replace(tzinfo=UTC)
_LONGEST = timedelta(days=7)  # S3 answers 400 to a SigV4 link for longer
_PORTS = {"http": 80, "https": 443}
_MOST_PLACES = 4
"""Where a key may begin below an unknown address: whoever fills a cell must not set the cost."""
_Origin = tuple[str, str | None, int | None]


@dataclass(frozen=True, slots=True)
class TwilioLink:
    """A link to a recording at Twilio, in the configured account and a configured region."""

    sid: str
    account_sid: str
    region: str
    call_sid: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """A link to an object in our bucket whose key names exactly one recording.

    `expires` is None where the link does not expire, and long ago where it cannot work.
    """

    sid: str
    key: str
    style: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class ForeignLink:
    """Anything else: somebody else's, so it is kept as it is."""


Link = TwilioLink | ObjectLink | ForeignLink


@dataclass(frozen=True, slots=True)
class LinkBook:
    """The configuration that reading and writing links needs; see `[links]`, `[s3]`, `[twilio]`.

    `apis` maps each configured region to the base URL of its API; `account_sid` is ours.
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

    def twilio_url(self, ref: Ref, extension: str) -> str:
        """Write the fallback link of a recording, from configuration and SIDs alone."""
        return twilio_url(self.apis[ref.region or MAIN_REGION], ref, extension)

    def permalink(self, key: str) -> str:
        """Write `<base_url>/r/<key>?sig=…`, signed by the first secret."""
        return f"{self.base_url.rstrip('/')}/r/{quote(key)}?sig={signature(key, self.secrets[0])}"

    def signed(self, key: str, sig: str) -> bool:
        """Whether one of the secrets has signed this key, told in the same time for all of them."""
        given = _bytes(sig)
        each = (hmac.compare_digest(_bytes(signature(key, s)), given) for s in self.secrets)
        return sum(each) > 0

    def object_url(self, key: str) -> str:
        """Write the plain URL of an object: through the CDN if there is one."""
        if self.base_url:
            return f"{self.base_url.rstrip('/')}/{quote(key)}"
        return self._bucket_url(key)

    def _bucket_url(self, key: str) -> str:
        if self.endpoint_url:
            return f"{self.endpoint_url.rstrip('/')}/{self.bucket}/{quote(key)}"
        region = f".{self.s3_region}" if self.s3_region else ""
        host = f"s3{region}.amazonaws.com{'.cn' if self._in_china else ''}"
        if "." in self.bucket:  # no certificate covers a dotted bucket as a host name
            return f"https://{host}/{self.bucket}/{quote(key)}"
        return f"https://{self.bucket}.{host}/{quote(key)}"

    @property
    def life_of_links(self) -> timedelta:
        """How long after its signing a presigned link has to be renewed."""
        return self.ttl - self.refresh_before

    @property
    def outdated(self) -> tuple[str, ...]:
        """Texts that tell a link of ours of another style, besides the day of a presigned one."""
        if self.style == "permalink":
            return (self._bucket_url(""),)
        if not self.base_url:
            return ()
        base = self.base_url.rstrip("/")
        return (f"{base}/r/",) if self.style == "object" else (f"{base}/",)

    def usable(self, link: ObjectLink, now: datetime) -> bool:
        """Whether the link is of the configured style and lives beyond the refresh margin."""
        if link.style != self.style:
            return False
        return link.expires is None or link.expires - now > self.refresh_before

    @property
    def _in_china(self) -> bool:
        return self.s3_region.startswith("cn-")

    def mentions_twilio(self, text: str) -> bool:
        """Whether a cell has to do with Twilio, even if it is no link that can be used."""
        hosts = (urlsplit(api).netloc for api in self.apis.values())
        return any(host in text.lower() for host in ("twilio.com", *hosts))

    def parse(self, text: str) -> Link | None:
        """Read a cell: None when it is empty, never an exception."""
        text = text.strip()
        if not text:
            return None
        if _UNSAFE.search(text):
            return ForeignLink()
        try:
            url = urlsplit(text)
            origin = _origin(url)
        except ValueError:
            return ForeignLink()
        if "@" in url.netloc or not url.hostname or url.scheme not in {*_PORTS, "s3"}:
            return ForeignLink()
        return self._twilio(url, origin) or self._object(url, origin) or ForeignLink()

    def _twilio(self, url: SplitResult, origin: _Origin) -> TwilioLink | None:
        for region, path in self._twilio_places(url, origin):
            match = _TWILIO_PATH.fullmatch(path)
            if match and match["account"] == self.account_sid and region in self.apis:
                return TwilioLink(match["sid"], self.account_sid, region, match["call"])
        return None

    def _twilio_places(self, url: SplitResult, origin: _Origin) -> Iterator[tuple[str, str]]:
        """Tell in which regions a URL may be, each with the path below that region's API."""
        for region, api in self.apis.items():
            if (path := _below(url, origin, api)) is not None:
                yield region, path
        host = _TWILIO_HOST.fullmatch(url.hostname or "")
        if host and url.scheme in _PORTS and origin[2] == _PORTS[url.scheme]:
            yield host["region"] or MAIN_REGION, url.path.removeprefix("/")

    def _object(self, url: SplitResult, origin: _Origin) -> ObjectLink | None:
        query = {name.lower(): value for name, value in parse_qsl(url.query)}
        key = self._bucket_key(url, origin)
        # First, for one proxy may stand before the bucket and below `base_url`.
        if key is not None and query.keys() & {"x-amz-signature", "signature"}:
            return _named(unquote(key), "presigned", _expiry(query))
        if (tail := _below(url, origin, self.base_url)) is not None:
            if tail.startswith("r/") and (self.style == "permalink" or "sig" in query):
                return self._permalink(tail, query)
            if self.style != "permalink":
                return _named(unquote(tail), "object", _expiry(query))
        if moved := self._moved_permalink(url, query):
            return moved
        if key is None:
            return None
        # An s3:// URI opens in no browser, and a bucket behind a CDN is most likely closed.
        style = "bare" if self.base_url or url.scheme == "s3" else "object"
        return _named(unquote(key), style, _expiry(query))

    def _permalink(self, tail: str, query: Mapping[str, str]) -> ObjectLink | None:
        key = unquote(tail.removeprefix("r/"))
        valid = self.signed(key, query.get("sig", ""))
        return _named(key, "permalink", None if valid else _NEVER)

    def _moved_permalink(self, url: SplitResult, query: Mapping[str, str]) -> ObjectLink | None:
        """Know our own signature under any address: `base_url` was another one when it was made.

        It works no longer, or not for long, so it counts as dead and is written anew.
        """
        if "sig" not in query:
            return None
        for start in islice(re.finditer("/r(?=/)", url.path), _MOST_PLACES):
            key = unquote(url.path[start.end() + 1 :])
            if self.signed(key, query["sig"]):
                return _named(key, "permalink", _NEVER)
        return None

    def _bucket_key(self, url: SplitResult, origin: _Origin) -> str | None:
        host, path = url.hostname or "", url.path.removeprefix("/")
        if url.scheme == "s3":
            return path if host == self.bucket else None
        if self.endpoint_url:
            tail = _below(url, origin, f"{self.endpoint_url.rstrip('/')}/{self.bucket}")
            if tail is not None:
                return tail
            scheme, endpoint, port = _origin(urlsplit(self.endpoint_url))
            return path if origin == (scheme, f"{self.bucket}.{endpoint}", port) else None
        # Buckets of the same name in China's partition are somebody else's.
        if origin[2] != _PORTS[url.scheme] or host.endswith(".cn") != self._in_china:
            return None
        if _AWS_PATH.fullmatch(host):
            bucket, _, key = path.partition("/")
            return key if bucket == self.bucket else None
        virtual = _AWS_VIRTUAL.fullmatch(host)
        return path if virtual and virtual["bucket"] == self.bucket else None


def twilio_url(api_base: str, ref: Ref, extension: str) -> str:
    """Build the address of a recording's media or metadata from configuration and SIDs."""
    return (
        f"{api_base.rstrip('/')}/2010-04-01/Accounts/{ref.account_sid}"
        f"/Recordings/{ref.sid}.{extension}"
    )


def signature(key: str, secret: str) -> str:
    """Sign a key for a permalink: hex HMAC-SHA256."""
    return hmac.new(_bytes(secret), _bytes(key), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    """Encode whatever comes in from outside: no UTF-8 can hold half a surrogate pair."""
    return text.encode(errors="surrogatepass")


def without_query(url: str) -> str:
    """Drop what may be a signature: the form of a link that may be shown and logged."""
    return url.split("?", 1)[0].split("#", 1)[0]


def _origin(url: SplitResult) -> _Origin:
    return url.scheme, url.hostname, _PORTS.get(url.scheme) if url.port is None else url.port


def _below(url: SplitResult, origin: _Origin, base: str) -> str | None:
    """Tell the path of a URL below a configured base, if it is below it."""
    split = urlsplit(base)
    root = split.path.rstrip("/") + "/"
    if not base or origin != _origin(split) or not url.path.startswith(root):
        return None
    return url.path.removeprefix(root)


def _named(key: str, style: str, expires: datetime | None) -> ObjectLink | None:
    """Keep the link only if its key says whose it is: one recording, named once or more."""
    sids = set(_RECORDING_SID.findall(key))
    return ObjectLink(sids.pop(), key, style, expires) if len(sids) == 1 else None


def _expiry(query: Mapping[str, str]) -> datetime | None:
    """Read when a signed URL ends: SigV4 (date + seconds) or SigV2/CloudFront (epoch).

    An end that cannot be read, or that S3 would refuse, is long ago: such a link is made anew.
    """
    try:
        if query.keys() & {"x-amz-expires", "x-amz-signature"}:
            start = datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            life = timedelta(seconds=int(query["x-amz-expires"]))
            return start + life if timedelta() < life <= _LONGEST else _NEVER
        if query.keys() & {"expires", "signature"}:
            return datetime.fromtimestamp(int(query["expires"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return _NEVER
    return None
