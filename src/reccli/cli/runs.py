"""`reccli process`, `migrate-fallbacks`, `purge-twilio` and `report`: what looks at recordings."""

from __future__ import annotations

import typer

from reccli.cli.invocation import Invocation, takes
from reccli.cli.options import DELETES, WINDOW, WRITES, check_past
from reccli.cli.running import run
from reccli.core.sids import RECORDING, is_sid
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS, PURGE_TWILIO, REPORT

app = typer.Typer()


@app.command()
@takes(PROCESS, "sids", *WINDOW, "full", "accept_length", *WRITES)
def process(invocation: Invocation) -> None:
    """Archive recordings: named ones, else all on Twilio since last time that no row links."""
    asked = invocation.asked
    named = asked.sids and all(is_sid(sid, RECORDING) for sid in asked.sids)
    if asked.accept_length and not named:
        message = "--accept-length needs the RE… of each recording that you have listened to"
        raise typer.BadParameter(message)
    run(invocation)


@app.command()
@takes(MIGRATE_FALLBACKS, "limit", *DELETES, *WRITES)
def migrate_fallbacks(invocation: Invocation) -> None:
    """Repair rows that hold a Twilio link: copy, prove, relink, and delete after retention."""
    run(invocation)


@app.command()
@takes(PURGE_TWILIO, *WINDOW, *DELETES, *WRITES)
def purge_twilio(invocation: Invocation) -> None:
    """Delete from Twilio what is proven in S3, linked by every row, and past its retention."""
    run(invocation)


@app.command()
@takes(REPORT, *WINDOW)
def report(invocation: Invocation) -> None:
    """Tell what is at risk, what Twilio keeps and costs, and how the last runs went."""
    check_past(invocation.asked.until)
    run(invocation)
