"""Fields of the local Airtable that are locked, rich, linked, or called by their IDs."""

from typing import Any

import pytest
import requests
from pyairtable import Api, Table

from reccli.sandbox.airtable_api import AirtableStandIn
from reccli.sandbox.standin import Request
from tests.sandbox.airtable_samples import BASE, LINK, TWILIO, refused

S3 = "https://s3/RE_1*2.mp3"
KEPT = "https://s3/RE\\_1\\*2.mp3\n"


def many(*changes: tuple[str, dict[str, object]]) -> list[Any]:
    return [{"id": row_id, "fields": fields} for row_id, fields in changes]


def test_a_locked_field(airtable: AirtableStandIn, table: Table) -> None:
    airtable.locked_fields.add(LINK)
    first, second = (airtable.add_row(CallSid=f"CA{i}", **{LINK: TWILIO}) for i in range(2))
    field_id = airtable.table.field_ids[LINK]
    both = many((first.id, {"Minutes": 1}), (second.id, {LINK: S3}))
    with pytest.raises(requests.HTTPError) as caught:
        table.batch_update(both)
    assert caught.value.response.status_code == 403
    assert caught.value.response.json()["error"] == {
        "type": "INVALID_PERMISSIONS",
        "message": f"You are not permitted to write cell values in field {LINK} ({field_id})",
    }
    refusal = (403, "INVALID_PERMISSIONS")
    assert refused(table.update, first.id, {field_id: S3}) == refusal
    assert refused(table.update, first.id, {LINK: S3}, replace=True) == refusal
    assert refused(table.create, {LINK: S3}) == refusal
    assert [row.fields for row in (first, second)] == [
        {"CallSid": f"CA{i}", LINK: TWILIO} for i in range(2)
    ]
    assert table.update(first.id, {"Minutes": 1})["fields"]["Minutes"] == 1
    assert table.get(first.id)["fields"][LINK] == TWILIO


def test_rich_text(airtable: AirtableStandIn, table: Table) -> None:
    airtable.types[LINK] = "richText"
    row = airtable.add_row(CallSid="CA1", **{LINK: S3})
    assert row.fields[LINK] == KEPT
    answered = table.update(row.id, {LINK: TWILIO + "a_b"})
    assert answered["fields"][LINK] == table.get(row.id)["fields"][LINK] == TWILIO + "a\\_b\n"
    assert table.update(row.id, {LINK: KEPT})["fields"][LINK] == KEPT  # what was read, once more
    assert table.all(formula=f"FIND('RE\\\\_1', {{{LINK}}})")
    assert not table.all(formula=f"{{{LINK}}} = '{S3}'")
    assert refused(table.update, row.id, {LINK: [S3]}) == (422, "INVALID_VALUE_FOR_COLUMN")
    airtable.rich_text_escapes = False
    assert table.update(row.id, {LINK: S3})["fields"][LINK] == S3 + "\n"
    assert LINK not in table.update(row.id, {LINK: ""})["fields"]


def test_linked_records(airtable: AirtableStandIn, table: Table) -> None:
    airtable.types["CallSid"] = "multipleRecordLinks"
    first, second = airtable.linked("CA1"), airtable.linked("CA2")
    assert airtable.linked_names == {first: "CA1", second: "CA2"}
    row = airtable.add_row(CallSid=[first])
    assert table.get(row.id)["fields"] == {"CallSid": [first]}
    assert [r["id"] for r in table.all(formula="{CallSid} = 'CA1'")] == [row.id]
    assert [r["id"] for r in table.all(formula="OR({CallSid} = 'CA1', {CallSid} = 'CA3')")]
    assert not table.all(formula=f"{{CallSid}} = '{first}'")
    assert table.update(row.id, {"CallSid": [second, first]})["fields"] == {
        "CallSid": [second, first]
    }
    assert table.all(formula="{CallSid} = 'CA2, CA1'")
    assert refused(table.update, row.id, {"CallSid": "CA1"}) == (422, "INVALID_VALUE_FOR_COLUMN")
    assert refused(table.update, row.id, {"CallSid": ["recGone0000000000"]}) == (
        422,
        "ROW_DOES_NOT_EXIST",
    )
    assert table.update(row.id, {"CallSid": []})["fields"] == {}


