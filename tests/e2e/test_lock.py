"""The lock of a run: who holds it, who may run beside it, and how to wait for it."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.lab import Gate

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_it_says_who_holds_it_keeps_no_other_archive_out_and_can_be_waited_for(lab: Lab) -> None:
    lab.call()
    gate = lab.sandbox.twilio.media.faults = Gate()
    first = lab.start("process", "--json")
    try:
        assert gate.arrived.wait(60)
        told = lab.json("purge-twilio")
        (error,) = told.doc["errors"]
        assert (told.code, error["code"]) == (11, "locked")
        holder = f"process, pid {first.process.pid} on {socket.gethostname()}, since "
        assert holder in error["message"]
        since = re.search(r"since (\S+ \S+) UTC$", error["message"])
        assert since
        begun = datetime.fromisoformat(f"{since[1]}+00:00")
        assert abs((datetime.now(UTC) - begun).total_seconds()) < 120
        assert "--wait" in error["hint"]
        for changes in (
            {"AWS_S3_RECORDINGS_PREFIX": "elsewhere/"},
            {"RECCLI_AIRTABLE__TABLE": "Other"},
        ):
            other = lab.run("purge-twilio", TWILIO_AUTH_TOKEN="wrong-auth-token", **changes)
            assert other.code == 4  # it has begun, and that is what came of it
        assert lab.run("process", "--wait", "0.1s").code == 11
        patient = lab.start("purge-twilio", "--json", "--wait", "90s")
    finally:
        gate.open.set()
    assert first.end().code == 0
    assert patient.end().code == 0
