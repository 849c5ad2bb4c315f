"""`reccli serve`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from reccli.cli.errors import RefusedError
from reccli.cli.invocation import Invocation, takes
from reccli.cli.streams import finish
from reccli.flow.commands import Command
from reccli.flow.result import Exit

_NEEDED = frozenset({"starlette", "uvicorn", "websockets"})

app = typer.Typer()


@app.command()
@takes(Command("serve"))
def serve(
    invocation: Invocation,
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="Listen there instead of webhook.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Instead of webhook.port; 0 takes any."),
    ] = None,
) -> None:
    """Take in callbacks and streams, serve permalinks (extra: webhook)."""
    given = {"host": host, "port": port}
    code = _serve(invocation, {name: value for name, value in given.items() if value is not None})
    # Transfers that were given up are not waited for: the ledger has their callbacks.
    os._exit(finish(code))


def _serve(invocation: Invocation, changes: dict[str, object]) -> Exit:
    """Serve to the end; return the exit code. Raises `RefusedError`."""
    settings = invocation.settings()
    try:
        import websockets  # noqa: F401 - uvicorn would miss it later, and say so less clearly

        from reccli.intake import server
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        problem = ("extra", f"{missing} is not installed", "install the extra: reccli[webhook]")
        raise RefusedError(Exit.USAGE, problem) from error
    import structlog

    log = structlog.get_logger("reccli")
    webhook = settings.webhook.model_copy(update=changes)
    person = sys.stderr.isatty() and not (invocation.quiet or invocation.as_json)
    listening: list[str] = []

    def say(text: str) -> None:
        if person:  # past Python's buffers, which a signal may find in the middle of a write
            with suppress(OSError):  # the terminal itself may be gone
                os.write(sys.stderr.fileno(), f"{text}\n".encode())

    callback = webhook.recording_status_url

    def ready(url: str) -> None:
        listening.append(url)
        log.info("serving", url=url, callback_url=callback)
        say(f"taking callbacks on {url}; give Twilio {callback}\nCtrl-C ends it")

    def stopping() -> None:
        say("finishing what is in hand, for some seconds; Ctrl-C again ends it now")

    try:
        changed = settings.model_copy(update={"webhook": webhook})
        code = server.serve(changed, invocation.asked.run_id, ready, stopping)
    except server.CannotServeError as error:
        raise RefusedError(error.exit_code, (error.code, str(error), error.hint)) from error
    say("ended: what was not finished is in the ledger")
    if invocation.as_json:
        url = listening[0] if listening else None
        invocation.print_document(code, serve={"url": url, "callback_url": callback})
    return code
