"""The functions of Airtable's formula language that a filter may want."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from reccli.sandbox.formula_values import Value, as_number, as_text, as_time, is_true


class FormulaRow(Protocol):
    """What a formula sees of a row."""

    @property
    def id(self) -> str:
        """Its record ID."""

    @property
    def created(self) -> datetime:
        """When it was made."""

    @property
    def modified(self) -> datetime:
        """When it was last changed."""

    @property
    def fields(self) -> Mapping[str, object]:
        """Its cells; empty ones are left out."""


Node: TypeAlias = Callable[[FormulaRow, datetime], Value]
UNITS = {
    unit + plural: timedelta(seconds=seconds)
    for unit, seconds in [
        *(("millisecond", 0.001), ("second", 1), ("minute", 60)),
        *(("hour", 3600), ("day", 86_400), ("week", 604_800)),
    ]
    for plural in ("", "s")
}
NOT_RE2 = re.compile(r"\(\?(?:<?[=!]|>)|\\[1-9]")
"""RE2 has no look-around and no back-references."""


def plain(function: Callable[..., Value]) -> Callable[..., Node]:
    """Make a node of a function of values."""

    def make(*arguments: Node) -> Node:
        if len(arguments) == 2:  # noqa: PLR2004 - the usual number, without a list on every row
            first, second = arguments
            return lambda row, now: function(first(row, now), second(row, now))
        return lambda row, now: function(*[argument(row, now) for argument in arguments])

    return make


def either(*arguments: Node) -> Node:
    """OR."""
    return lambda row, now: any(is_true(argument(row, now)) for argument in arguments)


def every(*arguments: Node) -> Node:
    """AND."""
    return lambda row, now: all(is_true(argument(row, now)) for argument in arguments)


def choose(condition: Node, then: Node, otherwise: Node | None = None) -> Node:
    """IF."""

    def node(row: FormulaRow, now: datetime) -> Value:
        if is_true(condition(row, now)):
            return then(row, now)
        return otherwise(row, now) if otherwise else None

    return node


def find(needle: Value, hay: Value, start: Value = None) -> float:
    """FIND: the position from 1, or 0."""
    offset = 0 if start is None else max(0, int(as_number(start)) - 1)
    return float(as_text(hay).find(as_text(needle), offset) + 1)


def search(needle: Value, hay: Value, start: Value = None) -> Value:
    """SEARCH: as FIND, but blank when absent, and (reports say) blind to case."""
    return find(as_text(needle).lower(), as_text(hay).lower(), start) or None


def left(text: Value, count: Value) -> str:
    """LEFT."""
    return as_text(text)[: max(0, int(as_number(count)))]


def right(text: Value, count: Value) -> str:
    """RIGHT."""
    return as_text(text)[::-1][: max(0, int(as_number(count)))][::-1]


def matches(text: Value, pattern: Value) -> bool:
    """REGEX_MATCH."""
    expression = as_text(pattern)
    if NOT_RE2.search(expression):
        raise ValueError("not an RE2 expression")
    return re.search(expression, as_text(text)) is not None


def date_add(time: Value, count: Value, unit: Value) -> datetime:
    """DATEADD, for units of a fixed length."""
    if as_text(unit).lower() not in UNITS:
        raise ValueError("unknown unit")
    return as_time(time) + as_number(count) * UNITS[as_text(unit).lower()]


def record_id(row: FormulaRow, now: datetime) -> str:  # noqa: ARG001
    """RECORD_ID: one object, so that comparisons of it are recognised."""
    return row.id


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Node]]] = {
    "AND": (1, 10_000, every),
    "OR": (1, 10_000, either),
    "NOT": (1, 1, plain(lambda value: not is_true(value))),
    "IF": (2, 3, choose),
    "BLANK": (0, 0, plain(lambda: None)),
    "TRUE": (0, 0, plain(lambda: True)),
    "FALSE": (0, 0, plain(lambda: False)),
    "FIND": (2, 3, plain(find)),
    "SEARCH": (2, 3, plain(search)),
    "LEFT": (2, 2, plain(left)),
    "RIGHT": (2, 2, plain(right)),
    "LEN": (1, 1, plain(lambda text: float(len(as_text(text))))),
    "LOWER": (1, 1, plain(lambda text: as_text(text).lower())),
    "UPPER": (1, 1, plain(lambda text: as_text(text).upper())),
    "REGEX_MATCH": (2, 2, plain(matches)),
    "RECORD_ID": (0, 0, lambda: record_id),
    "CREATED_TIME": (0, 0, lambda: lambda row, _now: row.created),
    # Of the fields that it may name: the stand-in keeps one time for each row.
    "LAST_MODIFIED_TIME": (0, 100, lambda *_fields: lambda row, _now: row.modified),
    "NOW": (0, 0, lambda: lambda _row, now: now),
    "IS_AFTER": (2, 2, plain(lambda a, b: as_time(a) > as_time(b))),
    "IS_BEFORE": (2, 2, plain(lambda a, b: as_time(a) < as_time(b))),
    "DATETIME_PARSE": (1, 1, plain(as_time)),
    "DATEADD": (3, 3, plain(date_add)),
}
