"""Media streams as a simulator of Twilio plays them: good calls, and callers who hang up."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import pytest
import websockets
from streamdouble import session
from streamdouble.audio import silence_frame
from streamdouble.protocol import StreamIdentity
from streamdouble.scenario import Dtmf, Hangup, Scenario, Wait
from streamdouble.session import Session, SessionConfig, SessionResult

from reccli.adapters.twilio import Signatures
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from tests.intake.app import PUBLIC_URL, Running, running
from tests.intake.test_media_stream import kept, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamdouble.scenario import Step

FRAMES = [silence_frame()] * 15


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def _signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign the handshake: the simulator has no headers, and would be refused."""
    wss = PUBLIC_URL.replace("https", "wss") + "/stream"
    headers = {"X-Twilio-Signature": Signatures({"main": AUTH_TOKEN}).sign(wss)}
    signing = functools.partial(websockets.connect, additional_headers=headers)
    monkeypatch.setattr(session.websockets, "connect", signing)


def play(server: Running, *steps: Step, fork: bool = True) -> SessionResult:
    call = Session(
        server.url.replace("http", "ws") + "/stream",
        None if steps else FRAMES,
        scenario=Scenario("call", list(steps)) if steps else None,
        config=SessionConfig(
            fork=fork,
            response_timeout_s=0.3,
            quiet_period_s=0.1,
            custom_parameters={"From": "+61400111222"},
        ),
        identity=StreamIdentity(account_sid=ACCOUNT_SID),
    )
    return asyncio.run(call.run())


def left_by(call: SessionResult) -> list[tuple[str, str]]:
    return [(call.identity.call_sid, f"stopped {call.identity.stream_sid}")]


@pytest.mark.parametrize("fork", [True, False], ids=["<Start>", "<Connect>"])
def test_a_call_that_goes_well_is_scheduled(server: Running, *, fork: bool) -> None:
    call = play(server, fork=fork)
    assert call.frames_sent >= len(FRAMES)
    assert not call.violations
    wait_for(lambda: kept(server) == left_by(call))


def test_a_caller_who_hangs_up_is_scheduled_too(server: Running) -> None:
    call = play(server, Wait(0.2), Dtmf("5"), Wait(0.1), Hangup())
    assert not call.violations
    wait_for(lambda: kept(server) == left_by(call))
