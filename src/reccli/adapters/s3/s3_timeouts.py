"""Holds the body of each answer to its time: botocore itself only bounds each read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from botocore import exceptions as sdk
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from reccli.flow.deadline import Deadline, TooSlowError
from reccli.network import body_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

_PIECE = 1 << 16


class _Session(Protocol):
    """What botocore sends through."""

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send one request."""

    def close(self) -> None:
        """Close the connections."""


class PatientSession:
    """Sends through botocore's own session, and reads the answers itself."""

    def __init__(self, session: _Session) -> None:
        self._session = session

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send one request; a body that is not streamed has been read when this returns."""
        streamed, request.stream_output = request.stream_output, True
        response = self._session.send(request)
        response.raw = _Body(response, request.url)
        if not streamed:
            response.content  # noqa: B018 - which reads it, and keeps it
        return response

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Body:
    """The body of an answer, as far as botocore reads one."""

    def __init__(self, response: AWSResponse, url: str) -> None:
        self._raw, self._url = response.raw, url
        self._deadline = Deadline(body_length(response.headers))

    def stream(self) -> Iterator[bytes]:
        """Yield the body as it comes; raises what botocore raises for a body that breaks off."""
        try:
            while piece := self._piece(_PIECE):
                yield piece
        except (ReadTimeoutError, TooSlowError) as error:
            raise sdk.ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except ProtocolError as error:
            raise sdk.ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except HTTPError as error:
            raise sdk.HTTPClientError(error=error) from error

    def read(self, amt: int | None = None, **_how: object) -> bytes:
        """Read so many bytes, or to the end; raises what urllib3 does, and `TooSlowError`."""
        found = bytearray()
        while amt is None or len(found) < amt:
            piece = self._piece(_PIECE if amt is None else min(_PIECE, amt - len(found)))
            if not piece:
                break
            found += piece
        return bytes(found)

    def _piece(self, size: int) -> bytes:
        piece: bytes = self._raw.read1(size)
        self._deadline.came(len(piece))
        return piece

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else urllib3's has
        return getattr(self._raw, name)
