"""Whether Twilio signed a request: every configured token against every way to write its URL.

Over Twilio's own `RequestValidator`, of which only the computation is used: its comparison is
not constant-time, it raises on a missing signature and on a JSON body without a hash, adds port 80
to `wss`, and knows nothing of the slash that some handshakes are signed with.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlsplit, urlunsplit

from twilio.request_validator import HMAC_SHA1, RequestValidator, get_signature_algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reccli.core.model import Ref

MOST_FIELDS = 200
"""Twilio sends a dozen."""
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_SOCKETS = frozenset({"ws", "wss"})
_ALGORITHMS = frozenset({HMAC_SHA1, "HMAC_SHA256"})


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it came in, its URL as Twilio was given it.

    `url` is made from configuration and the raw query, never from what a request says of its
    host. `params` are those of a form, with blanks and duplicates; `body` is what is no form.
    `settings` is the header that names the algorithm, if there was one.
    """

    url: str
    params: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    signature: str | None = None
    settings: str | None = None


def form(body: bytes) -> list[tuple[str, str]]:
    """Read the parameters of a form, blank ones too: they are signed; raises `ValueError`."""
    return parse_qsl(
        body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
    )


def recording_status(ref: Ref, status: str, url: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a callback as Twilio sends them, for tests: those of its docs.

    `url` is the recording's address at Twilio.
    """
    params = [
        ("AccountSid", ref.account_sid),
        ("CallSid", ref.call_sid or ""),
        ("RecordingSid", ref.sid),
        ("RecordingUrl", url),
        ("RecordingStatus", status),
        ("RecordingChannels", "1"),
        ("RecordingStartTime", f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000"),
        ("RecordingSource", "StartCallRecordingTwiML"),
        ("RecordingTrack", "both"),
        ("ErrorCode", "0"),
    ]
    if status == "completed":
        params.append(("RecordingDuration", "13"))
    return tuple(params)


class Signatures:
    """The tokens that sign, each by a name that may be shown. Safe to share between threads."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens`: the one that signs what we send in tests comes first."""
        self._validators = {name: RequestValidator(token) for name, token in tokens.items()}

    def __bool__(self) -> bool:
        """Whether there is any token."""
        return bool(self._validators)

    @property
    def names(self) -> tuple[str, ...]:
        """The tokens' names."""
        return tuple(self._validators)

    def sign(self, url: str, params: Sequence[tuple[str, str]] = ()) -> str:
        """Return the signature that Twilio would make, with the first token."""
        first = next(iter(self._validators.values()))
        return _compute(first, url, _Params(params), HMAC_SHA1)

    def check(self, request: Signed) -> str | None:
        """Return the name of the token that signed the request; None for none, whatever came in."""
        try:
            return self._check(request)
        except (ValueError, TypeError):  # lone surrogates, ports that are none, …
            return None

    def _check(self, request: Signed) -> str | None:
        if not request.signature:
            return None
        algorithm = get_signature_algorithm(request.settings).upper()
        if algorithm not in _ALGORITHMS or not _body_is_signed(request):
            return None
        given = request.signature.encode()
        params = _Params(request.params)
        for url in variants(request.url):
            for name, validator in self._validators.items():
                if hmac.compare_digest(_compute(validator, url, params, algorithm).encode(), given):
                    return name
        return None


def variants(url: str) -> Iterator[str]:
    """Yield the ways in which Twilio may have written a URL when it signed it, as it stands first.

    Over HTTPS voice drops the port, elsewhere it is kept, and at times it is written out; the
    handshake of a media stream may be signed with a slash at the end.
    """
    yield url
    split = urlsplit(url)
    user, at, place = split.netloc.rpartition("@")
    host = place if place.endswith("]") else place.rpartition(":")[0] or place
    port = split.port or _PORTS.get(split.scheme, 443)
    netlocs = {f"{user}{at}{host}", f"{user}{at}{host}:{port}"}
    paths = [split.path]
    if split.scheme in _SOCKETS:
        paths.append(split.path.removesuffix("/") if split.path.endswith("/") else f"{split.path}/")
    for path in paths:
        for netloc in sorted(netlocs):
            if (written := urlunsplit(split._replace(netloc=netloc, path=path))) != url:
                yield written


class _Params(dict[str, list[str]]):
    """Parameters as the validator wants them: a mapping that gives all values of a name."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    getall = dict.__getitem__


def _compute(validator: RequestValidator, url: str, params: _Params, algorithm: str) -> str:
    return str(validator.compute_signature(url, params, algorithm))


def _body_is_signed(request: Signed) -> bool:
    """Whether what is no form has its hash in the URL; without one anybody may have written it."""
    if request.body is None:
        return True
    hashes = parse_qs(urlsplit(request.url).query).get("bodySHA256", [])
    actual = hashlib.sha256(request.body).hexdigest()
    return len(hashes) == 1 and hmac.compare_digest(hashes[0].encode(), actual.encode())
