"""Fields that take no link: locked, computed, of another type; and what a refusal costs others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.running import LINK, TRANSFER

if TYPE_CHECKING:
    from reccli.sandbox.airtable_table import FakeRow
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab, Told

ATTACHMENT = [{"id": "attA", "url": "https://v5.airtableusercontent.com/a", "filename": "a.mp3"}]


def fallbacks(lab: Lab, count: int) -> list[tuple[FakeRow, FakeRecording]]:
    """Let calls come in whose rows hold the link to Twilio."""
    return [lab.call(duration=1, linked=True) for _ in range(count)]


def asked(lab: Lab) -> Counter[str]:
    """Take the requests since the last time, by method."""
    made = Counter(request.method for request in lab.sandbox.airtable.requests)
    lab.sandbox.airtable.clear_requests()
    return made


def refusals(told: Told) -> list[dict[str, str]]:
    return [entry for entry in told.doc["errors"] if "HTTP 4" in entry["message"]]


def test_a_locked_field_costs_no_other_cell_its_link(lab: Lab) -> None:
    calls = fallbacks(lab, 12)
    both, (mine, transferred) = lab.sandbox.call(duration=1, recordings=2, linked=True)
    lab.sandbox.airtable.locked_fields.add(TRANSFER)
    lab.sandbox.airtable.may_read_schema = False
    told = lab.json("migrate-fallbacks")
    assert [lab.holds(row, one) for row, one in [*calls, (both, mine)]] == ["s3"] * 13
    assert lab.holds(both, transferred, TRANSFER) == "twilio"
    assert (told.code, told.summary["failed"], told.summary["relinked"]) == (1, 1, 13)
    (entry,) = refusals(told)
    assert entry["sid"] == transferred.sid
    assert f"write cell values in field {TRANSFER}" in entry["message"]
    assert f"'{TRANSFER}' of airtable.link_fields" in entry["hint"]
    assert asked(lab)["PATCH"] <= 4  # two for thirteen rows, and those that met the lock
    again = lab.json("migrate-fallbacks")
    assert (again.code, again.summary["failed"], asked(lab)["PATCH"]) == (1, 1, 1)


@pytest.mark.parametrize(("kind", "patches"), [("locked", 3), ("formula", 3), ("number", 11)])
def test_one_answer_decides_for_all_rows(lab: Lab, kind: str, patches: int) -> None:
    airtable = lab.sandbox.airtable
    calls = fallbacks(lab, 19)
    row, (mine, other) = lab.sandbox.call(duration=1, recordings=2, linked=True)
    if kind == "locked":
        airtable.locked_fields.add(LINK)
    else:
        airtable.types[LINK] = kind
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["failed"], told.summary["relinked"]) == (1, 20, 1)
    made = asked(lab)
    assert made["PATCH"] <= patches + 1  # and one for the other field
    assert made["GET"] + made["POST"] <= 5
    assert lab.holds(row, other, TRANSFER) == "s3"
    assert {lab.holds(row, one) for row, one in [*calls, (row, mine)]} == {"twilio"}
    for entry in told.doc["errors"]:
        assert LINK in entry["message"]
        assert f"'{LINK}' of airtable.link_fields" in entry["hint"]


def test_rows_that_are_refused_alone_condemn_no_field(lab: Lab) -> None:
    calls = fallbacks(lab, 15)
    bad = [calls[number] for number in (0, 1, 9, 12)]
    lab.sandbox.airtable.refuse.update(row.id for row, _ in bad)
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["failed"], told.summary["relinked"]) == (1, 4, 11)
    assert {lab.holds(row, one) for row, one in calls if (row, one) not in bad} == {"s3"}


def test_a_request_that_is_too_large_is_halved_once_for_all(lab: Lab) -> None:
    calls = fallbacks(lab, 15)
    lab.sandbox.airtable.longest_body = 3500
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["relinked"]) == (0, 15)
    assert {lab.holds(row, one) for row, one in calls} == {"s3"}
    assert asked(lab)["PATCH"] <= 5  # three, and those that were under way


def looks(lab: Lab) -> int:
    """Count the looks at the schema."""
    return sum(r.path.startswith("/v0/meta/") for r in lab.sandbox.airtable.requests)


@pytest.mark.parametrize("seen", ["schema", "cell"])
def test_a_field_of_attachments_is_refused_before_anything_is_done(lab: Lab, seen: str) -> None:
    lab.sandbox.airtable.types[LINK] = "multipleAttachments"
    lab.sandbox.airtable.may_read_schema = seen == "schema"
    row, _ = lab.call()
    if seen == "cell":
        row.fields[LINK] = ATTACHMENT
    told = lab.json("process")
    assert (told.code, told.error_codes) == (2, {"attachment_field"})
    assert (lab.writes(), lab.keys()) == ([], [])
    message = told.doc["errors"][0]["message"]
    assert f"'{LINK}' of airtable.link_fields is a field of attachments" in message
    assert "name a field of single line text" in told.doc["errors"][0]["hint"]


def test_an_empty_field_of_attachments_that_nobody_may_see_is_named_by_its_refusal(
    lab: Lab,
) -> None:
    lab.sandbox.airtable.types[LINK] = "multipleAttachments"
    lab.sandbox.airtable.may_read_schema = False
    for _ in range(3):
        lab.call()
    told = lab.json("process")
    assert (told.code, told.summary["failed"], asked(lab)["PATCH"]) == (1, 3, 1)
    assert {entry["code"] for entry in told.doc["errors"]} == {"invalid_attachment_object"}
    assert f"'{LINK}' of airtable.link_fields takes no links" in told.doc["errors"][0]["hint"]


@pytest.mark.parametrize("may", [True, False])
def test_the_schema_is_looked_at_once_by_a_run_that_writes(lab: Lab, *, may: bool) -> None:
    lab.sandbox.airtable.may_read_schema = may
    calls = [lab.call() for _ in range(3)]
    assert lab.json("process").code == 0
    assert {lab.holds(row, one) for row, one in calls} == {"s3"}
    assert looks(lab) == 1
    lab.sandbox.airtable.clear_requests()
    assert lab.json("process").code == 0
    assert looks(lab) == 0
