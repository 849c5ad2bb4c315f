"""A URL found in data is data: where requests and credentials go, and where they never do."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from reccli.sandbox.standin import Request, Response, StandIn, fingerprint
from reccli.sandbox.twilio_api import TwilioStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Lab

HELD = "the field holds a Twilio address that names no recording of a configured account"


class Trap(StandIn):
    """Serves audio to whoever asks: nobody should."""

    def handle(self, request: Request) -> Response:
        return Response(200, b"\xff\xe3\x48\xc0" + bytes(10_000), "audio/mpeg")


@pytest.fixture
def trap() -> Iterator[Trap]:
    with Trap() as running:
        yield running


def test_addresses_that_imitate_twilio_are_held_and_never_asked(lab: Lab, trap: Trap) -> None:
    twilio = lab.sandbox.twilio
    mine = twilio.add(duration=2)
    tail = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{mine.sid}"
    port = trap.url.rpartition(":")[2]
    imitations = [
        f"https://api.twilio.com.127.0.0.1.nip.example:{port}{tail}",
        f"http://api.twilio.com@127.0.0.1:{port}{tail}",
        f"http://api.twilio.com:443@127.0.0.1:{port}{tail}.mp3",
        f"http://api.twilio.com%2F@localhost:{port}{tail}",
        f"http://localhost:{port}/api.twilio.com{tail}",
        f"http://127.0.0.1:{port}{tail}?host=api.twilio.com",
        f"http://127.0.0.1:{port}/?https://api.twilio.com{tail}",
        f"http://127.0.0.1:{port}{tail}#api.twilio.com",
        f"http://127.0.0.1:{port}\\@api.twilio.com{tail}",
        f"https://api.twilio.com:{port}{tail}",
        f"https://eviltwilio.com:{port}{tail}",
        f"https://api.twilio.com.localhost:{port}{tail}",
        f"https://recordings.api.twilio.com{tail}",
        f"https://api.twilio.com/2010-04-01/Accounts/AC{'0' * 32}/Recordings/{mine.sid}",
        f"https://api.twilio.com{tail}/../../../{port}",
        f"{twilio.url}@localhost:{port}/twilio.com{tail}",
        f"{twilio.url}/twilio.com/..{tail}",
        f"api.twilio.com{tail}",
        f"see https://api.twilio.com{tail} and call back",
    ]
    rows = [lab.row("CA" + f"{n:032x}", link=url) for n, url in enumerate(imitations)]
    real_row, real = lab.call(linked=True)
    told = lab.json("migrate-fallbacks", "--retention", "0")
    assert trap.requests == []
    assert [lab.link(row) for row in rows] == imitations
    held = {entry["link"]: entry for entry in told.doc["recordings"] if entry["sid"] is None}
    assert held.keys() == {f"row {row.id}" for row in rows}
    assert {entry["step"] for entry in held.values()} == {"Hold"}
    assert all(entry["reason"].startswith(f"{HELD}: ") for entry in held.values())
    assert (told.code, lab.holds(real_row, real), mine.status) == (0, "s3", "completed")
    assert not [r for r in twilio.requests if mine.sid in r.path]
    assert lab.objects(mine) == []

    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {real.sid})
    assert trap.requests == []


def test_a_recording_of_another_region_is_asked_with_its_own_token(lab: Lab) -> None:
    token = "token-of-australia"
    twilio = lab.sandbox.twilio
    with TwilioStandIn(ACCOUNT_SID, token) as sydney:
        here_row, here = lab.call()
        there, linked = sydney.add(duration=3, channels=2), sydney.add(duration=2)
        row = lab.row(there.call_sid)
        fallback = lab.row(linked.call_sid, link=sydney.recording_url(linked))
        config = lab.home / "regions.toml"
        config.write_text(
            f'[[twilio.regions]]\nregion = "au1"\nedge = "sydney"\napi_base = "{sydney.url}"\n'
        )
        env = {"TWILIO_AU1_AUTH_TOKEN": token}
        told = lab.json("process", "-c", str(config), **env)
        assert (told.code, told.summary["relinked"]) == (0, 2)
        assert (lab.holds(here_row, here), lab.holds(row, there)) == ("s3", "s3")
        assert lab.archived(there)
        head = lab.s3.head_object(Bucket=lab.bucket, Key=told.of(there)["key"])
        assert head["Metadata"]["region"] == "au1"
        told = lab.json("migrate-fallbacks", "-c", str(config), **env)
        assert (told.code, lab.holds(fallback, linked)) == (0, "s3")
        told = lab.json("purge-twilio", "-c", str(config), "--retention", "0", **env)
        assert (told.code, lab.deleted()) == (0, {here.sid})
        assert {deletion.sid for deletion in sydney.deletions} == {there.sid, linked.sid}
        assert all(token not in said for said in (told.stdout, told.stderr))
        # Each region has seen its own credentials alone; no other service has seen either.
        for service, word in ((twilio, AUTH_TOKEN), (sydney, token)):
            mine = base64.b64encode(f"{ACCOUNT_SID}:{word}".encode()).decode()
            assert {r.authorization for r in service.requests} == {fingerprint(f"Basic {mine}")}
            assert all(r.authorization is None for r in service.media.requests)
