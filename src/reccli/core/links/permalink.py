"""Permalinks: `<base_url>/r/<key>?sig=…`, which `reccli serve` answers with a fresh link."""

from __future__ import annotations

import hashlib
import hmac
import re
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_PLACES = 4
"""Where a key may begin below an unknown address: whoever fills a cell must not set the cost."""


def permalink(base_url: str, key: str, secret: str) -> str:
    """Write a permalink to a key."""
    return f"{base_url.rstrip('/')}/r/{quote(key)}?sig={signature(key, secret)}"


def signature(key: str, secret: str) -> str:
    """Sign a key for a permalink: hex HMAC-SHA256."""
    return hmac.new(_bytes(secret), _bytes(key), hashlib.sha256).hexdigest()


def signed(key: str, sig: str, secrets: Sequence[str]) -> bool:
    """Whether one of the secrets has signed this key, told in the same time for all of them."""
    given = _bytes(sig)
    each = (hmac.compare_digest(_bytes(signature(key, s)), given) for s in secrets)
    return sum(each) > 0


def moved_key(path: str, sig: str, secrets: Sequence[str]) -> str | None:
    """Know our own signature under any address, and tell the key that it signs.

    `base_url` was another one when the link was made.
    """
    for start in islice(re.finditer("/r(?=/)", path), _MOST_PLACES):
        key = unquote(path[start.end() + 1 :])
        if signed(key, sig, secrets):
            return key
    return None


def _bytes(text: str) -> bytes:
    """Encode whatever comes in from outside: no UTF-8 can hold half a surrogate pair."""
    return text.encode(errors="surrogatepass")
