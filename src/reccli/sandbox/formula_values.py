"""How Airtable's formulas treat values: what is true, what equals what, what reads as a date."""

import math
from datetime import UTC, datetime
from typing import TypeAlias

Value: TypeAlias = object
"""A string, float, bool or datetime; None is blank."""


def is_true(value: Value) -> bool:
    """Tell whether a row with this result is kept: not 0, false, "", NaN or blank."""
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def as_text(value: Value) -> str:
    """Read a value as text."""
    if isinstance(value, str):  # by far the most, and asked for on every row of every page
        return value
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)


def as_number(value: Value) -> float:
    """Read a value as a number; blank is 0."""
    match value:
        case None | "":
            return 0.0
        case bool() | int() | float():
            return float(value)
    raise ValueError("not a number")


def as_time(value: Value) -> datetime:
    """Read a value as a time; what names no zone is GMT."""
    if not isinstance(value, datetime):
        value = datetime.fromisoformat(as_text(value))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are equal. Blank equals "", 0 and false."""
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if left is None or right is None:
        other = right if left is None else left
        return other is None or other in ("", 0)
    if isinstance(left, datetime) or isinstance(right, datetime):
        return as_time(left) == as_time(right)
    return left == right


def compare(left: Value, right: Value) -> float:
    """Order two values: the sign of left minus right."""
    if isinstance(left, datetime) or isinstance(right, datetime):
        return (as_time(left) - as_time(right)).total_seconds()
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    return as_number(left) - as_number(right)
