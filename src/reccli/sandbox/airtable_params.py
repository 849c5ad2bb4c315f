"""What a request to Airtable asks for, from a query or from a JSON body."""

import json
import re
from collections.abc import Mapping

from reccli.sandbox.airtable_errors import AirtableError
from reccli.sandbox.airtable_table import ListParams
from reccli.sandbox.standin import Request

SORT = re.compile(r"sort\[(\d+)\]\[(field|direction)\]")
LIST_PARAMS = {
    *("filterByFormula", "fields", "pageSize", "maxRecords", "offset", "sort", "view"),
    *("returnFieldsByFieldId", "cellFormat", "timeZone", "userLocale"),
}


def body_of(request: Request) -> dict[str, object]:
    """Read a JSON body."""
    try:
        document = json.loads(request.body)
    except ValueError as error:
        message = "Could not parse request body"
        raise AirtableError(400, "INVALID_REQUEST_BODY", message) from error
    if not isinstance(document, dict):
        raise AirtableError(422, "INVALID_REQUEST_UNKNOWN", "The body must be an object")
    return document


def from_query(query: Mapping[str, list[str]]) -> dict[str, object]:
    """Read a query as the JSON that `listRecords` takes."""
    document: dict[str, object] = {}
    sort: dict[int, dict[str, str]] = {}
    for name, values in query.items():
        if match := SORT.fullmatch(name):
            sort.setdefault(int(match[1]), {})[match[2]] = values[0]
        elif name == "fields[]":
            document["fields"] = values
        elif name in {"pageSize", "maxRecords"}:
            document[name] = int(values[0]) if values[0].isdecimal() else values[0]
        elif name == "returnFieldsByFieldId":
            document[name] = values[0] in {"1", "true"}
        else:
            document[name] = values[0]
    if sort:
        document["sort"] = [sort[number] for number in sorted(sort)]
    return document


def list_params(document: Mapping[str, object]) -> ListParams:
    """Check what a list asks for; unknown parameters are refused, so that requests prove right."""
    unknown = document.keys() - LIST_PARAMS
    size, most = document.get("pageSize", 100), document.get("maxRecords")
    sizes_fit = isinstance(size, int) and 1 <= size <= 100  # noqa: PLR2004
    if unknown or not sizes_fit or not (most is None or (isinstance(most, int) and most > 0)):
        raise AirtableError(422, "INVALID_REQUEST_UNKNOWN", f"Invalid request: {sorted(document)}")
    if document.get("view", "Grid view") != "Grid view":
        raise AirtableError(422, "VIEW_NAME_NOT_FOUND", f"View {document['view']} not found")
    if document.get("cellFormat", "json") != "json":
        raise AirtableError(422, "INVALID_REQUEST_UNKNOWN", "Only cellFormat=json is served here")
    sort, fields = document.get("sort") or [], document.get("fields")
    formula, offset = document.get("filterByFormula"), document.get("offset")
    return ListParams(
        formula=None if formula is None else str(formula),
        fields=[str(name) for name in fields] if isinstance(fields, list) else None,
        page_size=size if isinstance(size, int) else 100,
        max_records=most if isinstance(most, int) else None,
        offset=None if offset is None else str(offset),
        sort=[(str(s["field"]), s.get("direction") == "desc") for s in sort]
        if isinstance(sort, list)
        else [],
        by_field_id=document.get("returnFieldsByFieldId") is True,
    )
