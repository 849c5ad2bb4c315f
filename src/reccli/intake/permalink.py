"""`GET /r/<key>?sig=…`: leads to a recording through a presigned URL that lives for minutes.

So a link in a row works for as long as the object and the secret do, whoever may read the bucket.
Nothing of ours stands in an answer but that URL. For `webhook` alone.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import Route

from reccli.core.errors import ServiceError

if TYPE_CHECKING:
    from starlette.requests import Request

    from reccli.core.links import LinkBook

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


def permalink_route(book: LinkBook, presign: Presign) -> Route:
    """Make the route that follows what `book.permalink` writes, whatever the style is by now."""

    async def follow(request: Request) -> Response:
        if not book.secrets:
            return Response(status_code=404, headers=_HEADERS)
        key: str = request.path_params["key"]
        signatures = request.query_params.getlist("sig")
        if len(signatures) != 1 or not book.signed(key, signatures[0]):
            return Response(status_code=403, headers=_HEADERS)
        method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
        try:
            # In a thread, for the credentials of a role may have to be fetched first.
            url = await run_in_threadpool(partial(presign, key, life=LIFE, method=method))
        except ServiceError as error:
            _log.error("permalink_not_signed", code=error.failure.code, error=str(error))
            return Response(status_code=503, headers={**_HEADERS, "Retry-After": str(RETRY_AFTER)})
        return Response(status_code=302, headers={**_HEADERS, "Location": url})

    return Route("/r/{key:object_key}", follow, methods=["GET", "HEAD"], name="permalink")
