"""The app under uvicorn in a thread of the test, with a ledger and without services behind it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from reccli.config import load
from reccli.intake.connection import BoundedProtocol
from reccli.intake.media_stream import WEBSOCKET
from reccli.intake.webhook import create_app
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from reccli.config import Settings

PUBLIC_URL = "https://calls.example.com"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests."""

    url: str
    ledger: Path


def environment_for(directory: Path, **changes: str) -> dict[str, str]:
    """Configure everything, with nobody behind it but the ledger."""
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "RECCLI_TWILIO__API_BASE": NOWHERE,
        "AWS_S3_BUCKET": "recordings",
        "RECCLI_S3__ENDPOINT_URL": NOWHERE,
        "RECCLI_S3__ACCESS_KEY_ID": "AKIATEST",
        "RECCLI_S3__SECRET_ACCESS_KEY": "test-secret-key",
        "AIRTABLE_API_KEY": "patTest.secret",
        "AIRTABLE_BASE_ID": "appTest",
        "RECCLI_AIRTABLE__ENDPOINT_URL": NOWHERE,
        "RECCLI_LINKS__BASE_URL": PUBLIC_URL,
        "RECCLI_LINKS__SECRET": "test-link-secret",
        "RECCLI_LEDGER__URL": f"sqlite:///{directory / 'ledger.sqlite3'}",
        "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL,
        "STATE_DIRECTORY": str(directory),
        **changes,
    }
    return {name: value for name, value in environment.items() if value}


def settings_for(directory: Path, **changes: str) -> Settings:
    return load(None, env=environment_for(directory, **changes))


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Run an app until the test is done with it."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        port=0,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        **WEBSOCKET,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(40)
        assert not thread.is_alive()


@contextmanager
def running(directory: Path, **changes: str) -> Iterator[Running]:
    with serving(create_app(settings_for(directory, **changes))) as url:
        yield Running(url, directory / "ledger.sqlite3")
