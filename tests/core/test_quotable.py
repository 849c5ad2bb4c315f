from __future__ import annotations

import pytest

from reccli.core.errors import quotable


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("not found", "not found"),
        (" two\r\n lines\t", "two lines"),
        ("a bell\x07 and \x1b[2J", "a bell and [2J"),
        ("GET https://x/y?sig=secret failed", "GET https://x/y failed"),
        ("really? yes", "really? yes"),
        ("x" * 300, "x" * 200),
    ],
)
def test_foreign_words_are_one_short_line_without_a_query(foreign: str, shown: str) -> None:
    assert quotable(foreign) == shown


def test_as_long_as_is_allowed() -> None:
    assert quotable("x" * 300, 5) == "xxxxx"
