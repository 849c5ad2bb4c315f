"""A sandbox that stays up, and the environment that points a shell at it."""

from __future__ import annotations

import os
import shlex
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reccli.sandbox.control import VARIABLE, Control
from reccli.sandbox.running import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIRST_LINE = "# A sandbox of reccli that is up; it removes this file when it ends.\n"


class EnvironmentFileError(Exception):
    """The environment can't be written there."""


class Serving(NamedTuple):
    """A sandbox that is up."""

    sandbox: Sandbox
    environment: dict[str, str]
    new: str
    """The SID of a recording that no row links yet."""


@contextmanager
def serving(file: Path | None = None) -> Iterator[Serving]:
    """Bring the services up with some calls in them, and keep the environment in FILE meanwhile."""
    with Sandbox() as sandbox, Control(sandbox) as control:
        for _ in range(3):
            sandbox.call(linked=True)
        _, (new, *_) = sandbox.call(recordings=2)
        environment = {**sandbox.environment(), VARIABLE: control.address}
        if file is None:
            yield Serving(sandbox, environment, new.sid)
            return
        text = FIRST_LINE + "\n".join([*exports(environment), ""])
        _write(file, text)
        try:
            yield Serving(sandbox, environment, new.sid)
        finally:
            with suppress(OSError):
                if file.read_text() == text:  # else it is that of a sandbox begun later
                    file.unlink()


def exports(environment: Mapping[str, str]) -> list[str]:
    """Return the lines that a shell reads."""
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]


def _write(file: Path, text: str) -> None:
    """Write what its owner alone may read, and over no file of others."""
    try:
        if file.exists() and not file.read_text(errors="replace").startswith(FIRST_LINE):
            raise EnvironmentFileError(f"{file} is there already, and is not of a sandbox")
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        with os.fdopen(number, "w") as out:
            out.write(text)
        Path(name).replace(file)
    except OSError as error:
        raise EnvironmentFileError(f"{file} can't be written: {error.strerror}") from error
