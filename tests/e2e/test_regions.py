"""Two regions of Twilio, one of which refuses the token: the other's recordings are worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.running import ACCOUNT_SID, LINK, TRANSFER
from reccli.sandbox.twilio_api import TwilioStandIn

if TYPE_CHECKING:
    from tests.e2e.lab import Lab


def test_a_wrong_token_of_one_region_holds_up_no_other(lab: Lab) -> None:
    calls = [lab.sandbox.call(duration=1, recordings=2) for _ in range(3)]
    with TwilioStandIn(ACCOUNT_SID, "token-of-australia") as sydney:
        there = sydney.add(duration=1)
        lab.row(there.call_sid)
        config = lab.home / "regions.toml"
        config.write_text(
            f'[[twilio.regions]]\nregion = "au1"\nedge = "sydney"\napi_base = "{sydney.url}"\n'
        )
        env = {"TWILIO_AU1_AUTH_TOKEN": "no-such-token"}
        told = lab.json("process", "-c", str(config), **env)
        assert (told.code, told.summary["copied"], told.summary["relinked"]) == (4, 6, 6)
        for row, recordings in calls:
            for name, recording in zip((LINK, TRANSFER), recordings, strict=True):
                assert lab.holds(row, recording, name) == "s3"
        errors = told.doc["errors"]
        assert all("region au1: " in error["message"] for error in errors)
        assert all("au1" in error["hint"] for error in errors)
        purged = lab.json("purge-twilio", "-c", str(config), "--retention", "0", **env)
        assert (purged.code, purged.summary["deleted"]) == (4, 6)
        assert not sydney.deletions
        named = lab.json("process", calls[0][1][0].sid, "-c", str(config), **env)
        assert named.code == 0
