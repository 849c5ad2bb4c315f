"""How another terminal reaches a sandbox that serves: one more HTTP service, with a secret.

Its address stands in the environment that the sandbox hands out, so a shell that has none of a
running sandbox can't break one.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reccli.sandbox.running import CALL, SERVICES
from reccli.sandbox.seaweed import SeaweedError
from reccli.sandbox.standin import Request, Response, StandIn, fingerprint

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.running import Sandbox

VARIABLE = "RECCLI_SANDBOX"
USER = "sandbox"
PATIENCE_S = 90.0
"""S3 takes some seconds to come back."""


class NoSandboxError(Exception):
    """The shell knows of no sandbox, or of one that has ended."""


class Control(StandIn):
    """Breaks and mends the services of SANDBOX, lets calls come in, and shows its rows."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._secret = secrets.token_hex(16)

    @property
    def address(self) -> str:
        """The base URL with the secret."""
        return self.url.replace("://", f"://{USER}:{self._secret}@")

    def handle(self, request: Request) -> Response:
        """Carry one command out."""
        login = base64.b64encode(f"{USER}:{self._secret}".encode()).decode()
        if request.authorization != fingerprint(f"Basic {login}"):
            return Response(403)
        sandbox = self._sandbox
        match request.method, request.segments:
            case "POST", [("break" | "mend") as verb, service] if service in SERVICES:
                try:
                    sandbox.switch(service, down=verb == "break")
                except SeaweedError as error:
                    return Response.json(500, {"error": str(error)})
                return Response.json(200, {name: name not in sandbox.broken for name in SERVICES})
            case "POST", ["calls"]:
                asked = json.loads(request.body)
                (made,) = sandbox.record(duration=asked["seconds"])
                row = asked["row"] and sandbox.airtable.add_row(**{CALL: made.call_sid}).id
                shown = {"call": made.call_sid, "recording": made.sid, "row": row or None}
                return Response.json(200, shown)
            case "GET", ["rows"]:
                with sandbox.airtable.lock:
                    rows = [shown_row(row) for row in sandbox.airtable.rows.values()]
                return Response.json(200, {"rows": rows})
        return Response(404)


def shown_row(row: FakeRow) -> dict[str, object]:
    """Return a row as a person reads it: addresses without what is signed."""
    cells = {name: str(cell).partition("?")[0] for name, cell in row.fields.items()}
    return {"id": row.id, "call": cells.pop(CALL, None), "cells": cells}


def ask(method: str, *path: str, **body: object) -> dict[str, Any]:
    """Send a command to the sandbox of this shell; raise `NoSandboxError`, `SeaweedError`."""
    import httpx

    address = os.environ.get(VARIABLE)
    if not address:
        raise NoSandboxError(f"this shell knows of no sandbox: {VARIABLE} is not set")
    url = "/".join([address, *map(quote, path)])
    try:
        answer = httpx.request(method, url, json=body, timeout=PATIENCE_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoSandboxError("the sandbox that this shell knows of has ended") from error
    if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
        raise SeaweedError(answer.json()["error"])
    if answer.status_code != httpx.codes.OK:
        raise NoSandboxError("what answers there is another sandbox, or none")
    found: dict[str, Any] = answer.json()
    return found
