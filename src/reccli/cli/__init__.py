"""The command line: parse, call, render. One small file a command, no logic here.

Imports nothing heavier than Typer, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reccli.cli import config, runs, sandbox, serve, streams, webhook
from reccli.cli.errors import print_usage_document

app = typer.Typer(
    name="reccli",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  reccli process                       archive what is new on Twilio
  reccli migrate-fallbacks --dry-run   show what would be repaired
  reccli purge-twilio --retention 48   delete what is proven and older than 48 h

Exit codes: 0 done, 1 a recording failed or is lost, 2 usage or configuration,
3 refused as unsafe, 4 credentials refused, 5 only transient failures,
6 a threshold of `report` is breached, 11 another run holds the lock, 130 interrupted.""",
)

for _module in (runs, serve, config, webhook, sandbox):
    app.add_typer(_module.app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"reccli {version('reccli')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Move call recordings from Twilio to S3, prove them, relink Airtable, then clean Twilio."""


def main() -> None:
    """Run the command line; with `--json` a usage error is a document as well."""
    streams.prepare()
    try:
        app()
    except SystemExit as end:
        # Typer has printed what is wrong, and left because of it.
        usage = getattr(end.__context__, "format_message", None)
        if usage and "--json" in sys.argv[1:]:
            print_usage_document(sys.argv[1:], usage())
        code = end.code if isinstance(end.code, int) else 0
        sys.exit(streams.finish(code))
