"""Holds the body of each answer to its time: httpx itself only bounds each read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import httpx

from reccli.flow.deadline import Deadline, TooSlowError

if TYPE_CHECKING:
    from collections.abc import Iterator


def hold_to_time(response: httpx.Response) -> None:
    """Put a body that watches the clock in the place of the answer's own; a hook of the client."""
    stream = cast("httpx.SyncByteStream", response.stream)
    response.stream = _Held(stream, Deadline(length_of(response)))


def length_of(response: httpx.Response) -> int | None:
    """Tell how many bytes the body has to have, if the answer says so in a way that counts."""
    text = response.headers.get("Content-Length", "")
    counts = text.isdecimal() and "Transfer-Encoding" not in response.headers
    return int(text) if counts else None


class _Held(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            try:
                self._deadline.came(len(chunk))
            except TooSlowError as error:
                raise httpx.ReadTimeout(f"too slow: {error}") from error
            yield chunk

    def close(self) -> None:
        self._stream.close()
