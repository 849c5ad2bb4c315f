"""`reccli config init`, `check`, `show` and `path`: the configuration, without any service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from reccli.cli.errors import unconfigured
from reccli.cli.invocation import Invocation, takes
from reccli.cli.streams import say
from reccli.flow.commands import Command

_BY_ENVIRONMENT = "no file: all comes from the environment, credential files and defaults"

app = typer.Typer(
    name="config",
    help="Begin a configuration, check it, or show what is in force and from where.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
@takes(Command("config init"))
def init(
    invocation: Invocation,
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="PATH", help="Instead of ./reccli.toml."),
    ] = None,
) -> None:
    """Write a file with every key and its default, which its owner alone can read."""
    from reccli.config import ConfigError, write_example

    try:
        file = write_example(config)
    except ConfigError as error:
        raise unconfigured(*error.problems, hint="name another one: --config PATH") from error
    if invocation.as_json:
        invocation.print_document(config={"file": str(file)})
    elif not invocation.quiet:
        say(f"{file}: fill in the credentials, then reccli config check")


@app.command()
@takes(Command("config check"))
def check(invocation: Invocation) -> None:
    """Tell every problem of the configuration; exit code 2 if there is one."""
    settings = invocation.settings()
    if invocation.as_json:
        file = settings.file and str(settings.file)
        invocation.print_document(config={"file": file, "warnings": list(settings.warnings)})
    elif not invocation.quiet:
        say(f"{settings.file or _BY_ENVIRONMENT}: can be used")


@app.command()
@takes(Command("config show"))
def show(invocation: Invocation) -> None:
    """Show each value in force and where it came from; secrets are masked."""
    settings = invocation.settings()
    from reccli.config import in_force

    keys = list(in_force(settings))
    if invocation.as_json:
        values = {key: {"value": value, "origin": origin} for key, value, origin in keys}
        file = settings.file and str(settings.file)
        invocation.print_document(config={"file": file, "values": values})
    else:
        for key, value, origin in keys:
            say(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {origin}")


@app.command()
@takes(Command("config path"))
def path(invocation: Invocation) -> None:
    """Print the file that would be read, whatever is in it; nothing if there is none."""
    from reccli.config import find_config

    file = find_config(invocation.config)
    if invocation.as_json:
        invocation.print_document(config={"file": file and str(file)})
    elif file:
        say(str(file))
    elif not invocation.quiet:
        typer.echo(_BY_ENVIRONMENT, err=True)
