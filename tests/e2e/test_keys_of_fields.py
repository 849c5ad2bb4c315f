"""Keys made of what fields of any type and any script hold; and keys that cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from reccli.sandbox.running import CALL, LINK

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

BY_FIELD = {"RECCLI_S3__KEY_TEMPLATE": "{provider}/{employee}/{recording_sid}.{ext}"}
NEEDS_ROW = "its key is made of fields of a row that is not there yet"
BAD_KEY = "no key can be made of what its row holds: a person must look"
ANN = {"id": "usrA1b2C3d4E5f6G7", "email": "ann@example.com", "name": "Ann Lee"}
BY_MAIL = {"id": "usrZ9", "email": "bob@example.com", "name": "bob@example.com"}


def call(lab: Lab, employee: object, provider: object = "Acme") -> tuple[FakeRow, FakeRecording]:
    made = lab.sandbox.twilio.add(duration=2)
    cells: dict[str, Any] = {CALL: made.call_sid, "Provider": provider, "Employee": employee}
    return lab.sandbox.airtable.add_row(**cells), made


def test_whatever_a_field_holds_becomes_a_key_and_comes_back_from_its_link(lab: Lab) -> None:
    employees: list[object] = ["李雷", "Ольга", "Zoë", 42, 4.5, True, ANN, [ANN], BY_MAIL, [7]]
    calls = [call(lab, employee) for employee in employees]
    told = lab.json("process", **BY_FIELD)
    assert (told.code, told.summary["copied"], told.summary["relinked"]) == (0, 10, 10)
    names = [told.of(mine)["key"].split("/")[2] for _, mine in calls]
    assert names == [
        *("xn--7qvw47h", "xn--q0a0bi5a4f", "Zoe", "42", "4.5", "true"),
        *("Ann-Lee", "Ann-Lee", "usrZ9", "7"),
    ]
    for row, mine in calls:
        (key,) = lab.objects(mine)
        assert re.fullmatch(r"[A-Za-z0-9!_.*'()/-]+", key)
        assert (lab.archived(mine), lab.holds(row, mine)) == (True, "s3")
        assert key in lab.link(row)
    assert "example.com" not in told.stdout + told.stderr
    assert lab.json("purge-twilio", "--yes", "--retention", "0", **BY_FIELD).code == 0
    assert lab.deleted() == {mine.sid for _, mine in calls}


@pytest.mark.parametrize("style", ["object", "permalink"])
def test_links_of_every_style_name_such_a_key(lab: Lab, style: str) -> None:
    row, mine = call(lab, "李雷")
    settings = {
        **BY_FIELD,
        "RECCLI_LINKS__STYLE": style,
        "RECCLI_LINKS__BASE_URL": "https://calls.example.com",
        "RECCLI_LINKS__SECRET": "0123456789abcdef" * 2,
    }
    lab.json("process", **settings)
    assert lab.objects(mine)[0] in lab.link(row)
    told = lab.json("process", mine.sid, **settings)
    assert (told.code, told.of(mine)["steps"]) == (0, [])  # the link is its own: nothing to do


@pytest.mark.parametrize("odd", ["🚀", "../..", {"error": "#ERROR!"}, "RE" + "0" * 32])
def test_what_no_key_can_be_made_of_is_an_error_every_time_and_keeps_the_fallback(
    lab: Lab, odd: object
) -> None:
    row, mine = call(lab, odd)
    fine, good = call(lab, "Ann")
    for _ in range(2):
        told = lab.json("process", mine.sid, good.sid, **BY_FIELD)
        assert told.code == 1
        said = told.of(mine)
        assert (said["step"], said["reason"], lab.holds(row, mine)) == ("Hold", BAD_KEY, "twilio")
        (error,) = told.doc["errors"]
        assert (error["code"], error["sid"]) == ("no_key", mine.sid)
        assert row.id in error["message"] or "the SID of a recording" in error["message"]
        assert (lab.holds(fine, good), lab.archived(good)) == ("s3", True)
    row.fields["Employee"] = "Ann"
    assert lab.json("migrate-fallbacks", "--yes", **BY_FIELD).code == 0
    assert (lab.holds(row, mine), lab.archived(mine)) == ("s3", True)


def test_an_empty_field_is_waited_for_and_named(lab: Lab) -> None:
    row, mine = call(lab, "")
    for _ in range(2):
        told = lab.json("process", mine.sid, **BY_FIELD)
        said = told.of(mine)
        assert (told.code, said["step"]) == (0, "Wait")
        assert said["reason"] == (
            f"{NEEDS_ROW}: row {row.id} has nothing in the field of airtable.key_fields.employee"
        )


def test_a_key_that_would_be_too_long_is_named_and_never_asked_for(lab: Lab) -> None:
    calls = [call(lab, f"{number}" + "x" * 1100) for number in range(7)]
    fine, good = call(lab, "Ann")
    told = lab.json("process", **BY_FIELD)
    assert told.code == 1
    assert told.error_codes == {"no_key"}
    assert len(told.doc["errors"]) == 7
    assert "S3 takes 1024: the field of airtable.key_fields.employee" in told.stdout
    assert {told.of(mine)["step"] for _, mine in calls} == {"Hold"}
    assert (lab.holds(fine, good), lab.archived(good)) == ("s3", True)
    assert not [path for _, path in lab.tap.requests if "xxx" in path]


def test_links_to_keys_that_cannot_be_are_made_anew_and_never_asked_for(lab: Lab) -> None:
    calls = [lab.call() for _ in range(6)]
    folders = ["x" * 1100, "%C3%A9" * 600, "a/..", "./b", "a%00b", "%2E%2E"]
    for (row, mine), folder in zip(calls, folders, strict=True):
        row.fields[LINK] = f"{lab.tap.url}/{lab.bucket}/{folder}/{mine.sid}.mp3"
    told = lab.json("process", *(mine.sid for _, mine in calls))
    assert (told.code, told.error_codes) == (0, set())
    for row, mine in calls:
        assert lab.objects(mine) == [f"call-recordings/{mine.call_sid}/{mine.sid}.mp3"]
        assert lab.objects(mine)[0] in lab.link(row)
