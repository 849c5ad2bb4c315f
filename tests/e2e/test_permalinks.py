"""Links that never rot: written, followed to the very bytes, moved to when the style changes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from reccli import wiring
from reccli.adapters.opener import Opener
from reccli.adapters.s3 import S3Adapter
from reccli.config import load
from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.links import signature
from reccli.intake.redirect import permalink_route
from reccli.sandbox.running import TRANSFER
from tests.e2e.serving import Server
from tests.intake.app import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab, Told

    Style = Callable[[], dict[str, str]]

HOST = "https://calls.example.com"
SECRET, OLDER = (f"the-{age}permalink-secret-of-32-and-more" for age in ("", "older-"))


def lasting(hours: float, refresh_before: float) -> dict[str, str]:
    return {
        "RECCLI_LINKS__TTL_HOURS": str(hours),
        "RECCLI_LINKS__REFRESH_BEFORE_HOURS": str(refresh_before),
    }


def permalinks(base_url: str = HOST, secret: str = SECRET) -> dict[str, str]:
    return {**presigned(base_url, secret), "RECCLI_LINKS__STYLE": "permalink"}


def presigned(base_url: str = HOST, secret: str = SECRET) -> dict[str, str]:
    """Set the style back, and keep what tells our permalinks from other people's links."""
    return {"RECCLI_LINKS__BASE_URL": base_url, "RECCLI_LINKS__SECRET": secret}


@contextmanager
def server(lab: Lab, secret: str = SECRET) -> Iterator[str]:
    settings = load(None, env=lab.environment(RECCLI_LINKS__SECRET=secret))
    s3 = S3Adapter(wiring.s3_options(settings, 4))
    route = permalink_route(wiring.link_book(settings).permalinks, s3.presign)
    with serving(Starlette(routes=[route])) as url:
        yield url
    s3.close()


def process(lab: Lab, *arguments: str, **changes: str) -> Told:
    told = lab.json("process", *arguments, **changes)
    for secret in (SECRET, OLDER, "sig="):
        assert secret not in told.stdout + told.stderr
    return told


def signed_by(link: str) -> str:
    """Tell by which secret a permalink was signed, from the link alone."""
    key = urlsplit(link).path.removeprefix("/r/")
    (sig,) = parse_qs(urlsplit(link).query)["sig"]
    return {signature(key, secret): secret for secret in (SECRET, OLDER)}[sig]


def airtable_asked(lab: Lab) -> list[str]:
    """Take the methods of the requests since the last time; long looks go by POST."""
    asked = [request.method for request in lab.sandbox.airtable.requests]
    lab.sandbox.airtable.clear_requests()
    return asked


def twilio_forgets(lab: Lab) -> None:
    """Let 40 days go by since every recording was deleted."""
    with lab.sandbox.twilio.lock:
        lab.sandbox.twilio.recordings.clear()


def failure_of(link: str) -> Failure:
    with pytest.raises(ServiceError) as caught:
        Opener().open(link)
    return caught.value.failure


def archive(lab: Lab, count: int, **links: str) -> list[tuple[FakeRow, FakeRecording]]:
    calls = [lab.call(duration=1) for _ in range(count)]
    told = process(lab, **links)
    assert (told.code, told.summary["relinked"]) == (0, count)
    airtable_asked(lab)
    return calls


def is_permalink(lab: Lab, row: FakeRow, base_url: str = HOST) -> bool:
    return lab.link(row).startswith(f"{base_url}/r/")


def is_presigned(lab: Lab, row: FakeRow) -> bool:
    return "X-Amz-Signature=" in lab.link(row)


