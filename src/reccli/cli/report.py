"""`reccli report`."""

from __future__ import annotations

from reccli.cli import options as o
from reccli.cli.invoke import Request, invoke

NAME = "report"


def command(
    *,
    config: o.Config = None,
    since: o.Since = None,
    until: o.Until = None,
    limit: o.Limit = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Tell what is at risk, what Twilio keeps and costs, and how the last runs went."""
    o.check_past(until)
    invoke(
        Request(
            NAME,
            config=config,
            since=since,
            until=until,
            limit=limit,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
    )
