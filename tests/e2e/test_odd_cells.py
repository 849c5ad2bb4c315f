"""Cells as people and Airtable leave them: found and put right, or found and told as what it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import ACCOUNT_SID, CALL, LINK, TRANSFER

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

SECRET = "the-auth-token-of-the-account-1234"
PERSON = "https://files.example.org/interview-with-the-customer.mp3"
API = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/"


def test_fallback_links_in_every_dress_are_found_and_moved(lab: Lab) -> None:
    dresses = {
        "host in any case": f"https://Api.Twilio.Com{API}%s",
        "dead host in any case": f"HTTPS://API.ie1.twilio.com{API}%s.mp3",
        "path": f"{API}%s",
        "path with white space": f"\n{API}%s.wav ",
        "SID": "%s",
        "SID with white space": " %s\u200b\n",
        "SID of a file": "%s.mp3",
    }
    calls = {name: lab.call() for name in dresses}
    for name, (row, mine) in calls.items():
        row.fields[TRANSFER if "white" in name else LINK] = dresses[name] % mine.sid
    assert lab.json("report").doc["report"]["fallback_rows"] == len(dresses)
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["relinked"]) == (0, len(dresses))
    for name, (row, mine) in calls.items():
        field, other = (TRANSFER, LINK) if "white" in name else (LINK, TRANSFER)
        assert (lab.holds(row, mine, field), lab.link(row, other)) == ("s3", ""), name
        assert lab.archived(mine)
    assert lab.json("migrate-fallbacks").summary == {}
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {mine.sid for _, mine in calls.values()})


def test_what_is_no_link_is_told_as_what_it_is_and_no_secret_is_repeated(lab: Lab) -> None:
    mine, other = lab.sandbox.twilio.add(duration=2), lab.sandbox.twilio.add(duration=2)
    url = f"https://api.twilio.com{API}{mine.sid}"
    cells = {
        "cell_secret": url.replace("//", f"//{ACCOUNT_SID}:{SECRET}@"),
        "cell_markup": f"[listen]({url})",
        "cell_several": f"{url} {url.replace(mine.sid, other.sid)}",
        "cell_text": f"{mine.sid} (Ann)",
        "cell_old_version": url.replace("2010-04-01", "2008-08-01"),
        "cell_other_account": url.replace(ACCOUNT_SID, "AC" + "0" * 32),
        "cell_other_region": url.replace("api.", "api.dublin.ie1."),
        "cell_no_scheme": url.removeprefix("https://"),
        "cell_other_host": url.replace("twilio.com", "twilio.example"),
        "cell_unread": f"{url}/Transcriptions",
    }
    rows = {code: lab.row("", link=text) for code, text in cells.items()}
    told = lab.json("migrate-fallbacks")
    held = {entry["link"]: entry for entry in told.doc["recordings"]}
    assert (told.code, told.summary["held"]) == (0, len(cells))
    reasons = [held[f"row {row.id}"]["reason"] for row in rows.values()]
    assert len({reason.partition(" holds ")[2] for reason in reasons}) == len(cells)
    assert all(f"'{LINK}' of row rec" in reason for reason in reasons)
    assert {lab.link(row) for row in rows.values()} == set(cells.values())
    assert lab.keys() == []
    in_words = lab.run("migrate-fallbacks")
    for said in (told.stdout, told.stderr, in_words.stdout, in_words.stderr):
        assert SECRET not in said
    assert "a user name and a password in it" in in_words.stdout
    assert "auth token: make a new one in Twilio's console" in in_words.stdout
    assert in_words.stdout.count("fix: ") == len(cells)


def test_an_odd_cell_beside_a_good_link_is_told_as_well(lab: Lab) -> None:
    row, mine = lab.call(linked=True)
    row.fields[TRANSFER] = f"https://api.twilio.com{API.replace('2010-04', '2008-08')}{mine.sid}"
    told = lab.json("migrate-fallbacks")
    (odd,) = [entry for entry in told.doc["recordings"] if entry["sid"] is None]
    assert f"'{TRANSFER}' of row {row.id}" in odd["reason"]
    assert (lab.holds(row, mine), told.of(mine)["steps"]) == ("s3", ["Copy", "Relink"])


def test_a_word_in_the_field_is_told_and_moves_the_link_nowhere_else(lab: Lab) -> None:
    (row, mine), (two_row, two) = lab.call(), lab.sandbox.call(recordings=2, duration=2)
    number = "0412 345 678"
    other_row, other = lab.call()
    for each, text in ((row, "pending"), (two_row, "N/A"), (other_row, number)):
        each.fields[LINK] = text
    told = lab.json("process")
    assert (told.code, told.summary["held"]) == (0, 3)
    assert lab.archived(mine)
    reason = told.of(mine)["reason"]
    assert reason.startswith("a text that is no link stands in its field: a person must look: ")
    assert f"'{LINK}' of row {row.id} holds \"pending\"" in reason
    assert '"N/A"' in told.of(two[0])["reason"]
    assert "a text of 12 characters" in told.of(other)["reason"]
    assert number not in told.stdout + told.stderr
    # What is not its turn takes its own field; nothing is written over.
    assert lab.holds(two_row, two[1], TRANSFER) == "s3"
    assert [lab.link(each) for each in (row, two_row, other_row)] == ["pending", "N/A", number]
    assert [lab.link(each, TRANSFER) for each in (row, other_row)] == ["", ""]
    assert "empty the cell" in lab.run("process", mine.sid).stdout
    assert lab.json("process", two[1].sid).of(two[1])["step"] == "Wait"
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {two[1].sid})
    for each in (row, two_row, other_row):
        del each.fields[LINK]
    assert lab.json("process").summary["relinked"] == 3
    assert (lab.holds(row, mine), lab.holds(two_row, two[0])) == ("s3", "s3")


def test_a_word_keeps_a_recording_named_alone_from_another_field(lab: Lab) -> None:
    """Whose turn a field is, the other recordings of the call have to tell first."""
    row, mine = lab.call()
    row.fields[LINK] = "tbd"
    told = lab.json("process", mine.sid)
    assert (told.of(mine)["step"], lab.link(row, TRANSFER)) == ("Hold", "")
    row.fields.pop(LINK)
    row.fields[TRANSFER] = "tbd"
    assert lab.json("process", mine.sid).code == 0
    assert (lab.holds(row, mine), lab.link(row, TRANSFER)) == ("s3", "tbd")


@pytest.mark.parametrize("kind", ["singleLineText", "richText", "lookup"])
def test_white_space_around_the_call_sid_is_nothing(lab: Lab, kind: str) -> None:
    lab.sandbox.airtable.types[CALL] = kind
    calls = [lab.call() for _ in range(4)]
    for (row, mine), dress in zip(calls, ("%s\n", " \xa0%s ", "\u200b%s\ufeff", "%s"), strict=True):
        cell = dress % mine.call_sid
        row.fields[CALL] = [cell] if kind == "lookup" else cell
    told = lab.json("process")
    assert (told.code, told.summary["relinked"]) == (0, 4)
    assert [lab.holds(row, mine) for row, mine in calls] == ["s3"] * 4
    assert lab.json("purge-twilio", "--retention", "0").code == 0
    assert lab.deleted() == {mine.sid for _, mine in calls}


def test_a_row_whose_call_cannot_be_read_is_told_by_its_field(lab: Lab) -> None:
    airtable = lab.sandbox.airtable
    airtable.types[CALL] = "multipleRecordLinks"
    linked_row, linked = lab.call()
    linked_row.fields[CALL] = [airtable.linked(linked.call_sid)]
    (row, mine), alone = lab.call(), lab.sandbox.twilio.add(duration=2)
    row.fields[CALL] = f"{mine.call_sid}, CA{'0' * 32}"
    told = lab.json("process", linked.sid, mine.sid)
    assert (told.code, told.summary["held"]) == (0, 2)
    assert lab.archived(linked)
    assert told.names["call_log_not_found"] == 0
    for one, its_row, what in (
        (linked, linked_row, "gives no SID"),
        (mine, row, "holds more than"),
    ):
        reason = told.of(one)["reason"]
        assert "airtable.call_sid_field" in reason
        assert its_row.id in reason
        assert what in reason
        assert (lab.link(its_row), lab.link(its_row, TRANSFER)) == ("", "")
    said = lab.run("process").stdout
    assert "fix: let airtable.call_sid_field name a field that" in said
    assert "fix: leave the SID in the cell and nothing else" in said
    # One that really has no row is not told of a row of somebody else's.
    row.fields[CALL] = mine.call_sid
    linked_row.fields[LINK] = lab.sandbox.twilio.recording_url(linked)
    told = lab.json("process")
    assert told.of(alone)["reason"] == "archived, nothing refers to it yet"
    assert lab.holds(row, mine) == "s3"
    assert lab.json("migrate-fallbacks").summary["relinked"] == 1
    assert lab.holds(linked_row, linked) == "s3"


def test_a_key_is_not_made_of_a_row_that_may_be_anothers(lab: Lab) -> None:
    template = {"RECCLI_S3__KEY_TEMPLATE": "{provider}/{recording_sid}.{ext}"}
    row, mine = lab.call()
    row.fields |= {CALL: f"{mine.call_sid} or CA{'0' * 32}", "Provider": "North"}
    told = lab.json("process", **template)
    assert (told.of(mine)["step"], told.of(mine)["key"]) == ("Wait", None)
    assert "airtable.call_sid_field" in told.of(mine)["reason"]
    assert lab.keys() == []


def test_what_keeps_a_link_from_its_row_is_told_by_cause(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    row, three = lab.sandbox.call(recordings=3, duration=2)
    leg, rowless, twin = (twilio.add(duration=2) for _ in range(3))
    one_field = lab.row(leg.call_sid, link=twilio.recording_url(twilio.add(duration=2)))
    one_field.fields[TRANSFER] = twilio.recording_url(twilio.add(duration=2))
    lab.row(twin.call_sid)
    full = lab.row(twin.call_sid, link=PERSON, transfer=PERSON)
    nobodys = twilio.add_conference(duration=2)
    nobodys.conference_sid = None
    told = lab.json("process")
    nothing = "archived, nothing refers to it yet"
    assert told.of(rowless)["reason"] == nothing
    assert told.of(three[2])["reason"] == (
        f"{nothing}: the 2 link fields of row {row.id} are those of other recordings"
    )
    assert f"of row {one_field.id} are those of other" in told.of(leg)["reason"]
    assert told.of(twin)["reason"] == (
        "another row of its call has no free field for the link: "
        f"row {full.id} is full of somebody's own links"
    )
    assert told.of(nobodys)["reason"].startswith(f"{nothing}: Twilio names no call for it")
    said = lab.run("process").stdout
    assert "add a field to the table and to airtable.link_fields" in said
    assert "delete the row, if it is there twice" in said
    assert "the SID of the call's other leg" in said


def test_a_secret_in_the_cell_of_a_recording_is_told_there_as_well(lab: Lab) -> None:
    row, mine = lab.call()
    row.fields[LINK] = f"https://{ACCOUNT_SID}:{SECRET}@api.twilio.com{API}{mine.sid}"
    told, in_words = lab.json("process"), lab.run("process")
    assert SECRET not in told.stdout + told.stderr + in_words.stdout + in_words.stderr
    assert "a user name and a password in it" in told.of(mine)["reason"]
    assert "make a new one in Twilio's console" in in_words.stdout


def test_what_twilio_lists_and_does_not_have_is_told_so(lab: Lab) -> None:
    row, mine = lab.call()
    lab.json("process")
    twilio = lab.sandbox.twilio
    twilio.faults.add(
        Fault(
            FaultKind.STATUS,
            method="GET",
            path=mine.sid,
            status=404,
            body=b'{"code": 20404}',
            times=None,
        )
    )
    told = lab.json("purge-twilio", "--retention", "0")
    assert (lab.deleted(), lab.holds(row, mine)) == (set(), "s3")
    assert told.of(mine)["reason"] == (
        "could not observe: Twilio lists the recording and answers 404 when it is asked for"
    )


@pytest.mark.parametrize(
    ("status", "hours", "late"),
    [
        ("processing", 47, True),
        ("in-progress", 47, True),
        ("processing", 5, False),
        ("in-progress", 20, False),
    ],
)
def test_what_is_not_completed_for_too_long_is_at_risk_and_said(
    lab: Lab, status: str, hours: int, *, late: bool
) -> None:
    created = datetime.now(UTC) - timedelta(hours=hours, minutes=1)
    mine = lab.sandbox.twilio.add(duration=2, status=status, created=created)
    told, report = lab.json("process"), lab.json("report").doc["report"]
    reason = told.of(mine)["reason"]
    assert (told.code, told.of(mine)["step"]) == (0, "Wait")
    if not late:
        assert (reason, report["at_risk"]) == ("not completed yet", 0)
        return
    assert reason == (
        f"not completed in all this time: at risk: Twilio calls it {status} 47 h after it began"
    )
    assert (report["at_risk"], round(report["oldest_waiting_hours"])) == (1, 47)
    said = lab.run("process", "-q").stdout
    assert f"at risk: {reason}" in said
    assert mine.sid in said
