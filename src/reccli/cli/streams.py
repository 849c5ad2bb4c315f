"""What the standard streams can take: no output may fail for want of a character or of a reader.

Standard output may be closed, full, or a pipe that nobody reads any more. The run behind it is
done by then, and its ledger has it; so that is one line for a person, and an exit code.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from reccli.flow.result import Exit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_OUT, _ERR = 1, 2
_ASCII = str.maketrans({"→": "->", "…": "..."})


class _Standard(io.FileIO):
    """A standard stream: what it cannot take is dropped, and `lost` says why."""

    def __init__(self, number: int, *, closed: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.lost: OSError | None = None
        self._shut = closed

    def write(self, data: ReadableBuffer, /) -> int:
        """Write something, or drop everything from now on."""
        if self._shut:
            self.lost = OSError(errno.EBADF, "it is closed")
        while self.lost is None:
            try:
                if (written := super().write(data)) is not None:
                    return written
                select.select([], [self], [])  # somebody else made it one that does not wait
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


_output: _Standard | None = None


def prepare() -> None:
    """Make the streams usable, whatever the locale, and also where they were closed."""
    global _output  # noqa: PLW0603 - as the stream itself, this belongs to the process
    closed = {number for number in range(3) if not _is_open(number)}
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # else the first file that is opened would be the stream
    if sys.stdout is sys.__stdout__:
        encoding = getattr(sys.stdout, "encoding", None)
        _output = _Standard(_OUT, closed=_OUT in closed)
        sys.stdout = _text(_output, encoding, "replace", by_line=_output.isatty())
    if sys.stderr is sys.__stderr__:
        encoding = getattr(sys.stderr, "encoding", None)
        errors = _Standard(_ERR, closed=_ERR in closed)
        sys.stderr = _text(errors, encoding, "backslashreplace", by_line=True)


def _is_open(number: int) -> bool:
    with suppress(OSError):
        os.fstat(number)
        return True
    return False


def _text(raw: _Standard, encoding: str | None, errors: str, *, by_line: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=by_line)


def finish(code: int) -> int:
    """Print if the result was not written; return the exit code, which is not 0 then."""
    sys.stdout.flush()
    if _output is None or _output.lost is None:
        return code
    why = _output.lost.strerror
    print(f"error: the result could not be written to standard output: {why}", file=sys.stderr)
    sys.stderr.flush()
    return code or Exit.FAILED


def say(text: str) -> None:
    """Print a result, with plain signs where the terminal has no others."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(_ASCII)
    print(text)
