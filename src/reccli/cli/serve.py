"""`reccli serve`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
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
    """Take in callbacks and streams, serve permalinks (extra: webhook)."""
    begun = Begun(NAME)
    request = Request(NAME, config=config, quiet=quiet, verbose=verbose)
    try:
        code = _serve(request, begun, host, port)
    except RefusedError as refused:
        tell_refusal(begun, refused)
        raise typer.Exit(refused.code) from refused
    os._exit(code)  # do not wait for transfers that were given up: the ledger has their callbacks


def _serve(request: Request, begun: Begun, host: str | None, port: int | None) -> int:
    settings = read_settings(request, begun)
    try:
        import websockets  # noqa: F401 - uvicorn would miss it later, and say so less clearly

        from reccli.intake.server import CannotServeError, serve
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        problem = ("extra", f"{missing} is not installed", "install the extra: reccli[webhook]")
        raise RefusedError(_USAGE, problem) from error
    import structlog

    log = structlog.get_logger("reccli")
    given = {"host": host, "port": port}
    update = {name: value for name, value in given.items() if value is not None}
    webhook = settings.webhook.model_copy(update=update)

    person = sys.stderr.isatty() and not request.quiet

    def say(text: str) -> None:
        if person:  # past Python's buffers, which a signal may find in the middle of a write
            with suppress(OSError):  # the terminal itself may be gone
                os.write(sys.stderr.fileno(), f"{text}\n".encode())

    def ready(url: str) -> None:
        callback = webhook.recording_status_url
        log.info("serving", url=url, callback_url=callback)
        say(f"taking callbacks on {url}; give Twilio {callback}\nCtrl-C ends it")

    def stopping() -> None:
        say("finishing what is in hand, for some seconds; Ctrl-C again ends it now")

    try:
        settings = settings.model_copy(update={"webhook": webhook})
        code = serve(settings, begun.run_id, ready, stopping)
    except CannotServeError as error:
        code = _FAILED if error.code == "listen" else _USAGE
        raise RefusedError(code, (error.code, str(error), error.hint)) from error
    except Exception as error:
        log.exception("unexpected_error")
        problem = ("unexpected", f"unexpected {type(error).__name__}", "this is a bug: report it")
        raise RefusedError(_FAILED, problem) from error
    say("ended: what was not finished is in the ledger")
    return code
