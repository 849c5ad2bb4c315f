"""A table of calls on a stand-in, and an adapter that talks to it over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reccli.adapters.airtable import AirtableAdapter, AirtableOptions
from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.model import Ref
from reccli.flow.pacer import Pacer
from reccli.sandbox.standin import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.sandbox.airtable_api import AirtableStandIn

API_KEY = "patSecret.0123456789"
BASE, TABLE = "appBase", "Call Logs/2026 & more"
CALL, CONFERENCE = "CallSid", "ConferenceSid"
MAIN, TRANSFER = "Recording URL (Twilio/S3)", "Transfer Recording URL"
PROVIDER, EMPLOYEE = "Provider", "Employee's name"
FIELDS = (CALL, MAIN, TRANSFER, PROVIDER, EMPLOYEE, "Notes", CONFERENCE)
ACCOUNT = "AC" + "a" * 32
S3_LINK = "https://calls.s3.amazonaws.com/x.mp3"


def recording(number: int) -> str:
    return f"RE{number:032x}"


def call(number: int) -> str:
    return f"CA{number:032x}"


def about(number: int, call_sid: str | None = None, conference_sid: str | None = None) -> Ref:
    return Ref(recording(number), ACCOUNT, None, call_sid, conference_sid)


def fallback(number: int) -> str:
    return (
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{recording(number)}.mp3"
    )


class CountingPacer(Pacer):
    """A pacer that holds nobody back, and tells what it was asked."""

    def __init__(self) -> None:
        super().__init__(1000, sleep=lambda _: None, clock=lambda: 0.0)
        self.waits = 0
        self.pauses: list[float] = []

    def wait(self) -> None:
        self.waits += 1

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def make_options(endpoint_url: str, **changes: Any) -> AirtableOptions:  # noqa: ANN401
    settings: dict[str, Any] = {
        "api_key": API_KEY,
        "base_id": BASE,
        "table": TABLE,
        "endpoint_url": endpoint_url,
        "call_sid_field": CALL,
        "link_fields": (MAIN, TRANSFER),
        "key_fields": {"provider": PROVIDER, "employee": EMPLOYEE},
        "needles": ("twilio.com", "127.0.0.1:4010", "-01/accounts/ac"),
        "dated": "X-Amz-Date=",
    }
    return AirtableOptions(**(settings | changes))


class Base:
    """The stand-in, the adapter, and the pacer between them."""

    def __init__(self, server: AirtableStandIn) -> None:
        self.server = server
        self.pacer = CountingPacer()
        self.adapter = self.adapt()

    def adapt(self, **changes: Any) -> AirtableAdapter:  # noqa: ANN401
        return AirtableAdapter(make_options(self.server.url, **changes), self.pacer)

    def add(self, **cells: object) -> str:
        names = {"call": CALL, "main": MAIN, "transfer": TRANSFER, "provider": PROVIDER}
        names |= {"employee": EMPLOYEE, "notes": "Notes", "conference": CONFERENCE}
        return self.server.add_row(**{names[key]: cell for key, cell in cells.items()}).id


def failure_of(call: Callable[[], object]) -> Failure:
    with pytest.raises(ServiceError) as caught:
        call()
    failure = caught.value.failure
    assert failure.service is Service.AIRTABLE
    assert len(failure.message) <= 200
    assert API_KEY not in f"{caught.value} {failure}"
    return failure


def answer(
    base: Base, status: int, body: object, *, kind: str = "application/json", **headers: str
) -> Failure:
    """Tell what the adapter makes of one answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    base.server.faults.add(
        Fault(FaultKind.STATUS, status=status, body=data, content_type=kind, headers=names)
    )
    return failure_of(lambda: base.adapter.fallbacks(None))
