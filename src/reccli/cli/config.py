"""`reccli config init`, `check`, `show` and `path`: the configuration, without any service."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reccli.cli import options as o
from reccli.cli.invoke import CONFIG_HINT, Request, read_settings
from reccli.cli.streams import say
from reccli.cli.telling import Begun, RefusedError, tell, tell_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "config"
_USAGE = 2
_BY_ENVIRONMENT = "no file: all comes from the environment, credential files and defaults"

app = typer.Typer(
    name=NAME,
    help="Begin a configuration, check it, or show what is in force and from where.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def init(
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="PATH", help="Instead of ./reccli.toml."),
    ] = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Write a file with every key and its default, which its owner alone can read."""
    with _refusals("config init", as_json=as_json, hint="name another one: --config PATH") as begun:
        from reccli.config import write_example

        file = write_example(config)
    if as_json:
        tell(begun, config={"file": str(file)})
    elif not quiet:
        say(f"{file}: fill in the credentials, then reccli config check")


@app.command()
def check(
    *,
    config: o.Config = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Tell every problem of the configuration; exit code 2 if there is one."""
    with _refusals("config check", as_json=as_json) as begun:
        request = Request("config check", config=config, quiet=quiet, verbose=verbose)
        settings = read_settings(request, begun)
    if as_json:
        file = settings.file and str(settings.file)
        tell(begun, config={"file": file, "warnings": list(settings.warnings)})
    elif not quiet:
        say(f"{settings.file or _BY_ENVIRONMENT}: can be used")


@app.command()
def show(
    *,
    config: o.Config = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show each value in force and where it came from; secrets are masked."""
    with _refusals("config show", as_json=as_json) as begun:
        request = Request("config show", config=config, quiet=quiet, verbose=verbose)
        settings = read_settings(request, begun)
        from reccli.config import shown

        keys = list(shown(settings))
    if as_json:
        values = {key: {"value": value, "origin": origin} for key, value, origin in keys}
        tell(begun, config={"file": settings.file and str(settings.file), "values": values})
    else:
        for key, value, origin in keys:
            say(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {origin}")


@app.command()
def path(
    *,
    config: o.Config = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,  # noqa: ARG001 - as for every command
) -> None:
    """Print the file that would be read, whatever is in it; nothing if there is none."""
    with _refusals("config path", as_json=as_json) as begun:
        from reccli.config import find_config

        file = find_config(config)
    if as_json:
        tell(begun, config={"file": file and str(file)})
    elif file:
        say(str(file))
    elif not quiet:
        typer.echo(_BY_ENVIRONMENT, err=True)


@contextmanager
def _refusals(command: str, *, as_json: bool, hint: str = CONFIG_HINT) -> Iterator[Begun]:
    """Tell what keeps the command from being carried out, and leave with exit code 2."""
    from reccli.config import ConfigError

    begun = Begun(command, as_json=as_json)
    try:
        yield begun
    except (ConfigError, RefusedError) as error:
        refused = error
        if isinstance(refused, ConfigError):
            problems = [("config", problem, hint) for problem in refused.problems]
            refused = RefusedError(_USAGE, *problems)
        tell_refusal(begun, refused)
        raise typer.Exit(refused.code) from error
