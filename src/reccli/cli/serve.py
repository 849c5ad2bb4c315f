"""`reccli serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reccli.cli import options as o
from reccli.cli.invoke import Request, read_settings
from reccli.cli.telling import Begun, RefusedError, tell_refusal

NAME = "serve"

_FAILED, _USAGE = 1, 2
_NEEDED = frozenset({"starlette", "uvicorn", "websockets"})


def command(
    *,
    config: o.Config = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Listen there instead of webhook.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Instead of webhook.port; 0 takes any."),
    ] = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Take in callbacks and media streams, and serve permalinks (extra: webhook)."""
    begun = Begun(NAME)
    try:
        _serve(Request(NAME, config=config, quiet=quiet, verbose=verbose), begun, host, port)
    except RefusedError as refused:
        tell_refusal(begun, refused)
        raise typer.Exit(refused.code) from refused


def _serve(request: Request, begun: Begun, host: str | None, port: int | None) -> None:
    settings = read_settings(request, begun)
    try:
        from reccli.intake.server import CannotListenError, serve
        from reccli.intake.webhook import UnconfiguredError
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        problem = ("extra", f"{missing} is not installed", "pip install 'reccli[webhook]'")
        raise RefusedError(_USAGE, problem) from error
    import structlog

    person = sys.stderr.isatty() and not request.quiet
    given = {"host": host, "port": port}
    update = {name: value for name, value in given.items() if value is not None}
    webhook = settings.webhook.model_copy(update=update)

    def ready(url: str) -> None:
        structlog.get_logger("reccli").info("serving", url=url)
        if person:
            print(f"taking callbacks on {url}; Ctrl-C ends it", file=sys.stderr)

    try:
        serve(settings.model_copy(update={"webhook": webhook}), begun.run_id, ready)
    except UnconfiguredError as error:
        problem = ("config", str(error), "see config.example.toml for every key")
        raise RefusedError(_USAGE, problem) from error
    except CannotListenError as error:
        problem = ("listen", str(error), "end what listens there, or set webhook.host and port")
        raise RefusedError(_FAILED, problem) from error
    if person:
        print("ended: what was not finished is in the ledger", file=sys.stderr)
