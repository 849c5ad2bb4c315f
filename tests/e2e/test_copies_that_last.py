"""A copy counts only while it is there for keeps, opens, and is what it says it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.s3_traits import Archived

if TYPE_CHECKING:
    from tests.e2e.lab import Lab, Told

BELIEVED = {"RECCLI_S3__VERIFIES_CHECKSUMS": "true"}
UNFIT = "stored, but not for keeps"


def purge(lab: Lab, *arguments: str, **changes: str) -> Told:
    return lab.json("purge-twilio", "--retention", "0", *arguments, **changes)


def reads(lab: Lab) -> int:
    """Count the whole objects that were read: no links, which are opened with a query."""
    return sum(method == "GET" and "?" not in path for method, path in lab.tap.requests)


def test_a_store_that_repeats_our_checksum_is_read_back_before_a_delete(lab: Lab) -> None:
    row, mine = lab.call()
    _, good = lab.call()
    lab.tap.traits.flipped.add(mine.sid)
    assert lab.json("process").code == 0
    assert (lab.holds(row, mine), reads(lab)) == ("s3", 0)  # never to link
    told = purge(lab)
    assert lab.deleted() == {good.sid}
    assert told.of(mine)["reason"] == "another object has the key: a person must look"
    assert "bytes are not those that came from Twilio" in told.of(mine)["error"]
    assert reads(lab) == 2


def test_a_store_that_is_said_to_check_is_believed(lab: Lab) -> None:
    _, mine = lab.call()
    assert lab.json("process", **BELIEVED).code == 0
    assert (purge(lab, **BELIEVED).code, lab.deleted()) == (0, {mine.sid})
    assert reads(lab) == 0


def test_an_object_that_is_about_to_go_is_no_copy(lab: Lab) -> None:
    _, going = lab.call()
    _, staying = lab.call()
    now = datetime.now(UTC)
    lab.tap.traits.expiring = {
        going.sid: now + timedelta(days=6),
        staying.sid: now + timedelta(days=30),
    }
    assert lab.json("process").code == 0
    told = purge(lab)
    assert lab.deleted() == {staying.sid}
    assert told.of(going)["step"] == "Hold"
    assert told.of(going)["reason"].startswith(f"{UNFIT}: ")
    assert f"{now + timedelta(days=6):%Y-%m-%d}" in told.of(going)["reason"]
    assert "fix: exclude the prefix from the lifecycle rule" in lab.run("purge-twilio").stdout


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_is_wrong_ends_no_retention(lab: Lab, hours: int) -> None:
    _, mine = lab.call()
    assert lab.json("process").code == 0
    lab.tap.traits.clock_shift = timedelta(hours=hours)
    told = lab.json("purge-twilio", "--retention", "24")
    assert (told.code, told.of(mine)["step"], lab.deleted()) == (0, "Wait", set())


@pytest.mark.parametrize(
    "how",
    [
        Archived(),
        Archived("DEEP_ARCHIVE"),
        Archived(status="ARCHIVE_ACCESS"),
        Archived(restored_until=datetime.now(UTC) + timedelta(days=3)),
    ],
    ids=["glacier", "deep", "tier", "restored for a time"],
)
def test_an_archive_that_opens_for_nobody_is_no_copy(lab: Lab, how: Archived) -> None:
    (row, linked), (other, empty) = lab.call(), lab.call()
    assert lab.json("process").code == 0
    other.fields.pop("Recording URL (Twilio/S3)")
    lab.tap.traits.archived = {linked.sid: how, empty.sid: how}
    told = purge(lab)
    assert (lab.deleted(), told.of(linked)["step"]) == (set(), "Hold")
    assert told.of(linked)["reason"].startswith(f"{UNFIT}: ")
    told = lab.json("process")
    assert told.code == 0
    assert (lab.holds(row, linked), lab.holds(other, empty)) == ("s3", "twilio")  # which plays


def test_an_archive_counts_where_that_is_wanted(lab: Lab) -> None:
    _, mine = lab.call()
    assert lab.json("process").code == 0
    lab.tap.traits.archived = {mine.sid: Archived()}
    wanted = {"RECCLI_S3__ACCEPT_ARCHIVE_CLASS": "true"}
    row, linked = lab.call(linked=True)
    lab.tap.traits.archived[linked.sid] = Archived()
    assert lab.json("migrate-fallbacks", **wanted).code == 0
    assert lab.holds(row, linked) == "s3"  # it was decided on, although it does not open
    assert purge(lab, **wanted).of(mine)["step"] == "Hold"  # its bytes cannot be read back
    assert purge(lab, **wanted, **BELIEVED).code == 0
    assert lab.deleted() == {mine.sid, linked.sid}


def test_one_archived_object_stops_no_other_link(lab: Lab) -> None:
    calls = [lab.call() for _ in range(3)]
    assert lab.json("process").code == 0
    (row, gone), *others = calls
    for one_row, one in calls:
        one_row.fields["Recording URL (Twilio/S3)"] = lab.sandbox.twilio.recording_url(one)
    lab.sandbox.twilio.delete(gone.sid)
    lab.tap.traits.archived[gone.sid] = Archived()
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.of(gone)["step"]) == (0, "Hold")
    assert told.of(gone)["reason"].startswith("the last copy opens for nobody")
    assert [lab.holds(*each) for each in ((row, gone), *others)] == ["s3"] * 3


def vanish(lab: Lab, key: str) -> None:
    lab.s3.delete_object(Bucket=lab.bucket, Key=key)


def test_a_linked_object_that_vanished_is_copied_again(lab: Lab) -> None:
    row, mine = lab.call()
    old_row, old = lab.call()
    old.created -= timedelta(days=30)
    assert lab.json("process").code == 0
    assert lab.archived(old)  # a first run looks at everything
    for one in (mine, old):
        vanish(lab, lab.objects(one)[0])
    assert (lab.json("process").summary.get("copied"), lab.keys()) == (None, [])
    assert lab.json("report").code == 5

    told = purge(lab)
    assert (told.code, lab.deleted()) == (5, set())
    assert told.error_codes == {"object_vanished"}
    assert told.names["recording_object_vanished"] == 2
    told = lab.json("process", "--since", "1h")  # who asks for so much gets no more
    assert (told.summary.get("copied"), lab.keys()) == (None, [])
    told = lab.json("process")
    assert (told.code, told.summary["copied"]) == (0, 2)
    assert lab.archived(mine)
    assert lab.archived(old)
    assert (lab.holds(row, mine), lab.holds(old_row, old)) == ("s3", "s3")
    assert lab.json("process").summary.get("copied") is None


def test_a_full_look_finds_it_without_being_told(lab: Lab) -> None:
    _, mine = lab.call()
    assert lab.json("process").code == 0
    vanish(lab, lab.objects(mine)[0])
    assert lab.json("process", "--full", "--dry-run").of(mine)["steps"] == ["Copy"]
    assert lab.json("process", "--full", "--since", "1h").summary["copied"] == 1
    assert lab.archived(mine)


def test_a_part_of_twilio_is_not_compared_and_does_not_count_as_the_whole(lab: Lab) -> None:
    _, mine = lab.call()

    def listings() -> int:
        return sum("list-type=2" in path for _, path in lab.tap.requests)

    assert lab.json("process", mine.sid).code == 0
    vanish(lab, lab.objects(mine)[0])
    for part in (("--since", "1h"), ("--until", "1h"), (mine.sid, "--dry-run")):
        assert lab.json("process", *part).code == 0
        assert listings() == 0
    assert lab.json("process", "--full", "--until", "1h").code == 0  # when there was nothing yet
    assert lab.json("process").summary["copied"] == 1
    assert listings() == 1


def test_what_is_gone_after_the_purge_is_named_as_lost(lab: Lab) -> None:
    _, mine = lab.call()
    assert lab.json("process").code == 0
    assert purge(lab).code == 0
    lab.tampered.add(mine.sid)
    vanish(lab, lab.objects(mine)[0])
    told = lab.json("process", mine.sid)
    assert (told.code, told.of(mine)["step"]) == (1, "Lost")
    (entry,) = told.doc["errors"]
    assert (entry["code"], entry["sid"]) == ("lost", mine.sid)
    assert "older versions of the key may still hold it" in entry["hint"]


def test_s3_that_may_put_but_not_open_gets_no_links(lab: Lab) -> None:
    (row, mine), (linked, other) = lab.call(), lab.call(linked=True)
    lab.tap.traits.unreadable.add("RE")
    told = lab.json("process")
    assert told.code == 4
    assert told.error_codes >= {"link_denied"}
    (entry,) = [e for e in told.doc["errors"] if e["sid"] == mine.sid]
    assert "kms:Decrypt" in entry["hint"]
    assert (lab.holds(row, mine), lab.archived(mine)) == ("twilio", True)
    told = lab.json("migrate-fallbacks", "--retention", "0")
    assert (told.code, lab.holds(linked, other), lab.deleted()) == (4, "twilio", set())

    lab.tap.traits.unreadable.clear()
    lab.tap.requests.clear()
    assert lab.json("migrate-fallbacks").code == 0
    assert (lab.holds(row, mine), lab.holds(linked, other)) == ("s3", "s3")
    opened = [path for method, path in lab.tap.requests if method == "GET"]
    assert len(opened) == 1  # the first link of the run
