"""`reccli sandbox`, and what another terminal does to one that serves."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from reccli.cli.errors import RefusedError
from reccli.cli.invocation import Invocation, takes
from reccli.cli.streams import say
from reccli.flow.commands import Command
from reccli.flow.result import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.sandbox.running import Sandbox

_NONE_HINT = "in a terminal: reccli sandbox --serve --env sandbox.env; in this one: . ./sandbox.env"


class _Group(TyperGroup):
    """Plays what is no command: a story, or options alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Click's
        """Put `play` in front of what needs it."""
        known = {*self.commands, *ctx.help_option_names}
        if not ctx.resilient_parsing and (not args or args[0] not in known):
            args = ["play", *args]
        return super().parse_args(ctx, args)


class Service(StrEnum):
    """What can be broken."""

    S3 = "s3"
    TWILIO = "twilio"
    AIRTABLE = "airtable"


_Service = Annotated[Service, typer.Argument(help="Which service.")]

app = typer.Typer(
    name="sandbox",
    cls=_Group,
    help="Try reccli on a local Twilio, S3 and Airtable (extra: sandbox). Without a command: play.",
    rich_markup_mode=None,
)


@app.command()
@takes(Command("sandbox"))
def play(
    invocation: Invocation,
    stories: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STORY]", help="outage (default), the name of another, or all."),
    ] = None,
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep it up and print the environment to use it.")
    ] = False,
    env: Annotated[
        Path | None,
        typer.Option("--env", metavar="FILE", help="With --serve: write it there, for `. FILE`."),
    ] = None,
) -> None:
    """Watch reccli at work, or keep the services up (--serve). This is the default command."""
    from reccli.sandbox.running import Sandbox
    from reccli.sandbox.stories import STORIES

    names = list(STORIES) if stories == ["all"] else stories or ["outage"]
    if unknown := [name for name in names if name not in STORIES]:
        message = f"{unknown[0]!r} is no story; there are: {', '.join(STORIES)}, all"
        raise typer.BadParameter(message)
    if env and not serve:
        raise typer.BadParameter("--env goes with --serve")
    aloud = not (invocation.quiet or invocation.as_json)
    with _errors():
        if serve:
            _serve(invocation, env)
            return
        for name in names:
            if aloud:
                typer.secho(f"== {name}: {STORIES[name].__doc__}", bold=True)
            with Sandbox(verbose=invocation.verbose) as sandbox:
                STORIES[name](sandbox, typer.echo if aloud else lambda _line: None)
    if invocation.as_json:
        invocation.print_document(sandbox={"stories": names})
    elif aloud:
        typer.secho(f"{', '.join(names)}: as told.", bold=True)


@app.command("break")
@takes(Command("sandbox break"))
def break_(invocation: Invocation, service: _Service) -> None:
    """Take a service of the sandbox down: connections fail."""
    _switch(invocation, "break", service)


@app.command()
@takes(Command("sandbox mend"))
def mend(invocation: Invocation, service: _Service) -> None:
    """Bring a service back, with what it held."""
    _switch(invocation, "mend", service)


@app.command()
@takes(Command("sandbox call"))
def call(
    invocation: Invocation,
    *,
    no_row: Annotated[
        bool, typer.Option("--no-row", help="Without its row, as long as nobody has written one.")
    ] = False,
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=3600, metavar="N", help="How long it is.")
    ] = 30,
) -> None:
    """Let a call come in: its recording appears on Twilio, its row in Airtable."""
    made = _ask("POST", "calls", seconds=seconds, row=not no_row)
    if invocation.as_json:
        invocation.print_document(sandbox=made)
    elif not invocation.quiet:
        for name, sid in made.items():
            say(f"{name:<10}{sid or '-'}")


@app.command()
@takes(Command("sandbox rows"))
def rows(invocation: Invocation) -> None:
    """Show the table as a person reads it; links without their signatures."""
    found = _ask("GET", "rows")
    if invocation.as_json:
        invocation.print_document(sandbox=found)
        return
    for row in found["rows"]:
        say(f"{row['call'] or '(no call)'}")
        for name, text in row["cells"].items():
            say(f"  {name}: {text}")


def _switch(invocation: Invocation, verb: str, service: Service) -> None:
    up = _ask("POST", verb, service)
    if invocation.as_json:
        invocation.print_document(sandbox={"up": up})
    elif not invocation.quiet:
        say(", ".join(f"{name} is {'up' if is_up else 'down'}" for name, is_up in up.items()))


def _ask(method: str, *path: str, **body: object) -> dict[str, Any]:
    with _errors():
        from reccli.sandbox.control import ask

        return ask(method, *path, **body)


@contextmanager
def _errors() -> Iterator[None]:
    """Raise what the sandbox cannot do as `RefusedError`."""
    from reccli.sandbox.control import NoSandboxError
    from reccli.sandbox.seaweed import SeaweedError
    from reccli.sandbox.serving import EnvironmentFileError
    from reccli.sandbox.stories import StoryError

    try:
        yield
    except NoSandboxError as error:
        raise RefusedError(Exit.USAGE, ("sandbox", str(error), _NONE_HINT)) from error
    except EnvironmentFileError as error:
        raise RefusedError(Exit.USAGE, ("usage", str(error), "name another file")) from error
    except (SeaweedError, StoryError) as error:
        raise RefusedError(Exit.FAILED, ("sandbox", str(error), "")) from error


def _serve(invocation: Invocation, env: Path | None) -> None:
    """Keep the services up until interrupted."""
    from reccli.sandbox.serving import exports, serving

    ended = threading.Event()  # set in the middle of a start too: it leaves nothing behind
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has them ignored
        signal.signal(number, lambda *_: ended.set())
    with serving(env) as up:
        if invocation.verbose:
            _show_requests(up.sandbox)
        if invocation.as_json:
            invocation.print_document(sandbox={"environment": up.environment, "new": up.new})
        else:
            say("\n".join(exports(up.environment)))
        sys.stdout.flush()  # it may be a file that somebody waits for
        if not (invocation.quiet or invocation.as_json):
            typer.echo(
                "# Ctrl-C ends it; 3 calls have fallback links, 1 is new. With these settings:\n"
                "#   reccli serve\n"
                f"#   reccli webhook sign --recording {up.new} --to http://127.0.0.1:8080 | sh\n"
                "#   reccli sandbox break s3; reccli sandbox call; reccli sandbox rows",
                err=True,
            )
        ended.wait()
    if not invocation.quiet:
        typer.echo("ended", err=True)


def _show_requests(sandbox: Sandbox) -> None:
    """Print each request that Twilio and Airtable carry out."""
    for name, service in (
        ("twilio", sandbox.twilio),
        ("media", sandbox.twilio.media),
        ("airtable", sandbox.airtable),
    ):
        service.on_request = lambda request, name=name: typer.echo(
            f"{name} {request.method} {request.path}", err=True
        )
