"""`GET /r/<key>?sig=…`: leads to a recording through a presigned URL that lives for minutes.

So a link in a row works for as long as the object and the secret do, whoever may read the bucket.
Nothing of ours stands in an answer but that URL. For `webhook` alone.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import unquote, urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import Route

from reccli.core.errors import ServiceError

if TYPE_CHECKING:
    from starlette.requests import Request

    from reccli.core.links import Permalinks

LIFE = timedelta(minutes=5)
"""Of the URL that a permalink leads to: a player asks for parts of the audio again and again."""
RETRY_AFTER = 5
"""Seconds; credentials of a role are mostly back by then."""

_HEADERS = {
    "Cache-Control": "no-store",  # or a URL that has died would be given out again
    "Referrer-Policy": "no-referrer",  # the store need not learn the link that never dies
}

_log = structlog.get_logger("reccli")


class Presign(Protocol):
    """Signs a URL of an object; `flow.ports.S3Port.presign` does."""

    def __call__(self, key: str, *, life: timedelta, method: Literal["GET", "HEAD"]) -> str:
        """Sign for one method, because a signature covers it; raises `ServiceError`."""


class _Key(Convertor[str]):
    """Any text: Starlette's own `path` stops at a line break, which a key may have."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("object_key", _Key())


def permalink_route(permalinks: Permalinks, presign: Presign) -> Route:
    """Return the route that follows what `permalinks` writes, whatever the style is by now.

    Below the path of its `base_url`, as it is written, and at `/r/`, where a mount or a proxy that
    takes this path away leaves it.
    """
    places = _places(permalinks.base_url)

    async def follow(request: Request) -> Response:
        if not permalinks.secrets:
            return Response(status_code=404, headers=_HEADERS)
        signatures = request.query_params.getlist("sig")
        keys = _keys(places, request.path_params["key"]) if len(signatures) == 1 else []
        key = next((key for key in keys if permalinks.signed(key, signatures[0])), None)
        if key is None:
            return Response(status_code=403, headers=_HEADERS)
        method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
        try:
            # In a thread, for the credentials of a role may have to be fetched first.
            url = await run_in_threadpool(partial(presign, key, life=LIFE, method=method))
        except ServiceError as error:
            _log.error("permalink_not_signed", code=error.failure.code, error=str(error))
            return Response(status_code=503, headers={**_HEADERS, "Retry-After": str(RETRY_AFTER)})
        return Response(status_code=302, headers={**_HEADERS, "Location": url})

    route = Route("/r/{key:object_key}", follow, methods=["GET", "HEAD"], name="permalink")
    # A route made with the path in it would take braces there for a parameter.
    either = "|".join(re.escape(place) for place in places)
    route.path_regex = re.compile(rf"(?P<key>(?:{either}){_Key.regex})")
    return route


def _places(base_url: str) -> list[str]:
    """Return below which paths keys stand, decoded as the server decodes what is asked for."""
    path = unquote(urlsplit(base_url.rstrip("/")).path)
    return list(dict.fromkeys((f"{path}/r/", "/r/")))


def _keys(places: list[str], path: str) -> list[str]:
    """Return which keys a path may mean: below a base of `/r` one begins like the other's key."""
    return [path.removeprefix(place) for place in places if path.startswith(place)]
