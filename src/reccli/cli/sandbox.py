"""`reccli sandbox`."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reccli.sandbox.running import Sandbox

NAME = "sandbox"


def command(
    stories: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STORY]", help="outage (default), the name of another, or all."),
    ] = None,
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep it up and print the environment to use it.")
    ] = False,
) -> None:
    """Watch reccli at work on a local Twilio, S3 and Airtable (extra: sandbox)."""
    from reccli.sandbox.running import Sandbox
    from reccli.sandbox.seaweed import SeaweedError
    from reccli.sandbox.stories import STORIES, StoryError

    names = list(STORIES) if stories == ["all"] else stories or ["outage"]
    if unknown := [name for name in names if name not in STORIES]:
        message = f"{unknown[0]!r} is no story; there are: {', '.join(STORIES)}, all"
        raise typer.BadParameter(message)
    try:
        if serve:
            _serve(Sandbox())
            return
        for name in names:
            typer.secho(f"== {name}: {STORIES[name].__doc__}", bold=True)
            with Sandbox() as sandbox:
                STORIES[name](sandbox, typer.echo)
        typer.secho(f"{', '.join(names)}: as told.", bold=True)
    except (SeaweedError, StoryError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _serve(sandbox: Sandbox) -> None:
    """Keep the services up, with some calls of each kind in them, until interrupted."""
    with sandbox:
        for _ in range(3):
            sandbox.call(linked=True)
        _, (new, *_) = sandbox.call(recordings=2)
        for name, value in sandbox.environment().items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        sys.stdout.flush()  # it may be a file that somebody waits for
        typer.echo(
            "# Ctrl-C ends it; 3 calls have fallback links, 1 is new. With these settings:\n"
            "#   reccli serve\n"
            f"#   reccli webhook sign --recording {new.sid} --to http://127.0.0.1:8080 | sh",
            err=True,
        )
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has them ignored
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
    typer.echo("ended", err=True)
