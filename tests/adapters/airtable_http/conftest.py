"""The stand-in, without its rate limit, and an adapter that talks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.airtable_api import AirtableStandIn

from .samples import API_KEY, BASE, FIELDS, MAIN, TABLE, TRANSFER, Base

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def base() -> Iterator[Base]:
    types = {MAIN: "url", TRANSFER: "url"}
    with AirtableStandIn(
        API_KEY, BASE, TABLE, fields=FIELDS, types=types, requests_per_second=None
    ) as server:
        base = Base(server)
        yield base
        base.adapter.close()
