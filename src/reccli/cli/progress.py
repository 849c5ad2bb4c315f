"""A progress line on a terminal; nothing at all in cron's mail and CI's logs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from reccli.flow.result import Result


class Progress:
    """Shows how many recordings were looked at and what was done with them."""

    def __init__(self, *, shown: bool) -> None:
        """`shown` False, or standard error being no terminal, makes this a no-op."""
        self._bar: Bar | None = None
        if shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("looking")

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the line: the summary says it all."""
        self.pause()

    def pause(self) -> None:
        """Leave the terminal to a question."""
        if self._bar:
            self._bar.stop()

    def update(self, result: Result) -> None:
        """Show where the run is."""
        if self._bar:
            counts = result.counts
            parts = [f"{counts[n]} {n}" for n in ("copied", "relinked", "deleted", "failed")]
            self._bar.update(self._task, description=f"{counts['seen']} seen: {', '.join(parts)}")
