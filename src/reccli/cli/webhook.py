"""`reccli webhook sign` and `reccli webhook explain`: callbacks by hand."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reccli.cli import options as o
from reccli.cli.errors import RefusedError, unconfigured
from reccli.cli.invocation import Invocation, takes
from reccli.cli.streams import say
from reccli.flow.commands import Command
from reccli.flow.result import Exit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from reccli.config import Settings

app = typer.Typer(
    name="webhook",
    help="Sign a callback for a test, or find out why one was refused.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Status(StrEnum):
    """What Twilio says of a recording."""

    COMPLETED = "completed"
    IN_PROGRESS = "in-progress"
    ABSENT = "absent"
    FAILED = "failed"


class Method(StrEnum):
    """How Twilio calls."""

    POST = "POST"
    GET = "GET"


def _address(text: str) -> str:
    """Check an address that curl can send to."""
    from urllib.parse import urlsplit

    if not re.fullmatch(r"https?://[!-~]+", text) or not urlsplit(text).hostname:
        raise typer.BadParameter(f"{text!r} is no address such as http://127.0.0.1:8080")
    return text.rstrip("/")


@app.command()
@takes(Command("webhook sign"))
def sign(
    invocation: Invocation,
    *,
    recording: Annotated[
        str,
        typer.Option(
            "--recording", parser=o.sid, metavar="RE…", help="By default one that is not there."
        ),
    ] = "RE" + "0" * 32,
    call: Annotated[
        str, typer.Option("--call", parser=o.sid, metavar="CA…", help="The recording's call.")
    ] = "CA" + "0" * 32,
    status: Annotated[Status, typer.Option("--status", help="What it tells.")] = Status.COMPLETED,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="URL",
            parser=_address,
            help="Where curl sends it instead of webhook.public_url, such as http://127.0.0.1:8080.",
        ),
    ] = None,
) -> None:
    """Print a curl command with a valid signature: what Twilio would send."""
    settings = _settings(invocation)
    from reccli import wiring
    from reccli.adapters.twilio import recording_status
    from reccli.config import RECORDING_STATUS
    from reccli.core.model import Ref

    ref = Ref(recording, settings.twilio.account_sid, None, call)
    address = wiring.link_book(settings).twilio.write(ref, "")
    params = recording_status(ref, status, address.removesuffix("."))
    url = settings.webhook.recording_status_url
    signature = wiring.signatures(settings).sign(url, params)
    target = f"{to.removesuffix(RECORDING_STATUS)}{RECORDING_STATUS}" if to else url
    words = ["curl", "--include", "--header", f"X-Twilio-Signature: {signature}"]
    for name, value in params:
        words += ["--data-urlencode", f"{name}={value}"]
    command = shlex.join([*words, target])
    if invocation.as_json:
        made = {"url": url, "params": dict(params), "signature": signature, "command": command}
        say(json.dumps(made, indent=2))
    else:
        say(command)


@app.command()
@takes(Command("webhook explain"))
def explain(
    invocation: Invocation,
    *,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="That Twilio called, with its query.")
    ],
    signature: Annotated[
        str, typer.Option("--signature", metavar="TEXT", help="Its X-Twilio-Signature header.")
    ],
    body: Annotated[
        Path | None,
        typer.Option("--body", metavar="FILE", help="Its raw body; - reads standard input."),
    ] = None,
    method: Annotated[
        Method, typer.Option("--method", help="Of the request; a stream's does not matter.")
    ] = Method.POST,
    signed_by: Annotated[
        str,
        typer.Option(
            "--settings", metavar="TEXT", help="Its X-Twilio-Webhooks-Signature-Settings header."
        ),
    ] = "",
) -> None:
    """Say which of URL, port, parameter or token made a captured request's signature fail."""
    settings = _settings(invocation)
    from reccli import wiring
    from reccli.adapters.twilio import Signed, explain
    from reccli.config import STREAM

    try:
        stream = _checked(url).path.rstrip("/").endswith(STREAM)
        params = [] if stream or method is Method.GET else _form(body)
        asked, webhook = _as_stream(url) if stream else url, settings.webhook
        found = explain(
            Signed(asked, params, None, _bare(signature), signed_by or None),
            webhook.stream_url if stream else webhook.recording_status_url,
            settings.twilio.account_sid,
            wiring.signatures(settings),
        )
    except ValueError as error:
        problem = ("usage", f"this is no request of Twilio: {error}", "give URL and body whole")
        raise RefusedError(Exit.USAGE, problem) from error
    if invocation.as_json:
        say(json.dumps({"valid": found.cause is None, **asdict(found)}, indent=2))
    elif found.cause or not invocation.quiet:
        say(_plain(f"{found.cause}: {found.message}" if found.cause else found.message))
        if found.hint:
            say(_plain(f"fix: {found.hint}"))
    raise typer.Exit(Exit.FAILED if found.cause else Exit.OK)


def _settings(invocation: Invocation) -> Settings:
    """Read the settings; raises `RefusedError` where nothing can be signed with them."""
    settings = invocation.settings()
    missing = []
    if not settings.webhook.public_url:
        missing.append("webhook.public_url: missing; signatures are made for it")
    if not (settings.twilio.auth_tokens or settings.twilio.regions):
        missing.append("twilio.auth_token: missing; callbacks are signed with it")
    if missing:
        raise unconfigured(*missing)
    return settings


def _checked(url: str) -> SplitResult:
    from urllib.parse import urlsplit

    split = urlsplit(url)
    _ = split.port  # raises where it is none
    if split.scheme not in {"http", "https", "ws", "wss"} or not split.hostname:
        raise ValueError("--url is not an https:// or wss:// address")
    return split


def _as_stream(url: str) -> str:
    """Write the URL of a handshake as Twilio does: a proxy's log calls it https."""
    return f"ws{url.removeprefix('http')}" if url.startswith("http") else url


def _bare(signature: str) -> str:
    """Return a signature without what was copied with it: the header's name, quotes."""
    bare = signature.rpartition(":")[2].strip(" \t\r\n\"'")
    if not re.fullmatch(r"[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=", bare):
        raise ValueError("--signature has to be the 28 or 44 characters of its header")
    return bare


def _form(body: Path | None) -> list[tuple[str, str]]:
    from reccli.adapters.twilio import form

    raw = _read(body).rstrip(b"\r\n")  # which editors and shells put there
    if not re.fullmatch(rb"[!-~]+=[!-~]*", raw) or raw.startswith(b"{"):
        raise ValueError("--body has to be a form as it came in, a=b&c=d, without the headers")
    return form(raw)


def _plain(text: str) -> str:
    """Replace what would steer the terminal: names of parameters come from anybody."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _read(body: Path | None) -> bytes:
    if body is None:
        return b""
    try:
        return sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    except OSError as error:
        problem = ("usage", f"cannot read {body}: {error.strerror}", "")
        raise RefusedError(Exit.USAGE, problem) from error
