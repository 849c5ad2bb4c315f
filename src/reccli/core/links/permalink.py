"""Permalinks: `<base_url>/r/<key>?sig=…`, which `reccli serve` answers with a fresh link."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from reccli.core.links.link import NEVER, object_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.core.links.address import Address
    from reccli.core.links.link import Link

_MOST_PLACES = 4
"""Where a key may begin below an unknown address: whoever fills a cell must not set the cost."""


@dataclass(frozen=True, slots=True)
class Permalinks:
    """Links that one of the secrets has signed; the first one signs. `current` if rows get them."""

    base_url: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)  # a traceback may show locals
    current: bool = False

    @property
    def _root(self) -> str:
        return f"{self.base_url.rstrip('/')}/r/"

    def write(self, key: str) -> str:
        """Write the permalink to a key."""
        return f"{self._root}{quote(key)}?sig={signature(key, self.secrets[0])}"

    def read(self, url: Address) -> Link | None:
        """Read a permalink by its address; or by our signature, whatever the address.

        One of another address works no longer, or not for long, so it counts as dead and is
        written anew. So does one that none of the secrets has signed.
        """
        sig, tail = url.query.get("sig"), url.below(self._root)
        own = None if tail is None else unquote(tail)
        for key in filter(None, (own, *_keys_in(url.path))):
            if sig is not None and self.signed(key, sig):
                return object_link(key, "permalink", None if key == own else NEVER)
        if own is None or not (self.current or sig is not None) or "x-amz-signature" in url.query:
            return None
        return object_link(own, "permalink", NEVER)

    def signed(self, key: str, sig: str) -> bool:
        """Whether one of the secrets has signed this key; as slow whichever it is, and if none."""
        given = _bytes(sig)
        each = (hmac.compare_digest(_bytes(signature(key, s)), given) for s in self.secrets)
        return sum(each) > 0

    def outdated(self) -> Iterator[str]:
        """Yield what permalinks hold that are not to stay, because rows get other links."""
        if self.base_url and not self.current:
            yield self._root


def signature(key: str, secret: str) -> str:
    """Sign a key for a permalink: hex HMAC-SHA256."""
    return hmac.new(_bytes(secret), _bytes(key), hashlib.sha256).hexdigest()


def _keys_in(path: str) -> Iterator[str]:
    """Yield the keys that a path may name below whatever `base_url` was when it was written."""
    for start in islice(re.finditer("/r(?=/)", path), _MOST_PLACES):
        yield unquote(path[start.end() + 1 :])


def _bytes(text: str) -> bytes:
    """Encode whatever comes in from outside: no UTF-8 can hold half a surrogate pair."""
    return text.encode(errors="surrogatepass")
