"""`reccli process`."""

from __future__ import annotations

import typer

from reccli.cli import options as o
from reccli.cli.invoke import Request, invoke
from reccli.core.sids import RECORDING, is_sid

NAME = "process"


def command(
    sids: o.Sids = None,
    *,
    config: o.Config = None,
    since: o.Since = None,
    until: o.Until = None,
    limit: o.Limit = None,
    full: o.Full = False,
    accept_length: o.AcceptLength = False,
    dry_run: o.DryRun = False,
    concurrency: o.Concurrency = None,
    max_duration: o.MaxDuration = None,
    wait: o.Wait = None,
    yes: o.Yes = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Archive recordings: named ones, else all on Twilio since last time that no row links."""
    if accept_length and not (sids and all(is_sid(sid, RECORDING) for sid in sids)):
        message = "--accept-length needs the RE… of each recording that you have listened to"
        raise typer.BadParameter(message)
    invoke(
        Request(
            NAME,
            config=config,
            sids=tuple(sids or ()),
            since=since,
            until=until,
            limit=limit,
            dry_run=dry_run,
            full=full,
            accept_length=accept_length,
            concurrency=concurrency,
            max_duration=max_duration,
            wait=wait,
            yes=yes,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
    )
