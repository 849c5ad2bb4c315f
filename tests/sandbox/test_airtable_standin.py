"""The local Airtable, through pyairtable: pages, limits, writes and the shapes of errors."""

import time
from typing import Any

import pytest
import requests
from pyairtable import Api, Table
from pyairtable.formulas import OR, match

from reccli.sandbox.airtable_api import AirtableStandIn, Paging
from reccli.sandbox.standin import Fault, FaultKind
from tests.sandbox.airtable_samples import BASE, LINK, TWILIO, refused


def test_rows_come_with_their_cells(airtable: AirtableStandIn, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1", **{LINK: "", "Minutes": 3})
    got = table.get(row.id)
    assert got == {
        "id": row.id,
        "createdTime": "2026-11-22T12:00:00.000Z",
        "fields": {"CallSid": "CA1", "Minutes": 3},
    }
    assert table.all(fields=["CallSid", LINK])[0]["fields"] == {"CallSid": "CA1"}
    assert airtable.requests[-1].path == f"/v0/{BASE}/Call Logs"


def test_the_table_is_known_by_its_id(airtable: AirtableStandIn, api: Api) -> None:
    row = airtable.add_row(CallSid="CA1")
    schema = api.base(BASE).schema().table("Call Logs")
    assert [(field.name, field.type) for field in schema.fields] == [
        ("CallSid", "singleLineText"),
        (LINK, "url"),
        ("Minutes", "number"),
    ]
    table = api.table(BASE, schema.id)
    assert table.get(row.id)["id"] == row.id
    call_sid = schema.field("CallSid").id
    assert table.all(use_field_ids=True)[0]["fields"] == {call_sid: "CA1"}
    assert table.update(row.id, {call_sid: "CA2"})["fields"] == {"CallSid": "CA2"}
    assert set(api.whoami()) == {"id"}


def test_filter_sort_and_limits(airtable: AirtableStandIn, table: Table) -> None:
    for i in range(12):
        airtable.add_row(CallSid=f"CA{i:02}", **{LINK: TWILIO if i % 2 else "https://s3/"})
    found = table.all(formula=f"FIND('{TWILIO}', {{{LINK}}})", sort=["-CallSid"], page_size=4)
    assert [row["fields"]["CallSid"] for row in found] == [f"CA{i:02}" for i in (11, 9, 7, 5, 3, 1)]
    assert [len(page) for page in table.iterate(page_size=5)] == [5, 5, 2]
    assert [len(page) for page in table.iterate(page_size=5, max_records=10)] == [5, 5]
    assert len(airtable.requests) == 2 + 3 + 2
    ids = [row["id"] for row in table.all()]
    assert ids == sorted(ids)


def test_a_long_formula_goes_by_post(airtable: AirtableStandIn, table: Table) -> None:
    for i in range(450):
        airtable.add_row(CallSid=f"CA{i:032}")
    formula = OR(*[match({"CallSid": f"CA{i:032}"}) for i in range(400)])
    assert len(table.all(formula=formula, fields=["CallSid"], sort=["CallSid"])) == 400
    assert {(r.method, r.segments[-1]) for r in airtable.requests} == {("POST", "listRecords")}
    response = requests.get(
        f"{airtable.url}/v0/{BASE}/Call%20Logs?view={'x' * 16_000}",
        headers={"Authorization": "Bearer pat.key"},
        timeout=5,
    )
    assert response.status_code == 414


@pytest.mark.parametrize(("paging", "seen"), [(Paging.POSITION, 15), (Paging.RECORD, 25)])
def test_pages_shift_while_rows_are_rewritten(
    airtable: AirtableStandIn, table: Table, paging: Paging, seen: int
) -> None:
    airtable.paging = paging
    for i in range(25):
        airtable.add_row(CallSid=f"CA{i}", **{LINK: TWILIO})
    found = []
    for page in table.iterate(formula=f"FIND('{TWILIO}', {{{LINK}}})", page_size=10):
        found += page
        table.batch_update([{"id": row["id"], "fields": {LINK: "https://s3/"}} for row in page])
    assert len(found) == len({row["id"] for row in found}) == seen


def test_iterators_expire(airtable: AirtableStandIn, table: Table) -> None:
    for i in range(3):
        airtable.add_row(CallSid=f"CA{i}")
    pages = table.iterate(page_size=1)
    next(pages)
    airtable.expire_iterators()
    assert refused(next, pages) == (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
    airtable.iterator_ttl = 0.05
    pages = table.iterate(page_size=1)
    next(pages)
    time.sleep(0.1)
    assert refused(next, pages) == (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
    assert refused(table.all, offset="17") == (422, "INVALID_OFFSET_VALUE")


def test_lists_that_are_refused(table: Table) -> None:
    assert refused(table.all, fields=["Nope"]) == (422, "UNKNOWN_FIELD_NAME")
    assert refused(table.all, formula="{Nope}") == (422, "INVALID_FILTER_BY_FORMULA")
    assert refused(table.all, formula="1 +") == (422, "INVALID_FILTER_BY_FORMULA")
    assert refused(table.all, page_size=101) == (422, "INVALID_REQUEST_UNKNOWN")
    assert refused(table.all, view="Nope") == (422, "VIEW_NAME_NOT_FOUND")


def test_writes(airtable: AirtableStandIn, table: Table) -> None:
    rows = [airtable.add_row(CallSid=f"CA{i}", Minutes=i) for i in range(12)]
    changes = [{"id": row.id, "fields": {LINK: f"https://s3/{row.id}"}} for row in rows]
    answered = table.batch_update(changes)  # type: ignore[arg-type]
    assert [row["fields"][LINK] for row in answered] == [f"https://s3/{r.id}" for r in rows]
    assert [row.fields["CallSid"] for row in rows] == [f"CA{i}" for i in range(12)]
    assert [r.method for r in airtable.requests] == ["PATCH", "PATCH"]
    table.update(rows[0].id, {"Minutes": None})
    assert rows[0].fields == {"CallSid": "CA0", LINK: f"https://s3/{rows[0].id}"}
    table.update(rows[1].id, {"CallSid": "CAx"}, replace=True)
    assert rows[1].fields == {"CallSid": "CAx"}
    made = table.create({"CallSid": "CAnew"})
    assert airtable.rows[made["id"]].fields == {"CallSid": "CAnew"}
    assert len(table.batch_create([{"CallSid": "a"}, {"CallSid": "b"}])) == 2


def test_a_batch_is_all_or_nothing(airtable: AirtableStandIn, table: Table) -> None:
    good, bad, mute = [airtable.add_row(CallSid=f"CA{i}", **{LINK: "old"}) for i in range(3)]
    airtable.refuse.add(bad.id)
    airtable.ignore_writes.add(mute.id)

    def change(*ids: str, **cells: object) -> list[Any]:
        new = {"id": "", "fields": cells or {LINK: "new"}}
        return table.batch_update([{**new, "id": row_id} for row_id in ids])  # type: ignore[typeddict-item]

    assert refused(change, good.id, bad.id) == (422, "INVALID_VALUE_FOR_COLUMN")
    assert refused(change, good.id, "recGone0000000000") == (422, "ROW_DOES_NOT_EXIST")
    assert refused(change, good.id, good.id) == (422, "INVALID_RECORDS")
    assert refused(change, good.id, Nope="x") == (422, "UNKNOWN_FIELD_NAME")
    assert refused(change, good.id, **{LINK: 5}) == (422, "INVALID_VALUE_FOR_COLUMN")
    assert good.fields[LINK] == "old"
    answered = change(good.id, mute.id)
    assert [row["fields"][LINK] for row in answered] == ["new", "old"]
    assert (good.fields[LINK], mute.fields[LINK]) == ("new", "old")
    eleven = {"records": [{"id": good.id, "fields": {}}] * 11}
    url = f"{airtable.url}/v0/{BASE}/Call%20Logs"
    answer = requests.patch(
        url, json=eleven, headers={"Authorization": "Bearer pat.key"}, timeout=5
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "INVALID_RECORDS")


def test_who_may_not(airtable: AirtableStandIn, api: Api, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1")
    assert refused(api.table("appOther", "Call Logs").all) == (
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
    )
    assert refused(api.table(BASE, "Other").all)[0] == 403
    assert refused(table.get, "recGone0000000000") == (404, "NOT_FOUND")
    airtable.object_404 = True
    assert refused(table.get, "recGone0000000000") == (404, "NOT_FOUND")
    airtable.read_only = True
    assert refused(table.update, row.id, {"CallSid": "x"}) == (403, "INVALID_PERMISSIONS")
    api.api_key = "pat.other"
    assert refused(table.all) == (401, "AUTHENTICATION_REQUIRED")


def test_rate_limit_and_penalty(airtable: AirtableStandIn, table: Table) -> None:
    airtable.requests_per_second, airtable.penalty_s = 5, 0.3
    for _ in range(5):
        table.all()
    with pytest.raises(requests.HTTPError) as caught:
        table.all()
    response = caught.value.response
    assert response.status_code == 429
    assert response.json() == {
        "error": {
            "type": "RATE_LIMIT_REACHED",
            "message": "Rate limit exceeded. Please try again later",
        }
    }
    assert "Retry-After" not in response.headers
    airtable.plural_errors = True
    with pytest.raises(requests.HTTPError) as caught:
        table.all()
    assert caught.value.response.json()["errors"][0]["error"] == "RATE_LIMIT_REACHED"
    assert airtable.throttled == 2
    time.sleep(0.3)
    assert table.all() == []


def test_monthly_cap(airtable: AirtableStandIn, api: Api, table: Table) -> None:
    airtable.monthly_cap = 2
    table.all()
    table.all()
    assert refused(table.all) == (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")
    assert api.whoami()["id"].startswith("usr")
    assert api.base(BASE).schema().tables[0].name == "Call Logs"
    assert (airtable.throttled, airtable.calls_this_month) == (0, 2)


def test_a_lost_answer_has_its_effect(airtable: AirtableStandIn, table: Table) -> None:
    row = airtable.add_row(CallSid="CA1")
    airtable.faults.add(Fault(FaultKind.LOST_RESPONSE, method="PATCH"))
    with pytest.raises(requests.ConnectionError):
        table.update(row.id, {LINK: "new"})
    assert row.fields[LINK] == "new"
