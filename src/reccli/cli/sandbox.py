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

from reccli.cli import options as o
from reccli.cli.streams import say
from reccli.cli.telling import Begun, RefusedError, tell, tell_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.sandbox.running import Sandbox

NAME = "sandbox"
_FAILED, _USAGE = 1, 2
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
    name=NAME,
    cls=_Group,
    help="Try reccli on a local Twilio, S3 and Airtable (extra: sandbox). Without a command: play.",
    rich_markup_mode=None,
)


@app.command()
def play(
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
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
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
    with _refusals("sandbox", as_json=as_json) as begun:
        if serve:
            _serve(begun, env, quiet=quiet, verbose=verbose)
            return
        aloud = typer.echo if not (quiet or as_json) else lambda _line: None
        for name in names:
            if not (quiet or as_json):
                typer.secho(f"== {name}: {STORIES[name].__doc__}", bold=True)
            with Sandbox(verbose=verbose) as sandbox:
                STORIES[name](sandbox, aloud)
        if not (quiet or as_json):
            typer.secho(f"{', '.join(names)}: as told.", bold=True)
    if as_json:
        tell(begun, sandbox={"stories": names})


@app.command("break")
def break_(
    service: _Service,
    *,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Take a service of the sandbox down: connections fail."""
    _switch("break", service, as_json=as_json, quiet=quiet)


@app.command()
def mend(
    service: _Service,
    *,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Bring a service back, with what it held."""
    _switch("mend", service, as_json=as_json, quiet=quiet)


@app.command()
def call(
    *,
    no_row: Annotated[
        bool, typer.Option("--no-row", help="Without its row, as long as nobody has written one.")
    ] = False,
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=3600, metavar="N", help="How long it is.")
    ] = 30,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Let a call come in: its recording appears on Twilio, its row in Airtable."""
    with _refusals("sandbox call", as_json=as_json) as begun:
        from reccli.sandbox.control import ask

        made = ask("POST", "calls", seconds=seconds, row=not no_row)
    if as_json:
        tell(begun, sandbox=made)
    elif not quiet:
        for name, sid in made.items():
            say(f"{name:<10}{sid or '-'}")


@app.command()
def rows(
    *,
    as_json: o.Json = False,
    quiet: o.Quiet = False,  # noqa: ARG001 - the rows are the result
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Show the table as a person reads it; links without their signatures."""
    with _refusals("sandbox rows", as_json=as_json) as begun:
        from reccli.sandbox.control import ask

        found = ask("GET", "rows")
    if as_json:
        tell(begun, sandbox=found)
        return
    for row in found["rows"]:
        say(f"{row['call'] or '(no call)'}")
        for name, text in row["cells"].items():
            say(f"  {name}: {text}")


def _switch(verb: str, service: Service, *, as_json: bool, quiet: bool) -> None:
    with _refusals(f"sandbox {verb}", as_json=as_json) as begun:
        from reccli.sandbox.control import ask

        up = ask("POST", verb, service)
    if as_json:
        tell(begun, sandbox={"up": up})
    elif not quiet:
        say(", ".join(f"{name} is {'up' if is_up else 'down'}" for name, is_up in up.items()))


@contextmanager
def _refusals(command: str, *, as_json: bool) -> Iterator[Begun]:
    """Put what the sandbox can't do into words and an exit code."""
    from reccli.sandbox.control import NoSandboxError
    from reccli.sandbox.seaweed import SeaweedError
    from reccli.sandbox.serving import EnvironmentFileError
    from reccli.sandbox.stories import StoryError

    begun = Begun(command, as_json=as_json)
    try:
        try:
            yield begun
        except NoSandboxError as error:
            raise RefusedError(_USAGE, ("sandbox", str(error), _NONE_HINT)) from error
        except EnvironmentFileError as error:
            raise RefusedError(_USAGE, ("usage", str(error), "name another file")) from error
        except (SeaweedError, StoryError) as error:
            raise RefusedError(_FAILED, ("sandbox", str(error), "")) from error
    except RefusedError as refused:
        tell_refusal(begun, refused)
        raise typer.Exit(refused.code) from refused


def _serve(begun: Begun, env: Path | None, *, quiet: bool, verbose: bool) -> None:
    """Keep the services up until interrupted."""
    from reccli.sandbox.serving import exports, serving

    with serving(env) as up:
        if verbose:
            _show_requests(up.sandbox)
        if begun.as_json:
            tell(begun, sandbox={"environment": up.environment, "new": up.new})
        else:
            say("\n".join(exports(up.environment)))
        sys.stdout.flush()  # it may be a file that somebody waits for
        if not (quiet or begun.as_json):
            typer.echo(
                "# Ctrl-C ends it; 3 calls have fallback links, 1 is new. With these settings:\n"
                "#   reccli serve\n"
                f"#   reccli webhook sign --recording {up.new} --to http://127.0.0.1:8080 | sh\n"
                "#   reccli sandbox break s3; reccli sandbox call; reccli sandbox rows",
                err=True,
            )
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has them ignored
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
    if not quiet:
        typer.echo("ended", err=True)


def _show_requests(sandbox: Sandbox) -> None:
    for name, service in (
        ("twilio", sandbox.twilio),
        ("media", sandbox.twilio.media),
        ("airtable", sandbox.airtable),
    ):
        service.on_request = lambda request, name=name: typer.echo(
            f"{name} {request.method} {request.path}", err=True
        )
