"""Commands in processes of their own, forked from one that has imported everything already.

Starting Python and importing the SDKs takes a second of CPU, more than most commands need; there
are hundreds of them in these tests. Apart from that a command is what cron starts: its own
arguments, environment, directory and exit code, standard input closed, output into files. The
tests of start-up, kills and signals start `python -m reccli`.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn, Self

from reccli.sandbox.running import Ended

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


class Prefork:
    """The process that forks, for `with`."""

    def __init__(self) -> None:
        self._one = threading.Lock()

    def __enter__(self) -> Self:
        self._home = TemporaryDirectory(prefix="reccli-prefork-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.prefork", self._home.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.stdin and self._process.stdout:
            self._process.stdin.close()
            self._process.stdout.close()
        self._process.wait(10)
        self._home.cleanup()

    def run(
        self,
        arguments: tuple[str, ...],
        env: Mapping[str, str],
        cwd: Path,
        patches: Mapping[str, float] | None = None,
    ) -> Ended:
        """Run one command to its end; `patches` are other constants, by "module:NAME"."""
        if not self._process.stdin or not self._process.stdout:
            raise RuntimeError
        asked = {
            "arguments": arguments,
            "env": dict(env),
            "cwd": str(cwd),
            "patches": patches or {},
        }
        with self._one:
            print(json.dumps(asked), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            home = Path(self._home.name)
            return Ended(code, (home / "stdout").read_text(), (home / "stderr").read_text())


def _serve(home: Path) -> None:
    import reccli.app
    import reccli.cli
    import reccli.watch.document
    import reccli.watch.text  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked, home)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(asked: dict[str, object], home: Path) -> NoReturn:
    """Be the command from here on, in the child."""
    code = 1
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(home / name, flags), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(str(asked["cwd"]))
        os.environ.clear()
        os.environ.update(asked["env"])  # type: ignore[call-overload]
        for name, value in asked["patches"].items():  # type: ignore[attr-defined]
            module, _, constant = name.partition(":")
            setattr(importlib.import_module(module), constant, value)
        sys.argv = ["reccli", *asked["arguments"]]  # type: ignore[misc]
        from reccli.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
