"""Requests that trust whom the other clients trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

from reccli import network

if TYPE_CHECKING:
    from urllib3 import ProxyManager


class Trusting(HTTPAdapter):
    """Verifies certificates with this machine's one set of roots."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """Make the connections that go straight."""
        super().init_poolmanager(*args, **options, ssl_context=network.trust())

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:  # noqa: ANN401
        """Make those that go through a proxy; it may speak TLS as well."""
        context = network.trust()
        made: ProxyManager = super().proxy_manager_for(
            proxy, **options, ssl_context=context, proxy_ssl_context=context
        )
        return made

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401
        """Add nothing to them: requests would, its own roots, for every connection."""
        del url, verify, cert
        conn.cert_reqs = "CERT_REQUIRED"
