"""The fields of a local Airtable's table: what they are called, what they take, what is kept.

Nothing here was checked against Airtable. Rich text is assumed to be kept as it is shown by the
API: every `_` and `*` escaped, one newline at the end; formulas are assumed to see just that.
"""

import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reccli.sandbox.airtable_errors import AirtableError, cannot_accept
from reccli.sandbox.formula import FormulaRow, as_text

ALPHABET = string.ascii_letters + string.digits
LONGEST_TEXT = 100_000
LINKS, RICH_TEXT = "multipleRecordLinks", "richText"
TEXT_TYPES = {"singleLineText", "multilineText", "url", RICH_TEXT}
"""Field types whose cells the API takes as strings alone."""
COMPUTED_TYPES = {
    *("formula", "rollup", "lookup", "multipleLookupValues", "count"),
    *("createdTime", "lastModifiedTime", "autoNumber"),
}
ATTACHMENTS, SELECT = "multipleAttachments", "singleSelect"
NUMBER_TYPES = {"number", "currency", "percent", "duration"}
MARKDOWN = re.compile(r"(?<!\\)[_*]")


def made_id(kind: str, name: str) -> str:
    """Make an ID (`rec…`, `tbl…`, `fld…`), always the same for NAME."""
    digest = hashlib.sha256(f"{kind}/{name}".encode()).digest()
    return kind + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:14])


class SeenRow(NamedTuple):
    """A row as formulas see it: a linked record is its primary text."""

    id: str
    fields: Mapping[str, object]


class FakeFields:
    """The fields of one table."""

    def __init__(self, table: str, names: Sequence[str], types: Mapping[str, str]) -> None:
        self.names = tuple(names)
        self.ids = {name: made_id("fld", f"{table}/{name}") for name in names}
        self._first_types = {name: types.get(name, "singleLineText") for name in names}
        self.types = dict(self._first_types)
        self.locked: set[str] = set()
        self.linked_names: dict[str, str] = {}
        self.rich_text_escapes = True
        self.formulas_take_ids = True

    def reset(self) -> None:
        """Restore what was set at the beginning."""
        self.types.update(self._first_types)
        self.locked.clear()
        self.linked_names.clear()
        self.rich_text_escapes = self.formulas_take_ids = True

    def named(self, name: str) -> str:
        """Return the name of a field, of which NAME may be the ID."""
        if name in self.ids:
            return name
        for known, field_id in self.ids.items():
            if field_id == name:
                return known
        raise AirtableError(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')

    def by_id(self) -> dict[str, str]:
        """Return the names by ID, as far as formulas take IDs."""
        return {key: name for name, key in self.ids.items()} if self.formulas_take_ids else {}

    def linked(self, text: str) -> str:
        """Return the ID of the record, in the other table, whose primary text is TEXT."""
        row_id = made_id("rec", f"linked/{text}")
        self.linked_names[row_id] = text
        return row_id

    def checked(self, cells: Mapping[str, object]) -> dict[str, object]:
        """Name the fields, and refuse what they can't hold."""
        known = {self.named(name): cell for name, cell in cells.items()}
        for name, cell in known.items():
            kind = self.types[name]
            if kind in COMPUTED_TYPES:
                raise cannot_accept(name, "cannot accept a value because the field is computed")
            if cell is not None:
                self._check(name, kind, cell)
        return known

    def _check(self, name: str, kind: str, cell: object) -> None:
        is_text = isinstance(cell, str) and len(cell) <= LONGEST_TEXT
        is_number = isinstance(cell, int | float)
        if kind == LINKS:
            self._check_links(cell)
        elif kind == ATTACHMENTS:
            check_attachments(name, cell)
        elif kind == SELECT:  # without typecast an option has to be there already
            message = f'Insufficient permissions to create new select option "{cell}"'
            raise AirtableError(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", message)
        elif (kind in TEXT_TYPES and not is_text) or (kind in NUMBER_TYPES and not is_number):
            raise cannot_accept(name, "cannot accept the provided value")

    def _check_links(self, cell: object) -> None:
        if not isinstance(cell, list) or not all(isinstance(item, str) for item in cell):
            message = "Value is not an array of record IDs."
            raise AirtableError(422, "INVALID_VALUE_FOR_COLUMN", message)
        for item in cell:
            if item not in self.linked_names:
                message = f"Record ID {item} does not exist in this table"
                raise AirtableError(422, "ROW_DOES_NOT_EXIST", message)

    def kept(self, cells: Mapping[str, object]) -> dict[str, object]:
        """Return what is stored of cells that are written; writing it again changes nothing."""
        return {
            name: self._rich(cell) if self.types.get(name) == RICH_TEXT else cell
            for name, cell in cells.items()
            if not is_empty(cell)
        }

    def _rich(self, cell: object) -> str:
        text = as_text(cell).removesuffix("\n")
        return (MARKDOWN.sub(r"\\\g<0>", text) if self.rich_text_escapes else text) + "\n"

    def seen(self, row: FormulaRow) -> FormulaRow:
        """Show a row as formulas see it."""
        if LINKS not in self.types.values():
            return row
        return SeenRow(row.id, {name: self._text(cell) for name, cell in row.fields.items()})

    def _text(self, cell: object) -> object:
        if not isinstance(cell, list):
            return cell
        return ", ".join(self.linked_names.get(str(item), str(item)) for item in cell)

    def schema(self) -> list[dict[str, object]]:
        """Show the fields as the metadata API does."""
        links = {"linkedTableId": made_id("tbl", "linked"), "isReversed": False}
        return [
            {"id": key, "name": name, "type": self.types[name]}
            | ({"options": links} if self.types[name] == LINKS else {})
            for name, key in self.ids.items()
        ]


def check_attachments(name: str, cell: object) -> None:
    """Refuse what is no list of files, each given by its address."""
    files = cell if isinstance(cell, list) else [cell]
    if not isinstance(cell, list) or not all(
        isinstance(one, dict) and "url" in one for one in files
    ):
        message = f"Invalid attachment for field {name}: parameters must be objects, not strings"
        raise AirtableError(422, "INVALID_ATTACHMENT_OBJECT", message)


def is_empty(cell: object) -> bool:
    """Return whether Airtable leaves such a cell out."""
    return cell is None or cell is False or cell in ("", [])
