"""What can happen to a recording, played with the real commands on the sandbox.

The five scenarios are those of the system that reccli replaces; the outage is what it is for.
Each story checks its own end against the services, not against what reccli says of itself.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import httpx

from reccli.flow.result import Exit
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import LINK, TRANSFER, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reccli.sandbox.recordings import FakeRecording
    from reccli.sandbox.running import Sandbox

    Say = Callable[[str], None]

RETENTION_S = 4
"""The stories' retention: a day would be long to wait for."""


class StoryError(Exception):
    """The services do not look as the story says that they should."""


def outage(sandbox: Sandbox, say: Say) -> None:
    """S3 goes down and comes back; nothing is lost and every link works."""
    say("Five calls come in, one of them with two recordings, while S3 is down.")
    calls = [sandbox.call(duration=20 + 7 * n, channels=1 + n % 2) for n in range(4)]
    calls.append(sandbox.call(recordings=2))
    recordings = [recording for _, made in calls for recording in made]
    originals = {r.sid: r.media("mp3", r.channels) for r in recordings}
    sandbox.s3.down()
    _expect(
        show(sandbox, say, "process").exit_code == Exit.TRANSIENT,
        "an outage is transient: exit code 5",
    )
    say("Every row has a Twilio link for now, and Twilio keeps every recording.")
    _expect(all(_is_twilio(link) for link in _links(sandbox)), "every row has a Twilio link")
    show(sandbox, say, "report")

    say("S3 is back. What would be repaired?")
    sandbox.s3.up()
    show(sandbox, say, "migrate-fallbacks", "--dry-run")
    _expect(all(_is_twilio(link) for link in _links(sandbox)), "a dry run changes nothing")
    show(sandbox, say, "migrate-fallbacks")
    _expect(not any(_is_twilio(link) for link in _links(sandbox)), "every row has an S3 link")

    say("Twilio may not be cleaned yet: the retention of 24 h has just begun.")
    show(sandbox, say, "purge-twilio")
    _expect(not sandbox.twilio.deletions, "nothing is deleted within the retention")
    say(f"Time passes; here {RETENTION_S} s stand for the 24 h.")
    time.sleep(RETENTION_S)
    show(sandbox, say, "purge-twilio", "--retention", f"{RETENTION_S / 3600:.4f}")
    _expect(len(sandbox.twilio.deletions) == len(recordings), "Twilio is clean")
    _expect(show(sandbox, say, "report").exit_code == Exit.OK, "the report is content")
    figures = sandbox.reccli("report", "--json").document["report"]
    _expect(figures["at_risk"] == 0, "none at risk")
    _expect(figures["fallback_rate"] == 0, "nothing is on fallback still")
    opened = _check_links(sandbox, recordings, originals)
    say(f"All {opened} links were opened: each gives the bytes that Twilio recorded.")


def s3_fine(sandbox: Sandbox, say: Say) -> None:
    """Everything works: the row gets an S3 link."""
    _, (recording,) = sandbox.call()
    _expect(show(sandbox, say, "process").exit_code == Exit.OK, "it succeeds")
    _check_links(sandbox, [recording], {recording.sid: recording.media("mp3", 1)})


def s3_credentials(sandbox: Sandbox, say: Say) -> None:
    """S3 refuses the credentials: the row gets the Twilio link, Twilio keeps the recording."""
    sandbox.call()
    wrong = "wrong-secret-key"
    done = show(sandbox, say, "process", RECCLI_S3__SECRET_ACCESS_KEY=wrong)
    _expect(done.exit_code == Exit.DENIED, "refused credentials: exit code 4")
    _fell_back(sandbox)


def s3_bucket_missing(sandbox: Sandbox, say: Say) -> None:
    """Let S3 have no such bucket: nothing is written anywhere, Twilio keeps the recording."""
    sandbox.call()
    done = show(sandbox, say, "process", AWS_S3_BUCKET="no-such-bucket")
    _expect(
        done.exit_code == Exit.USAGE, "a wrong bucket is a mistake of configuration: exit code 2"
    )
    _expect(not _links(sandbox), "the row is as it was")
    _expect(not sandbox.twilio.deletions, "Twilio keeps every recording")
    say("The bucket's name is corrected.")
    _expect(show(sandbox, say, "process").exit_code == Exit.OK, "the next run succeeds")
    _expect(not any(_is_twilio(link) for link in _links(sandbox)), "the row has the S3 link")


def s3_timeout(sandbox: Sandbox, say: Say) -> None:
    """S3 does not answer: the row gets the Twilio link, Twilio keeps the recording."""
    sandbox.call()
    with closing(_deaf_server()) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        done = show(sandbox, say, "process", RECCLI_S3__ENDPOINT_URL=endpoint)
    _expect(done.exit_code == Exit.TRANSIENT, "a timeout is transient: exit code 5")
    _fell_back(sandbox)


def airtable_fails(sandbox: Sandbox, say: Say) -> None:
    """Airtable refuses the update: the recording is in S3, and the next run links it."""
    sandbox.call()
    sandbox.airtable.faults.add(Fault(FaultKind.STATUS, "PATCH", times=None, status=503))
    _expect(
        show(sandbox, say, "process").exit_code == Exit.TRANSIENT, "it is transient: exit code 5"
    )
    _expect(not _links(sandbox), "the row is as it was")
    say("Airtable is well again.")
    sandbox.airtable.faults.clear()
    _expect(show(sandbox, say, "process").exit_code == Exit.OK, "the next run succeeds")
    _expect(not any(_is_twilio(link) for link in _links(sandbox)), "the row has the S3 link")


SCENARIOS = (s3_fine, s3_credentials, s3_bucket_missing, s3_timeout, airtable_fails)
STORIES = {story.__name__.replace("_", "-"): story for story in (outage, *SCENARIOS)}


def _expect(truth: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not truth:
        raise StoryError(what)


def _links(sandbox: Sandbox) -> list[str]:
    cells = (
        row.fields.get(name) for row in sandbox.airtable.rows.values() for name in (LINK, TRANSFER)
    )
    return [str(cell) for cell in cells if cell]


def _is_twilio(link: str) -> bool:
    return "/2010-04-01/Accounts/" in link


def _fell_back(sandbox: Sandbox) -> None:
    links = _links(sandbox)
    _expect(bool(links) and all(map(_is_twilio, links)), "every row has a Twilio link")
    _expect(not sandbox.twilio.deletions, "Twilio keeps every recording")


def _check_links(
    sandbox: Sandbox, recordings: Iterable[FakeRecording], originals: dict[str, bytes]
) -> int:
    """Open every link as a person would, and compare the bytes."""
    links = _links(sandbox)
    for recording in recordings:
        mine = [link for link in links if recording.sid in link]
        _expect(bool(mine), f"{recording.sid} has a link")
        for link in mine:
            answer = httpx.get(link, trust_env=False)
            _expect(answer.content == originals[recording.sid], f"{recording.sid} is whole")
    return len(links)


def _deaf_server() -> socket.socket:
    """Listen, and never answer."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)
