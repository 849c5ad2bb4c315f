"""What a cell holds is somebody's: IDs for names, wrong buckets, links that people put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.running import CALL, LINK, TRANSFER
from tests.e2e.serving import PUBLIC_URL

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

PERSON = "https://files.example.org/the-better-recording.mp3"
ELSEWHERE = "the row names the recording at another place: a person must look"


@pytest.mark.parametrize("formulas", [True, False], ids=["formulas take IDs", "they do not"])
@pytest.mark.parametrize("schema", [True, False], ids=["schema", "no schema"])
def test_fields_named_by_id_are_refused_by_name(lab: Lab, *, formulas: bool, schema: bool) -> None:
    airtable = lab.sandbox.airtable
    airtable.formulas_take_ids, airtable.may_read_schema = formulas, schema
    row, _ = lab.call()
    row.fields[LINK] = PERSON
    ids = airtable.table.field_ids
    fields = f'["{ids[LINK]}", "{TRANSFER}"]'
    for command in ("process", "migrate-fallbacks", "purge-twilio", "report"):
        told = lab.json(command, RECCLI_AIRTABLE__LINK_FIELDS=fields)
        assert told.code == 2
        (entry,) = told.doc["errors"]
        assert entry["message"].startswith(f"airtable.link_fields[0]: {ids[LINK]} is ")
        assert (f'"{LINK}"' in entry["message"]) is schema
    assert lab.writes() == []
    told = lab.json("process", RECCLI_AIRTABLE__CALL_SID_FIELD=ids[CALL])
    assert (told.code, lab.link(row), lab.keys()) == (2, PERSON, [])


def test_a_server_refuses_fields_named_by_id_as_well(lab: Lab) -> None:
    field_id = lab.sandbox.airtable.table.field_ids[CALL]
    named = {"RECCLI_AIRTABLE__CALL_SID_FIELD": field_id, "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC_URL}
    told = lab.run("serve", "--port", "0", **named)
    assert told.code == 2
    assert f'error: airtable.call_sid_field: {field_id} is "{CALL}"; name the field' in told.stderr
    assert "fix: " in told.stderr
    assert told.names["serving"] == 0


def test_a_bucket_that_does_not_exist_is_a_mistake_of_configuration(lab: Lab) -> None:
    row, mine = lab.call()
    assert lab.json("process").code == 0
    link = lab.link(row)
    (new_row, new), (old_row, old) = lab.call(), lab.call(linked=True)
    fallback = lab.link(old_row)
    lab.sandbox.airtable.clear_requests()
    lab.tap.requests.clear()
    nope = {"AWS_S3_BUCKET": "nope"}
    for command in ("process --since 1h", "migrate-fallbacks", "purge-twilio --retention 0"):
        told = lab.json(*command.split(), **nope)
        assert (told.code, told.error_codes) == (2, {"NoSuchBucket"})
    assert (lab.link(row), lab.link(row, TRANSFER)) == (link, "")
    assert (lab.holds(new_row, new), lab.link(old_row)) == ("empty", fallback)
    assert lab.writes() == []
    asked = [path for method, path in lab.tap.requests if method == "HEAD"]
    assert len([path for path in asked if path.rstrip("/") == "/nope"]) <= 3  # once a run
    assert (lab.json("process").code, lab.holds(new_row, new)) == (0, "s3")
    assert (lab.json("migrate-fallbacks").code, lab.holds(old_row, old)) == (0, "s3")
    assert lab.archived(mine)


def test_a_cell_that_names_the_recording_anywhere_is_its_cell(lab: Lab) -> None:
    (row, mine), (share_row, shared) = lab.call(), lab.call()
    assert lab.json("process", mine.sid).code == 0
    link = lab.link(row)
    share_row.fields[LINK] = f"https://files.example.org/s/TOKEN-OF-SOMEBODY/{shared.sid}.mp3"
    second = lab.sandbox.twilio.add(mine.call_sid, duration=2)
    lab.s3.create_bucket(Bucket=f"{lab.bucket}2")
    other = {"AWS_S3_BUCKET": f"{lab.bucket}2"}  # it exists, and is not the one of the link
    told = lab.json("process", **other)
    assert told.code == 0
    for one in (mine, shared):
        assert (told.of(one)["step"], told.of(one)["reason"]) == ("Hold", ELSEWHERE)
    assert told.of(shared)["link"] == f"https://files.example.org/…{shared.sid}…"
    assert "TOKEN-OF-SOMEBODY" not in told.stdout + told.stderr
    assert (lab.link(row), lab.holds(row, second, TRANSFER)) == (link, "s3")
    assert (lab.holds(share_row, shared), lab.link(share_row, TRANSFER)) == ("s3", "")
    told = lab.json("purge-twilio", "--retention", "0", **other)
    assert lab.deleted() == {second.sid}
    lab.tampered.add(second.sid)  # its object is in the other bucket
    assert "fix: see what the link in the row opens" in lab.run("purge-twilio", **other).stdout


def test_links_in_rich_text_are_read_as_they_were_meant(lab: Lab) -> None:
    airtable = lab.sandbox.airtable
    airtable.types[LINK] = "richText"
    calls = [lab.call(linked=True) for _ in range(3)]
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["relinked"]) == (0, 3)
    for row, _ in calls:
        stored = lab.link(row)
        assert stored.endswith("\n")
        assert "aws4\\_request" in stored
    assert lab.json("process").summary == {}
    assert lab.json("migrate-fallbacks").summary == {}
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {mine.sid for _, mine in calls})


def test_what_a_person_puts_into_the_cell_during_the_copy_stays(lab: Lab) -> None:
    row, mine = lab.call()

    def edit(method: str, _path: str) -> None:
        if method == "PUT":
            row.fields[LINK] = PERSON

    lab.tap.on_request = edit
    lab.sandbox.twilio.media.latency = 3.2  # a copy takes that long
    told = lab.json("process")
    assert told.code == 0
    assert (lab.link(row), lab.holds(row, mine, TRANSFER)) == (PERSON, "s3")


def test_a_fallback_that_a_person_replaces_during_the_copy_stays_theirs(lab: Lab) -> None:
    row, mine = lab.call(linked=True)

    def edit(method: str, _path: str) -> None:
        if method == "PUT":
            row.fields[LINK] = PERSON

    lab.tap.on_request = edit
    lab.sandbox.twilio.media.latency = 3.2
    lab.json("migrate-fallbacks")
    assert lab.link(row) == PERSON
    assert lab.holds(row, mine, TRANSFER) in {"s3", "empty"}
