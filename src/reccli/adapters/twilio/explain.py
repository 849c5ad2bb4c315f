"""Why a captured request's signature is not good: the nearest change that makes it so.

For `reccli webhook explain`. It looks for one change of the URL, of one parameter, or of both, with
every token, and says what differs. It never shows a signature that it has computed: that would
sign whatever anybody likes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reccli.adapters.twilio.signatures import Signatures, Signed

_BLANKS = (
    *("RecordingDuration", "RecordingChannels", "RecordingSource", "RecordingTrack"),
    *("RecordingStartTime", "ErrorCode", "ConferenceSid", "CallSid", "RecordingUrl"),
)
"""Parameters of a recording's callback that may be empty, and that some proxies then drop."""
_SCHEMES = {"https": "http", "http": "https", "wss": "ws", "ws": "wss"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is wrong with a request: url, port, parameter or token; None if it is taken."""

    cause: str | None
    message: str
    hint: str = ""


def explain(
    request: Signed, expected: str, account_sid: str, signatures: Signatures
) -> Explanation:
    """Explain a request; `expected` is the URL without query that the server checks against."""
    query = urlsplit(request.url).query
    checked = replace(request, url=f"{expected}?{query}" if query else expected)
    if name := signatures.check(checked):
        return _signed(request, expected, account_sid, name)
    if name := signatures.check(request):
        return Explanation(
            _kind_of_url(request.url, expected),
            f"it is signed with {name} for {_shown(request.url)}, and the server checks {expected}",
            _remedy(request.url, expected),
        )
    for base, where in ((request, "as captured"), (checked, "with the server's own address")):
        for changed, cause, message in _changes(base, expected):
            if name := signatures.check(changed):
                return Explanation(
                    cause, f"it is signed with {name}, {where}, if {message}", _HINTS[cause]
                )
    other = "" if _is_ours(request, account_sid) else "; its AccountSid is not the configured one"
    return Explanation(
        "token",
        f"none of the configured tokens ({', '.join(signatures.names) or 'none'}) signed it for "
        f"{_shown(request.url)} or {expected}, with any single parameter changed either{other}",
        _HINTS["token"],
    )


def _signed(request: Signed, expected: str, account_sid: str, name: str) -> Explanation:
    """Explain a request whose signature is good: it may still not get through."""
    if urlsplit(request.url).path.rstrip("/") != urlsplit(expected).path.rstrip("/"):
        return Explanation(
            "url",
            f"it is signed with {name} for {expected}, but was captured as "
            f"{_shown(request.url)}: on that path the server has nothing and answers 404",
            _HINTS["url"],
        )
    if not _is_ours(request, account_sid):
        return Explanation(
            "parameter",
            f"it is signed with {name}, but its AccountSid is not {account_sid}: answered 400",
            "set twilio.account_sid to the account that makes the recordings",
        )
    return Explanation(None, f"it is signed with {name}, and the server takes it")


def _is_ours(request: Signed, account_sid: str) -> bool:
    return dict(request.params).get("AccountSid", account_sid) == account_sid


_HINTS = {
    "url": "Twilio signs the address that it was given: let the proxy pass path and query on "
    "unchanged, and set webhook.public_url to what Twilio calls",
    "port": "write webhook.public_url with the port that Twilio was given, or without one",
    "parameter": "let nothing between Twilio and the server add, drop, trim or decode parameters",
    "token": "make sure that --url is what Twilio was given, from the TwiML or its console and not "
    "from a proxy's log, and that the body is whole; then compare the account's primary auth token "
    "with twilio.auth_token: another region or a subaccount signs with its own",
}


def _changes(base: Signed, expected: str) -> Iterator[tuple[Signed, str, str]]:
    """Yield what may have been signed: one change, then two, with the cause and its words."""
    urls = list(_urls(base, expected))
    params = list(_params(base))
    for url, cause, said in urls:
        yield replace(base, url=url), cause, said
    for changed, said in params:
        yield replace(base, params=changed), "parameter", said
    for url, _, where in urls:
        for changed, said in params:
            yield replace(base, url=url, params=changed), "parameter", f"{where}, and {said}"


def _urls(base: Signed, expected: str) -> Iterator[tuple[str, str, str]]:
    split = urlsplit(base.url)
    public = urlsplit(expected)
    host = split.hostname or ""
    for port in dict.fromkeys(("", ":443", ":80", f":{public.port}" if public.port else "")):
        yield urlunsplit(split._replace(netloc=host + port)), "port", f"its host is {host}{port}"
    if other := _SCHEMES.get(split.scheme):
        yield urlunsplit(split._replace(scheme=other)), "url", f"its scheme is {other}"
    yield urlunsplit(split._replace(netloc=public.netloc)), "url", f"its host is {public.netloc}"
    path = split.path.removesuffix("/") if split.path.endswith("/") else f"{split.path}/"
    yield urlunsplit(split._replace(path=path)), "url", f"its path is {path}"
    yield urlunsplit(split._replace(path=public.path)), "url", f"its path is {public.path}"
    if split.query:
        yield urlunsplit(split._replace(query="")), "url", "it has no query"
        decoded = unquote_plus(split.query)
        yield urlunsplit(split._replace(query=decoded)), "url", "its query is not encoded"


def _params(base: Signed) -> Iterator[tuple[Sequence[tuple[str, str]], str]]:
    pairs = list(base.params)
    names = {name for name, _ in pairs}
    for number, (name, _) in enumerate(pairs):
        yield [*pairs[:number], *pairs[number + 1 :]], f"the parameter {name} was added on the way"
    missing = [name for name in _BLANKS if name not in names]
    for name in missing:
        yield [*pairs, (name, "")], f"an empty {name} was dropped on the way"
    for first in missing:
        for second in missing[missing.index(first) + 1 :]:
            blanks = [(first, ""), (second, "")]
            yield [*pairs, *blanks], f"empty {first} and {second} were dropped on the way"
    for number, (name, value) in enumerate(pairs):
        for other, what in _values(value):
            if other != value:
                changed = [*pairs[:number], (name, other), *pairs[number + 1 :]]
                yield changed, f"{name} was changed on the way: {what}"


def _values(value: str) -> Iterator[tuple[str, str]]:
    yield value.strip(), "blanks around it were added"
    yield f"{value} ", "a blank at its end was trimmed"
    yield f" {value}", "a blank at its beginning was trimmed"
    yield value.replace("+", " "), "its blanks were left encoded as plus signs"
    for at, sign in enumerate(value):
        if sign == " ":  # as in the +0000 of a time
            yield f"{value[:at]}+{value[at + 1 :]}", "a plus sign was decoded to a blank"


def _kind_of_url(url: str, expected: str) -> str:
    one, other = urlsplit(url), urlsplit(expected)
    same = (one.scheme, one.hostname, one.path) == (other.scheme, other.hostname, other.path)
    return "port" if same else "url"


def _remedy(url: str, expected: str) -> str:
    """Return how to bring the two addresses together: at Twilio, or in our configuration."""
    split, path = urlsplit(url), urlsplit(expected).path
    remedy = f"give Twilio {expected}"
    if split.scheme in {"https", "wss"} and split.path.endswith(path):
        public = f"https://{split.netloc.rpartition('@')[2]}{split.path.removesuffix(path)}"
        remedy += f", or set webhook.public_url to {public}"
    return remedy


def _shown(url: str) -> str:
    split = urlsplit(url)
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2], query=""))
