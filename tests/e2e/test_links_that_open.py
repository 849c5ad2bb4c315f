"""Links that die with their credentials, links of former times, permalinks that lead nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from reccli.sandbox.running import LINK, TRANSFER
from reccli.sandbox.standin import Request, Response, StandIn
from tests.e2e.serving import Server, wait_until

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

SECRET = "0123456789abcdef0123456789abcdef"


def session(lab: Lab, **more: str) -> dict[str, str]:
    """Take the credentials from the environment, as those of a role."""
    return {
        "RECCLI_S3__ACCESS_KEY_ID": "",
        "RECCLI_S3__SECRET_ACCESS_KEY": "",
        "AWS_ACCESS_KEY_ID": lab.sandbox.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": lab.sandbox.s3.secret_key,
        "AWS_SESSION_TOKEN": "session-token-of-a-role",
        **more,
    }


def test_temporary_credentials_make_no_presigned_links(lab: Lab) -> None:
    (row, mine), (linked, fallback) = lab.call(), lab.call(linked=True)
    for command in ("process", "migrate-fallbacks"):
        told = lab.json(command, **session(lab))
        assert (told.code, told.error_codes) == (2, {"temporary_credentials"})
        (entry,) = told.doc["errors"]
        assert "signing_access_key_id" in entry["hint"]
        assert "permalink" in entry["hint"]
    assert lab.archived(mine)
    assert lab.archived(fallback)
    assert (lab.holds(row, mine), lab.holds(linked, fallback)) == ("twilio", "twilio")
    told = lab.json("migrate-fallbacks", "--retention", "0", **session(lab))
    assert (told.code, lab.deleted()) == (2, set())
    told = lab.json("purge-twilio", "--retention", "0", **session(lab))  # it only says so
    assert (told.code, lab.deleted()) == (0, set())
    assert told.event("temporary_credentials")["level"] == "warning"

    keys = lab.sandbox.s3
    signing = {
        "RECCLI_S3__SIGNING_ACCESS_KEY_ID": keys.reader_access_key,
        "RECCLI_S3__SIGNING_SECRET_ACCESS_KEY": keys.reader_secret_key,
    }
    assert lab.json("migrate-fallbacks", **session(lab, **signing)).code == 0
    for cell_row, recording in ((row, mine), (linked, fallback)):
        assert lab.holds(cell_row, recording) == "s3"
        assert "security-token" not in lab.link(cell_row).lower()
        opened = httpx.get(lab.link(cell_row), trust_env=False)
        assert opened.content == recording.media("mp3", 1)
    assert lab.json("purge-twilio", "--retention", "0", **session(lab, **signing)).code == 0
    assert lab.deleted() == {mine.sid, fallback.sid}


def test_a_server_with_temporary_credentials_copies_and_writes_fallbacks_only(lab: Lab) -> None:
    (row, mine), (signed_row, signed) = lab.call(), lab.call()
    with Server(lab.environment(**session(lab)), lab.home) as server:
        assert server.callback(mine).status_code == 204
        wait_until(lambda: lab.holds(row, mine) == "twilio")
        server.wait_for_event("recording_saved_to_airtable_twilio")
        told = server.stop()
    assert told.code == 2
    dying = told.event("temporary_credentials")
    assert (dying["level"], "permalink" in dying["hint"]) == ("error", True)
    assert lab.archived(mine)
    assert lab.link(row, TRANSFER) == ""
    assert lab.deleted() == set()

    keys = lab.sandbox.s3
    signing = {
        "RECCLI_S3__SIGNING_ACCESS_KEY_ID": keys.reader_access_key,
        "RECCLI_S3__SIGNING_SECRET_ACCESS_KEY": keys.reader_secret_key,
    }
    with Server(lab.environment(**session(lab, **signing)), lab.home) as server:
        server.callback(signed)
        wait_until(lambda: lab.holds(signed_row, signed) == "s3")
        told = server.stop()
    assert (told.code, told.names["temporary_credentials"]) == (0, 0)


def test_a_link_that_carries_a_token_is_dying_whatever_it_says(lab: Lab) -> None:
    row, mine = lab.call()
    assert lab.json("process").code == 0
    row.fields[LINK] = f"{lab.link(row)}&X-Amz-Security-Token=IQoJb3JpZ2luX2VjE"
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.of(mine)["step"], lab.deleted()) == ("Resign", set())
    told = lab.json("process")
    assert (told.code, told.summary["resigned"]) == (0, 1)
    assert "Security-Token" not in lab.link(row)


def test_links_of_former_times_are_renewed(lab: Lab) -> None:
    calls = [lab.call() for _ in range(4)]
    assert lab.json("process").code == 0
    (old_row, old), (sig_row, sig), (cdn_row, cdn), (gone_row, gone) = calls
    keys = {one.sid: lab.objects(one)[0] for _, one in calls}
    past = int((datetime.now(UTC) - timedelta(days=90)).timestamp())
    query = f"AWSAccessKeyId=AKIAEXAMPLE&Expires={past}&Signature=abc%3D"
    old_row.fields[LINK] = f"https://old-bucket.s3.amazonaws.com/{keys[old.sid]}"
    sig_row.fields[LINK] = f"{lab.tap.url}/{lab.bucket}/{keys[sig.sid]}?{query}"
    cdn_row.fields[LINK] = f"https://old-cdn.example.com/audio/{cdn.sid}.mp3"
    gone_row.fields[LINK] = f"https://old-bucket.s3.amazonaws.com/{keys[gone.sid]}"
    for _, one in calls:
        one.created -= timedelta(days=30)  # so that no listing of the last days finds them
    assert lab.json("purge-twilio", "--retention", "0").code == 0
    assert lab.deleted() == set()
    lab.s3.delete_object(Bucket=lab.bucket, Key=keys[gone.sid])
    lab.sandbox.twilio.recordings.pop(gone.sid)

    former = '["s3://old-bucket", "https://old-cdn.example.com/"]'
    lab.sandbox.airtable.clear_requests()
    told = lab.run("process", RECCLI_LINKS__FORMER=former)
    for row, one in calls[:3]:
        assert lab.holds(row, one) == "s3"
        assert lab.link(row).startswith(f"{lab.tap.url}/{lab.bucket}/{keys[one.sid]}?X-Amz-")
    assert "old-bucket" in lab.link(gone_row)
    assert f"renewed; 1 recording: {gone.sid}; fix: " in told.stdout
    scans = [r for r in lab.sandbox.airtable.requests if "old-cdn" in r.target]
    assert len(scans) == 1  # one request finds them all


class Nowhere(StandIn):
    """A server that knows no such path."""

    def handle(self, _request: Request, /) -> Response:
        return Response(404, b"not here", "text/plain")


def test_nothing_goes_behind_a_permalink_that_leads_nowhere(lab: Lab) -> None:
    (_, mine), (_, other) = lab.call(), lab.call()
    with Nowhere() as server:
        how = {
            "RECCLI_LINKS__STYLE": "permalink",
            "RECCLI_LINKS__BASE_URL": f"{server.url}/rec",
            "RECCLI_LINKS__SECRET": SECRET,
        }
        assert lab.json("process", **how).summary["relinked"] == 2
        assert server.requests == []
        told = lab.json("purge-twilio", "--retention", "0", **how)
        assert (told.code, lab.deleted()) == (1, set())
        assert told.error_codes == {"link_dead"}
        assert {told.of(one)["step"] for one in (mine, other)} == {"Hold"}
        assert len(server.requests) == 1  # for all of them