def test_links_sort_by_their_text(airtable: AirtableStandIn, table: Table) -> None:
    airtable.types["CallSid"] = "multipleRecordLinks"
    rows = [airtable.add_row(CallSid=[airtable.linked(f"CA{i}")]) for i in range(6)]
    assert [row["id"] for row in table.all(sort=["CallSid"])] == [row.id for row in rows]


@pytest.mark.parametrize(
    ("kind", "code", "taken"),
    [
        ("formula", "INVALID_VALUE_FOR_COLUMN", None),
        ("multipleLookupValues", "INVALID_VALUE_FOR_COLUMN", None),
        ("number", "INVALID_VALUE_FOR_COLUMN", 7),
        ("singleSelect", "INVALID_MULTIPLE_CHOICE_OPTIONS", None),
        ("multipleAttachments", "INVALID_ATTACHMENT_OBJECT", [{"url": S3}]),
    ],
)
def test_fields_that_take_no_text(
    airtable: AirtableStandIn,
    table: Table,
    kind: str,
    code: str,
    taken: Any,  # noqa: ANN401
) -> None:
    airtable.types[LINK] = kind
    row = airtable.add_row(CallSid="CA1")
    assert refused(table.update, row.id, {LINK: S3}) == (422, code)
    if taken is not None:
        assert table.update(row.id, {LINK: taken})["fields"][LINK] == taken


def test_a_request_that_is_too_large(airtable: AirtableStandIn, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1")
    airtable.longest_body = 100
    assert refused(table.update, row.id, {LINK: "x" * 100}) == (413, "REQUEST_TOO_LARGE")
    assert table.update(row.id, {LINK: "x"})


def test_the_schema_tells_types(airtable: AirtableStandIn, api: Api) -> None:
    airtable.types.update({"CallSid": "multipleRecordLinks", LINK: "richText"})
    fields = api.base(BASE).schema().table("Call Logs").fields
    assert [field.type for field in fields[:2]] == ["multipleRecordLinks", "richText"]


def test_a_token_that_may_not_read_the_schema(
    airtable: AirtableStandIn, api: Api, table: Table
) -> None:
    airtable.may_read_schema = False
    assert refused(api.base(BASE).schema) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    assert table.all() == []


def test_field_ids(airtable: AirtableStandIn, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1", **{LINK: TWILIO})
    call_id, link_id = (airtable.table.field_ids[name] for name in ("CallSid", LINK))
    for formula in (f"{{{call_id}}} = 'CA1'", f"FIND('twilio', {{{link_id}}})"):
        assert [r["id"] for r in table.all(formula=formula)] == [row.id]
    assert table.all(fields=[link_id])[0]["fields"] == {LINK: TWILIO}
    assert table.update(row.id, {link_id: "x"})["fields"] == {"CallSid": "CA1", LINK: "x"}
    airtable.formulas_take_ids = False
    assert refused(table.all, formula=f"{{{call_id}}} = 'CA1'") == (
        422,
        "INVALID_FILTER_BY_FORMULA",
    )
    assert table.all(formula="{CallSid} = 'CA1'", fields=[link_id])


def test_a_person_edits_between_look_and_write(airtable: AirtableStandIn, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1", **{LINK: TWILIO})

    def edit(request: Request) -> None:
        if request.method == "PATCH":
            row.fields["Minutes"] = 7

    airtable.on_request = edit
    assert "Minutes" not in table.get(row.id)["fields"]
    assert table.update(row.id, {LINK: S3})["fields"]["Minutes"] == 7


def spoil(airtable: AirtableStandIn) -> None:
    airtable.types[LINK] = "richText"
    airtable.locked_fields.add(LINK)
    airtable.linked("CA1")
    airtable.longest_body = 1
    airtable.rich_text_escapes = airtable.formulas_take_ids = airtable.may_read_schema = False


def shape(airtable: AirtableStandIn) -> tuple[object, ...]:
    columns = airtable.table.columns
    return (
        dict(columns.types),
        set(columns.locked),
        dict(columns.linked_names),
        columns.rich_text_escapes,
        columns.formulas_take_ids,
        airtable.may_read_schema,
        airtable.longest_body,
    )


def test_fields_are_reset(airtable: AirtableStandIn) -> None:
    at_first = shape(airtable)
    spoil(airtable)
    assert all(a != b for a, b in zip(at_first, shape(airtable), strict=True))
    airtable.reset_fields()
    assert shape(airtable) == at_first
