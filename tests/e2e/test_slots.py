"""Several recordings of a call, several rows, rows that people have written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.running import CALL, LINK, TRANSFER

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

PERSON = "https://files.example.org/interview-with-the-customer.mp3"
HELD = "archived, nothing refers to it yet"


def in_order(lab: Lab, row: FakeRow, made: list[FakeRecording]) -> None:
    """Hold that two are linked in order of creation, and that the third is safe all the same."""
    first, second, third = made
    assert lab.holds(row, first, LINK) == "s3"
    assert lab.holds(row, second, TRANSFER) == "s3"
    assert all(lab.archived(one) for one in made)
    assert third.sid not in str(row.fields)


def test_three_recordings_of_one_call_in_one_run(lab: Lab) -> None:
    row, made = lab.sandbox.call(recordings=3, duration=2)
    told = lab.json("process")
    in_order(lab, row, made)
    assert (told.code, told.summary["held"]) == (0, 1)
    assert told.of(made[2])["step"] == "Hold"
    assert told.of(made[2])["reason"].startswith(f"{HELD}: the 2 link fields of row {row.id} ")
    purge = lab.json("purge-twilio", "--retention", "0")
    assert (purge.code, lab.deleted()) == (0, {made[0].sid, made[1].sid})


def test_three_recordings_of_one_call_one_a_run(lab: Lab) -> None:
    row, made = lab.sandbox.call(recordings=3, duration=2)
    for _ in made:
        told = lab.json("process", "--limit", "1")
        assert (told.code, told.summary["seen"]) == (0, 1)
    in_order(lab, row, made)


def test_three_recordings_of_one_call_named_newest_first(lab: Lab) -> None:
    row, made = lab.sandbox.call(recordings=3, duration=2)
    for recording in reversed(made):
        assert lab.json("process", recording.sid).code == 0
    in_order(lab, row, made)


def test_three_recordings_of_one_call_by_two_machines_at_once(lab: Lab) -> None:
    calls = [lab.sandbox.call(recordings=3, duration=2) for _ in range(3)]
    runs = [lab.start("process", "--json", STATE_DIRECTORY=str(lab.home / name)) for name in "ab"]
    ended = [run.end() for run in runs]
    assert [told.code for told in ended] == [0, 0]
    for row, made in calls:
        in_order(lab, row, made)
    assert len(lab.keys()) == 9


def test_rows_of_people_late_rows_and_rows_that_come_twice(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    taken, full, twice, late, other = (twilio.add(duration=2) for _ in range(5))
    row = lab.row(taken.call_sid, link=PERSON)
    full_row = lab.row(full.call_sid, link=PERSON, transfer=PERSON)
    twins = [lab.row(twice.call_sid), lab.row(twice.call_sid)]
    mention = lab.row("", link=twilio.recording_url(other))  # a row that knows no call
    told = lab.json("process")
    assert told.code == 0
    assert (lab.link(row), lab.holds(row, taken, TRANSFER)) == (PERSON, "s3")
    assert (lab.link(full_row), lab.link(full_row, TRANSFER)) == (PERSON, PERSON)
    assert told.of(full)["step"] == "Hold"
    assert told.of(full)["reason"] == f"{HELD}: row {full_row.id} is full of somebody's own links"
    assert [lab.holds(twin, twice) for twin in twins] == ["s3", "s3"]
    assert (told.of(late)["step"], told.of(late)["reason"]) == ("Hold", HELD)
    assert told.event("call_log_not_found")["recording_sid"] == late.sid
    assert all(lab.archived(one) for one in (taken, full, twice, late))

    late_row = lab.row(late.call_sid)
    twins[1].fields.pop(LINK)
    told = lab.json("migrate-fallbacks")
    assert (told.code, lab.holds(mention, other)) == (0, "s3")
    purge = lab.json("purge-twilio", "--retention", "0")
    assert purge.code == 0
    assert lab.deleted() == {taken.sid, other.sid}  # not before both rows and the late one link
    assert lab.json("process").code == 0
    assert (lab.holds(late_row, late), lab.holds(twins[1], twice)) == ("s3", "s3")
    lab.json("purge-twilio", "--retention", "0")
    assert lab.deleted() == {taken.sid, other.sid, twice.sid, late.sid}


def test_a_key_made_of_row_fields_waits_for_them(lab: Lab) -> None:
    template = {"RECCLI_S3__KEY_TEMPLATE": "{provider}/{employee}/{recording_sid}.{ext}"}
    twilio = lab.sandbox.twilio
    mine, other = twilio.add(duration=2), twilio.add(duration=2)
    lab.row(other.call_sid, Provider="Aged Care/../North", Employee="Zoë O'Neil")
    told = lab.json("process", **template)
    assert told.code == 0
    assert (told.of(mine)["step"], told.of(mine)["key"]) == ("Wait", None)
    assert lab.keys() == [told.of(other)["key"]]
    assert lab.archived(other)
    assert ".." not in told.of(other)["key"].split("/")
    row = lab.row(mine.call_sid, Provider="North", Employee="Ann")
    told = lab.json("process", **template)
    assert (told.code, told.of(mine)["key"]) == (0, f"call-recordings/North/Ann/{mine.sid}.mp3")
    assert lab.holds(row, mine) == "s3"
    row.fields["Provider"] = "South"  # the link says where the object is, not the row's new name
    purge = lab.json("purge-twilio", "--retention", "0", **template)
    assert (purge.code, lab.deleted()) == (0, {mine.sid, other.sid})


def test_a_call_sid_cannot_reach_into_a_formula(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    row, mine = lab.call(linked=True)
    rows = []
    for sid in ('CA"),TRUE(),("', "{CallSid}", "CA1\n\"'}\\", "CA" + "0" * 40):
        recording = twilio.add(duration=2)
        rows.append((lab.row(sid, link=twilio.recording_url(recording)), recording, sid))
    stranger = lab.row("CA" + "f" * 32, link=PERSON)
    told = lab.json("migrate-fallbacks")
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    for odd_row, odd, sid in rows:
        assert (odd_row.fields[CALL], lab.holds(odd_row, odd)) == (sid, "s3")
    assert (lab.link(stranger), lab.link(stranger, TRANSFER)) == (PERSON, "")
    formulas = [str(r.query.get("filterByFormula")) for r in lab.sandbox.airtable.requests]
    assert not any("TRUE()" in formula for formula in formulas)


def test_a_dry_run_looks_who_else_may_take_the_free_cell(lab: Lab) -> None:
    _, recordings = lab.sandbox.call(duration=1, recordings=3)
    third = recordings[2]
    told = lab.json("process", third.sid, "-n")
    assert (told.summary, told.of(third)["steps"]) == (
        {"seen": 1, "copied": 1, "held": 1},
        ["Copy"],
    )
    assert lab.json("process", third.sid).summary == told.summary
