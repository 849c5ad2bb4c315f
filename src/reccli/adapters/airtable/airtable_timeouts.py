"""Holds each answer to its time: requests itself only bounds each read of it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from requests.exceptions import ChunkedEncodingError, ReadTimeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from reccli.adapters.airtable.trusting import Trusting
from reccli.flow.deadline import Deadline, TooSlowError
from reccli.network import body_length

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_PIECE = 1 << 16


class PatientAdapter(Trusting):
    """Reads the whole answer as it comes, before anything looks at it."""

    def send(self, request: PreparedRequest, *args: Any, **how: Any) -> Response:  # noqa: ANN401
        """Send one request; raises what requests raises for a body that breaks off.

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
