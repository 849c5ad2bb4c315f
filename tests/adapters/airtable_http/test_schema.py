"""The names of fields by their IDs, and how many rows fit between a look and its writes."""

from __future__ import annotations

import json

import pytest

from reccli.adapters.airtable import AirtableAdapter
from reccli.core.errors import FailureKind
from reccli.flow.pacer import Pacer
from reccli.sandbox.standin import Fault, FaultKind

from .samples import API_KEY, BASE, FIELDS, TABLE, TRANSFER, Base, failure_of, make_options

K = FailureKind
OTHER = {"id": "tblOther", "name": "Other", "fields": [{"id": "fldOther", "name": "Other"}]}
MINE = {"id": "tblMine", "name": TABLE, "fields": [{"id": "fldMine", "name": "Mine"}]}


def answer(base: Base, document: object, status: int = 200) -> None:
    base.server.faults.add(
        Fault(FaultKind.STATUS, status=status, body=json.dumps(document).encode())
    )


class TestFieldNames:
    def test_of_the_table_by_name_or_id(self, base: Base) -> None:
        wanted = {key: name for name, key in base.server.table.field_ids.items()}
        assert tuple(wanted.values()) == FIELDS
        for table in (TABLE, base.server.table.id):
            assert base.adapt(table=table).field_names() == wanted

    def test_one_paced_request(self, base: Base) -> None:
        base.adapter.field_names()
        (request,) = base.server.requests
        assert base.pacer.waits == 1
        assert (request.method, request.path) == ("GET", f"/v0/meta/bases/{BASE}/tables")

    @pytest.mark.parametrize(
        ("table", "name"), [(TABLE, "Mine"), ("tblMine", "Mine"), ("tblOther", "Other")]
    )
    def test_among_others(self, base: Base, table: str, name: str) -> None:
        answer(base, {"tables": [None, {"name": ["a list"]}, OTHER, MINE]})
        assert list(base.adapt(table=table).field_names().values()) == [name]

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_id_comes_before_a_name_like_it(self, base: Base, order: int) -> None:
        answer(base, {"tables": [MINE, {**OTHER, "name": "tblMine"}][::order]})
        assert base.adapt(table="tblMine").field_names() == {"fldMine": "Mine"}

    def test_there_is_no_such_table(self, base: Base) -> None:
        failure = failure_of(base.adapt(table="Calls").field_names)
        assert (failure.kind, failure.code) == (K.CONFIG, "no_table")
        assert failure.message == "the base has no table 'Calls'"
        assert "airtable.table" in failure.hint

    @pytest.mark.parametrize(
        "document",
        [
            [],
            {},
            {"tables": None},
            {"tables": {}},
            {"tables": [{**MINE, "fields": None}]},
            {"tables": [{"id": "tblMine", "name": TABLE}]},
            {"tables": [{**MINE, "fields": [5]}]},
            {"tables": [{**MINE, "fields": [{"id": "fldMine"}]}]},
            {"tables": [{**MINE, "fields": [{"id": 5, "name": "Mine"}]}]},
            {"tables": [{**MINE, "fields": [{"id": "fldMine", "name": None}]}]},
        ],
    )
    def test_an_odd_answer(self, base: Base, document: object) -> None:
        answer(base, document)
        failure = failure_of(base.adapter.field_names)
        assert (failure.kind, failure.code) == (K.OUTAGE, "odd_answer")

    def test_a_token_without_the_scope(self, base: Base) -> None:
        answer(base, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}, 403)
        failure = failure_of(base.adapter.field_names)
        assert failure.kind is K.DENIED
        assert "schema.bases:read" in failure.hint

    def test_other_failures_are_what_they_are(self, base: Base) -> None:
        answer(base, {"error": "NOT_FOUND"}, 404)
        failure = failure_of(base.adapter.field_names)
        assert (failure.kind, failure.hint) == (
            K.PERMANENT,
            "check airtable.table and airtable.base_id",
        )
        answer(base, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": API_KEY}]}, 429)
        assert failure_of(base.adapter.field_names).kind is K.BUSY
        assert base.pacer.pauses == [30.0]


class TestFieldsOfAttachments:
    def test_are_refused_by_name(self, base: Base) -> None:
        base.adapter.require_fields()
        base.server.types["Notes"] = "multipleAttachments"
        base.adapter.require_fields()
        base.server.types[TRANSFER] = "multipleAttachments"
        failure = failure_of(base.adapter.require_fields)
        assert (failure.kind, failure.code) == (K.CONFIG, "attachment_field")
        assert failure.message.startswith(f"{TRANSFER!r} of airtable.link_fields is a field of att")
        assert [request.method for request in base.server.requests] == ["GET"] * 3

    @pytest.mark.parametrize("table", [TABLE, "Calls"])
    def test_are_not_seen_without_the_scope_or_the_table(self, base: Base, table: str) -> None:
        base.server.types[TRANSFER] = "multipleAttachments"
        base.server.may_read_schema = table != TABLE
        base.adapt(table=table).require_fields()

    def test_whatever_else_is_wrong_is_told(self, base: Base) -> None:
        answer(base, {"tables": None})
        assert failure_of(base.adapter.require_fields).kind is K.OUTAGE

    @pytest.mark.parametrize("more", [{}, {"id": "att1", "size": 5}])
    def test_are_known_by_what_is_in_a_cell(self, base: Base, more: dict[str, object]) -> None:
        files = [{"url": "https://files.example.com/a", "filename": "a.mp3", **more}]
        row = base.add(transfer=files)
        failure = failure_of(lambda: base.adapter.read([row]))
        assert (failure.kind, failure.code) == (K.CONFIG, "attachment_field")
        assert TRANSFER in failure.message

    @pytest.mark.parametrize(
        "cell",
        [["recA"], [{"url": "u"}], {"url": "u", "filename": "f"}, [5], [["url", "filename"]]],
    )
    def test_nothing_else_is_taken_for_files(self, base: Base, cell: object) -> None:
        assert base.adapter.read([base.add(transfer=cell)])


@pytest.mark.parametrize(
    ("per_second", "rows"),
    [(0.1, 10), (1, 10), (1.4, 20), (2, 40), (3, 70), (3.9, 90), (4, 100), (4.5, 100), (50, 100)],
)
def test_rows_a_look(per_second: float, rows: int) -> None:
    adapter = AirtableAdapter(make_options("http://127.0.0.1:1"), Pacer(per_second))
    assert adapter.rows_a_look == rows
    adapter.close()


@pytest.mark.parametrize("per_second", [1, 2, 3, 4, 4.5])
def test_the_last_of_those_rows_is_written_in_time(base: Base, per_second: float) -> None:
    """Which the pacer lets start 3 s after the look was asked for, at the latest."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pacer = Pacer(per_second, clock=lambda: now, sleep=sleep)
    adapter = AirtableAdapter(make_options(base.server.url), pacer)
    pacer.wait()  # somebody else's request
    asked = now
    for _ in range(1 + adapter.rows_a_look // 10):
        pacer.wait()
    assert now - asked <= 3
    adapter.close()
