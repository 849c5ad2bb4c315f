"""Requests that trust whom the other clients trust, and hold each answer to its time.

requests itself has roots of its own, and bounds only each read of an answer.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ReadTimeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from reccli import network
from reccli.flow.deadline import Deadline, TooSlowError
from reccli.network import body_length

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from urllib3 import ProxyManager

_PIECE = 1 << 16


class PatientAdapter(HTTPAdapter):
    """Verifies certificates with this machine's one set of roots, and reads the whole answer."""

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

    def send(self, request: PreparedRequest, *args: Any, **how: Any) -> Response:  # noqa: ANN401
        """Send one request, and read the answer as it comes, before anything looks at it.

        Raises what requests raises for a body that breaks off.
        Of a refusal the status says enough, however much of its body came.
        """
        response = super().send(request, *args, **how)
        body = BytesIO()
        try:
            _read(response, body)
        except (ReadTimeoutError, TooSlowError) as error:
            if response.ok:
                raise ReadTimeout(error, request=request) from error
        except HTTPError as error:
            if response.ok:
                raise ChunkedEncodingError(error, request=request) from error
        finally:
            response.raw.close()
        body.seek(0)
        response.raw = body
        return response


def _read(response: Response, body: BytesIO) -> None:
    deadline = Deadline(body_length(response.headers))
    while piece := response.raw.read1(_PIECE, decode_content=True):
        deadline.came(len(piece))
        body.write(piece)
