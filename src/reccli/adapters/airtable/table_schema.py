"""Reads the answer that lists a base's tables and their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.adapters.airtable.airtable_failures import odd_answer
from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPE_HINT = (
    "check airtable.api_key: scope schema.bases:read, which nothing else needs, and the base added "
    "to the token; then airtable.base_id"
)


def fields_of(body: Mapping[str, object], table: str) -> dict[str, str]:
    """Return the names of a table's fields by their IDs; the table is given by name or ID.

    Raises `ServiceError` where the base has no such table, and for an answer of another shape.
    """
    return dict(_field(one) for one in _fields(body, table))


def attachments_of(body: Mapping[str, object], table: str) -> set[str]:
    """Return which of a table's fields take files; raise as `fields_of`."""
    fields = (one for one in _fields(body, table) if isinstance(one, dict))
    return {str(one.get("name")) for one in fields if one.get("type") == "multipleAttachments"}


def _fields(body: Mapping[str, object], table: str) -> list[object]:
    tables = body.get("tables")
    if not isinstance(tables, list):
        raise ServiceError(odd_answer("no list of tables"))
    known = [one for one in tables if isinstance(one, dict)]
    by = {key: one for name in ("name", "id") for one in known if (key := one.get(name)) == table}
    if table not in by:
        raise ServiceError(_no_table(table))
    fields = by[table].get("fields")
    if not isinstance(fields, list):
        raise ServiceError(odd_answer("a table without a list of fields"))
    return fields


def _field(field: object) -> tuple[str, str]:
    match field:
        case {"id": str(field_id), "name": str(name)}:
            return field_id, name
    raise ServiceError(odd_answer("a field without an ID or a name"))


def _no_table(table: str) -> Failure:
    return Failure(
        Service.AIRTABLE,
        FailureKind.CONFIG,
        "no_table",
        f"the base has no table {table!r}",
        "check airtable.table and airtable.base_id",
    )