class TestFollowing:
    def test_from_the_row_to_the_very_bytes(self, lab: Lab) -> None:
        with server(lab) as url, httpx.Client(follow_redirects=True) as http:
            ((row, mine),) = archive(lab, 1, **permalinks(url))
            link, audio = lab.link(row), mine.media("mp3", 1)
            assert is_permalink(lab, row, url)
            got = http.get(link)
            assert (got.status_code, got.content) == (200, audio)
            assert got.headers["content-type"] == "audio/mpeg"
            assert str(got.url).startswith(lab.tap.url)
            looked = http.head(link)
            assert looked.status_code == 200
            assert looked.headers["content-length"] == str(len(audio))
            part = http.get(link, headers={"Range": "bytes=0-99"})
            assert (part.status_code, part.content) == (206, audio[:100])
            assert http.get(link[:-1] + ("0" if link[-1] != "0" else "1")).status_code == 403

    def test_below_a_path_it_is_opened_as_it_is_written(self, lab: Lab) -> None:
        links = permalinks(f"{HOST}/rec")
        ((row, mine),) = archive(lab, 1, **links)
        assert is_permalink(lab, row, f"{HOST}/rec")
        with Server(lab.environment(**links), lab.home) as running:
            link = lab.link(row).replace(HOST, running.url)
            Opener().open(link)
            Opener().open(link.replace("/rec/r/", "/r/"))  # through a proxy that takes it away
            wrong = failure_of(link[:-1])
            nowhere = failure_of(link.replace("/rec/", "/other/"))
            lab.s3.delete_object(Bucket=lab.bucket, Key=lab.objects(mine)[0])
            gone = failure_of(link)
            lab.tampered.add(mine.sid)
        assert (wrong.service, wrong.code) == (Service.RECCLI, "link_denied")
        assert (nowhere.service, nowhere.code) == (Service.RECCLI, "link_dead")
        assert "links.base_url, its path" in nowhere.hint
        assert (gone.service, gone.code) == (Service.S3, "link_dead")
        assert "404 NoSuchKey" in gone.message

    def test_every_command_writes_them(self, lab: Lab) -> None:
        fallback_row, _ = lab.call(duration=1, linked=True)
        with server(lab) as url:
            told = lab.json("migrate-fallbacks", **permalinks(url))
            assert (told.code, told.summary["relinked"]) == (0, 1)
            assert "/r/" in lab.link(fallback_row)
            assert signed_by(lab.link(fallback_row)) == SECRET
            purged = lab.json("purge-twilio", "--retention", "0", **permalinks(url))
            assert (purged.code, purged.summary["deleted"]) == (0, 1)

    def test_it_works_again_when_the_url_that_it_led_to_has_died(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reccli.intake.redirect.LIFE", timedelta(seconds=1))
        with server(lab) as url:
            ((row, mine),) = archive(lab, 1, **permalinks(url))
            first = httpx.get(lab.link(row)).headers["location"]
            deadline = time.monotonic() + 20
            while httpx.get(first).status_code != 403:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            again = httpx.get(lab.link(row), follow_redirects=True)
            assert (again.status_code, again.content) == (200, mine.media("mp3", 1))

    def test_a_secret_is_rotated_without_breaking_a_link(self, lab: Lab) -> None:
        ((old_row, old),) = archive(lab, 1, **permalinks(secret=OLDER))
        both = f"{SECRET},{OLDER}"
        ((new_row, new),) = archive(lab, 1, **permalinks(secret=both))
        assert [signed_by(lab.link(row)) for row in (old_row, new_row)] == [OLDER, SECRET]
        with server(lab, both) as url, httpx.Client(follow_redirects=True) as http:
            for row, recording in ((old_row, old), (new_row, new)):
                got = http.get(lab.link(row).replace(HOST, url))
                assert (got.status_code, got.content) == (200, recording.media("mp3", 1))
        with server(lab, SECRET) as url:
            statuses = [
                httpx.get(lab.link(row).replace(HOST, url)).status_code
                for row in (old_row, new_row)
            ]
        assert statuses == [403, 302]


class TestMoving:
    """`process` moves what the rows hold; most of it is on Twilio no longer."""

    @pytest.mark.parametrize("forgotten", [False, True])
    def test_to_permalinks_and_back(self, lab: Lab, *, forgotten: bool) -> None:
        rows = [row for row, _ in archive(lab, 12)]
        if forgotten:
            twilio_forgets(lab)
        for settings, right in (
            (permalinks(), is_permalink),
            (presigned(), is_presigned),
            (permalinks(), is_permalink),
        ):
            told = process(lab, **settings)
            assert told.code == 0
            assert told.summary["resigned"] == told.summary["seen"] == 12
            assert all(right(lab, row) for row in rows)
            assert airtable_asked(lab).count("PATCH") == 2  # ten rows at a time
            idle = process(lab, **settings)
            assert (idle.code, idle.summary) == (0, {})
            assert airtable_asked(lab) == ["GET"] * (1 if forgotten else 2)

    def test_at_the_pace_that_airtable_bears(self, lab: Lab) -> None:
        rows = [row for row, _ in archive(lab, 120)]
        twilio_forgets(lab)
        # Two more than Airtable takes: a busy machine holds requests up, and lets them go together.
        lab.sandbox.airtable.requests_per_second = 7
        throttled = lab.sandbox.airtable.throttled
        told = process(lab, **permalinks())
        assert (told.code, told.summary["resigned"]) == (0, 120)
        assert all(is_permalink(lab, row) for row in rows)
        assert lab.sandbox.airtable.throttled == throttled
        asked = airtable_asked(lab)
        assert asked.count("PATCH") <= 14
        # Pages of 100, looks at 50 (or as many as came in time), updates of 10.
        assert len(asked) <= 2 + 8 + 14

    def test_a_presigned_link_is_renewed_before_it_dies(self, lab: Lab) -> None:
        short = lasting(48.01, 48)  # 36 seconds until they are due
        rows = [row for row, _ in archive(lab, 2, **short)]
        twilio_forgets(lab)
        before = [lab.link(row) for row in rows]
        assert process(lab, **short).summary == {}
        assert [lab.link(row) for row in rows] == before
        told = process(lab, **lasting(48.02, 48.01))
        assert (told.code, told.summary["resigned"]) == (0, 2)
        after = [lab.link(row) for row in rows]
        assert not set(after) & set(before)
        assert [httpx.get(link).status_code for link in after] == [200, 200]

    def test_a_link_signed_by_an_accepted_secret_stays(self, lab: Lab) -> None:
        ((row, _),) = archive(lab, 1, **permalinks(secret=OLDER))
        link = lab.link(row)
        told = process(lab, **permalinks(secret=f"{SECRET},{OLDER}"))
        assert (told.code, told.summary, lab.link(row)) == (0, {}, link)
        assert "PATCH" not in airtable_asked(lab)

    def test_one_that_was_revoked_is_signed_again_while_twilio_lists_it_or_when_named(
        self, lab: Lab
    ) -> None:
        (listed, _), (named, gone) = archive(lab, 2, **permalinks(secret=OLDER))
        with lab.sandbox.twilio.lock:
            del lab.sandbox.twilio.recordings[gone.sid]
        told = process(lab, **permalinks())
        assert (told.code, told.summary["resigned"]) == (0, 1)
        assert [signed_by(lab.link(row)) for row in (listed, named)] == [SECRET, OLDER]
        told = process(lab, gone.sid, **permalinks())
        assert (told.code, told.summary["resigned"]) == (0, 1)
        assert signed_by(lab.link(named)) == SECRET

    def test_all_that_were_revoked_are_signed_again_by_way_of_presigned_links(
        self, lab: Lab
    ) -> None:
        rows = [row for row, _ in archive(lab, 3, **permalinks(secret=OLDER))]
        twilio_forgets(lab)
        assert process(lab, **permalinks()).summary == {}
        assert process(lab, **presigned()).summary["resigned"] == 3
        assert process(lab, **permalinks()).summary["resigned"] == 3
        assert {signed_by(lab.link(row)) for row in rows} == {SECRET}

    def test_to_another_host_by_way_of_presigned_links(self, lab: Lab) -> None:
        ((row, _),) = archive(lab, 1, **permalinks())
        twilio_forgets(lab)
        there = "https://new.example.com"
        assert process(lab, **permalinks(there)).summary == {}  # that host is anybody's now
        assert is_permalink(lab, row)
        process(lab, **presigned())
        process(lab, **permalinks(there))
        assert is_permalink(lab, row, there)

    def test_a_changed_address_moves_what_is_looked_at_and_fills_no_other_field(
        self, lab: Lab
    ) -> None:
        ((row, _),) = archive(lab, 1, **permalinks())
        there = "https://new.example.com"
        for address in (there, HOST):
            assert process(lab, **permalinks(address)).summary["resigned"] == 1
            assert is_permalink(lab, row, address)
            assert lab.link(row, TRANSFER) == ""

    def test_links_of_others_on_the_same_host_stay(self, lab: Lab) -> None:
        texts = [f"{HOST}/r/notes.mp3?sig=0", f"{HOST}/reports/7", "https://x.example.com/r/7"]
        rows = [lab.row(f"CA{number:032x}", link=text) for number, text in enumerate(texts)]
        for settings in (permalinks(), presigned(), permalinks()):
            assert process(lab, **settings).summary == {}
        assert [lab.link(row) for row in rows] == texts


class TestMissingObjects:
    """A link to an object that is gone is not written again and again: that would hide the loss."""

    @pytest.mark.parametrize(("written", "now"), [(presigned, permalinks), (permalinks, presigned)])
    def test_the_loss_is_told_in_each_run_and_the_row_stays(
        self, lab: Lab, written: Style, now: Style
    ) -> None:
        ((row, mine),) = archive(lab, 1, **written())
        lab.sandbox.twilio.delete(mine.sid)
        lab.s3.delete_object(Bucket=lab.bucket, Key=lab.objects(mine)[0])
        lab.tampered.add(mine.sid)
        link = lab.link(row)
        airtable_asked(lab)
        for _ in range(2):
            told = process(lab, **now())
            assert (told.code, told.summary) == (1, {"seen": 1, "lost": 1})
            assert lab.link(row) == link
        assert "PATCH" not in airtable_asked(lab)

    def test_a_permalink_is_left_alone(self, lab: Lab) -> None:
        ((row, mine),) = archive(lab, 1, **permalinks())
        twilio_forgets(lab)
        lab.s3.delete_object(Bucket=lab.bucket, Key=lab.objects(mine)[0])
        link = lab.link(row)
        for _ in range(2):
            told = process(lab, **permalinks())
            assert (told.code, told.summary, lab.link(row)) == (0, {}, link)
        assert airtable_asked(lab) == ["GET", "GET"]

    def test_from_twilio_it_is_brought_back(self, lab: Lab) -> None:
        ((row, mine),) = archive(lab, 1)
        lab.s3.delete_object(Bucket=lab.bucket, Key=lab.objects(mine)[0])
        told = process(lab, **permalinks())
        assert (told.code, told.summary["copied"], told.summary["resigned"]) == (0, 1, 1)
        assert is_permalink(lab, row)
        assert lab.archived(mine)


@pytest.mark.parametrize(
    ("recordings", "asked"), [(0, 1), (1, 1 + 1), (50, 1 + 1), (51, 1 + 2), (120, 1 + 3)]
)
def test_what_an_idle_run_costs(lab: Lab, recordings: int, asked: int) -> None:
    """One look for links that are due, and one for every 50 recordings that Twilio lists."""
    if recordings:
        archive(lab, recordings, **permalinks())
    else:
        process(lab, **permalinks())  # a first run looks at everything
        airtable_asked(lab)
    lab.sandbox.twilio.clear_requests()
    lab.tap.requests.clear()
    told = process(lab, **permalinks())
    assert (told.code, told.summary) == (0, {})
    assert airtable_asked(lab) == ["GET"] * asked
    assert len(lab.sandbox.twilio.requests) == 1
    assert lab.tap.requests == []
