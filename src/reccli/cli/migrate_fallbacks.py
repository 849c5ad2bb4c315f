"""`reccli migrate-fallbacks`."""

from __future__ import annotations

from reccli.cli import options as o
from reccli.cli.invoke import Request, invoke

NAME = "migrate-fallbacks"


def command(
    *,
    config: o.Config = None,
    retention: o.Retention = None,
    max_deletes: o.MaxDeletes = None,
    limit: o.Limit = None,
    dry_run: o.DryRun = False,
    concurrency: o.Concurrency = None,
    max_duration: o.MaxDuration = None,
    wait: o.Wait = None,
    yes: o.Yes = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Repair rows that hold a Twilio link: copy, prove, relink, and delete after retention."""
    invoke(
        Request(
            NAME,
            config=config,
            retention=retention,
            max_deletes=max_deletes,
            limit=limit,
            dry_run=dry_run,
            concurrency=concurrency,
            max_duration=max_duration,
            wait=wait,
            yes=yes,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
    )
