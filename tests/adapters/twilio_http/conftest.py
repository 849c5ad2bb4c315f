"""Servers and adapters, closed after each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from reccli.adapters.twilio import Origin, TwilioAdapter
from reccli.sandbox.twilio_api import TwilioStandIn

from .samples import ACCOUNT, TOKENS, HasUrl
from .scripted import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Server]:
    """Run another origin: a CDN, another region, an attacker."""
    with Server().running() as running:
        yield running


@pytest.fixture
def twilio() -> Iterator[TwilioStandIn]:
    with TwilioStandIn(ACCOUNT, TOKENS["us1"]) as running:
        yield running


@pytest.fixture
def au1() -> Iterator[TwilioStandIn]:
    with TwilioStandIn(ACCOUNT, TOKENS["au1"]) as running:
        yield running


@pytest.fixture
def twilio_adapter() -> Iterator[Callable[..., TwilioAdapter]]:
    """Make adapters for the regions that these servers play: us1, then au1."""
    with ExitStack() as stack:

        def make(*servers: HasUrl, **timeouts: float) -> TwilioAdapter:
            made = TwilioAdapter(
                [
                    Origin(region, ACCOUNT, server.url, ACCOUNT, token)
                    for (region, token), server in zip(TOKENS.items(), servers, strict=False)
                ],
                **timeouts,
            )
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def adapter(server: Server, twilio_adapter: Callable[..., TwilioAdapter]) -> TwilioAdapter:
    return twilio_adapter(server, read_timeout=5)
