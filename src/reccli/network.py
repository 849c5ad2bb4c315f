"""The way from this machine to others, alike for every client: its proxies, and whom it trusts.

Read from the variables that operators know (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, …).
Nothing else of the environment counts: no `.netrc` and no ambient login. And what headers mean
whatever client has received them. For the adapters.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import certifi
import httpx
from requests.utils import get_environ_proxies, select_proxy

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOTS = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What is trusted instead of the public certificate authorities."""
MORE = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
"""What is trusted as well: they are often meant for one service, and must not shut out another."""
_FOR_S3 = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_TRUST_HINT = (
    "if a private authority or an inspecting proxy signs here, name its certificate: "
    "SSL_CERT_FILE=/path/to/roots-and-it.pem, or REQUESTS_CA_BUNDLE=/path/to/it.pem; else somebody "
    "is in between, or the address is wrong"
)
_PROXY_HINT = "check HTTPS_PROXY (user and password too), and NO_PROXY for hosts that need none"
_TIMES = {9: "certificate_not_yet_valid", 10: "certificate_expired"}
"""OpenSSL's codes of verification."""
REFUSED = 407
_PROXY_SAID = re.compile(r"(?:^|Tunnel connection failed: )([45]\d\d)\b")
"""The words of httpcore, and of http.client under urllib3."""
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]+)?")

# At INFO httpx logs every URL with its query, at DEBUG httpcore logs the headers of answers:
# a redirect's signed Location would be in both.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date, None for anything else. Without a zone it is UTC."""
    try:
        at = parsedate_to_datetime(text)  # without a zone for "-0000", too
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in either of its forms; None for none."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    at = http_date(text)
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at else None


def body_length(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes the body has to have, if the headers say so in a way that counts."""
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() and "transfer-encoding" not in headers else None


def proxy_for(url: str) -> str | None:
    """Return the proxy to ask through, if the environment names one for this address.

    Raises a CONFIG `ServiceError` for a proxy of a kind that is not spoken.
    """
    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    scheme = urlsplit(proxy).scheme.lower()
    if scheme not in {"http", "https"}:
        message = f"the proxy for {urlsplit(url).hostname} is one of {scheme}, which is not spoken"
        hint = "name a proxy of http:// or https:// (HTTPS_PROXY, ALL_PROXY), or add to NO_PROXY"
        raise ServiceError(
            Failure(Service.MACHINE, FailureKind.CONFIG, "proxy_unknown", message, hint)
        )
    return proxy


def proxies_for(url: str) -> Mapping[str, str]:
    """Return the same in the form of requests and botocore; empty: ask directly."""
    proxy = proxy_for(url)
    return {"http": proxy, "https": proxy} if proxy else {}


def trust() -> ssl.SSLContext:
    """Return whom to trust; safe to share. Raises a CONFIG failure for an unreadable file."""
    return _trust(tuple((name, os.environ.get(name, "")) for name in (*ROOTS, *MORE)))


def bundle_for_s3() -> str | None:
    """Return the one file that botocore takes, its own variables first; None for its default."""
    return next((path for name in _FOR_S3 if (path := os.environ.get(name))), None)


@cache
def _trust(named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    roots = [item for item in named if item[1] and item[0] in ROOTS][:1]
    context = ssl.create_default_context(cafile=None if roots else certifi.where())
    for name, path in [*roots, *(item for item in named if item[1] and item[0] in MORE)]:
        is_folder = os.path.isdir(path)  # noqa: PTH112 - a string from outside, as it stands
        try:
            context.load_verify_locations(
                cafile=None if is_folder else path, capath=path if is_folder else None
            )
        except OSError as error:  # ssl.SSLError too
            if failure := machine.failure_of(error):
                raise ServiceError(failure) from error
            message = f"{name} names {path}, which holds no certificates that can be read"
            hint = "name a file of certificates in PEM form"
            raise ServiceError(
                Failure(Service.MACHINE, FailureKind.CONFIG, "bad_trust", message, hint)
            ) from error
    return context


class Transport(httpx.BaseTransport):
    """Asks each host directly or through its proxy; for one thread."""

    def __init__(self) -> None:
        self._ways: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request its way."""
        proxy = proxy_for(str(request.url))
        if proxy not in self._ways:
            self._ways[proxy] = httpx.HTTPTransport(
                verify=trust(),
                proxy=proxy
                and httpx.Proxy(proxy, ssl_context=trust() if proxy.startswith("https:") else None),
                limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
            )
        try:
            return self._ways[proxy].handle_request(request)
        except httpx.ConnectError as error:
            # httpcore keeps the place of a tunnel in which TLS has failed, until none is left.
            self._ways.pop(proxy).close()
            if proxy and not any(isinstance(one, ssl.SSLError) for one in machine.causes(error)):
                raise httpx.ProxyError(str(error)) from error  # nobody else was asked for yet
            raise

    def close(self) -> None:
        """Close the connections."""
        for way in self._ways.values():
            way.close()


def failure_on_the_way(error: BaseException, service: Service, host: str) -> Failure | None:
    """Return what is wrong on the way to a service; None if the service may have a part in it."""
    lack = machine.failure_of(error)
    if lack:
        return lack
    causes = list(machine.causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, service, host)
    if any("Proxy" in type(cause).__name__ for cause in causes):
        said = (_PROXY_SAID.search(str(cause)) for cause in causes)
        status = next((int(found[1]) for found in said if found), None)
        return _proxy_failed(service, host, status)
    return None


def proxy_refused(service: Service, host: str) -> Failure:
    """Return the failure that an answer of 407 means: it is none of the service's."""
    return _proxy_failed(service, host, REFUSED)


def _untrusted(error: ssl.SSLCertVerificationError, service: Service, host: str) -> Failure:
    """Return the failure of a certificate; one out of date is its owner's, or our clock's."""
    why = error.verify_message or error.reason or ""
    late = _TIMES.get(error.verify_code)
    message = f"the certificate of {host} is not trusted: {why}"
    if late:
        hint = "set this machine's clock if it is wrong (NTP); else its owner has to renew it"
        return Failure(service, FailureKind.OUTAGE, late, message, hint)
    return Failure(service, FailureKind.CONFIG, "certificate_not_trusted", message, _TRUST_HINT)


def _proxy_failed(service: Service, host: str, status: int | None) -> Failure:
    if status is None:
        message = f"the proxy on the way to {host} does not answer"
    else:
        message = f"the proxy on the way to {host} answered {status}"
    if status == REFUSED:
        message += ": it wants a login, or another one"
        return Failure(service, FailureKind.DENIED, "proxy_refused", message, _PROXY_HINT)
    return Failure(service, FailureKind.OUTAGE, "proxy_failed", message, _PROXY_HINT)
