"""What a cell means, and how much of it may be shown."""

from __future__ import annotations

import pytest

from reccli.core.cells import bare, shown, sid_in

from .samples import CA1, CF1


@pytest.mark.parametrize(
    ("text", "sid"),
    [
        (CA1, CA1),
        (f"\u200b\xa0{CA1}\n\ufeff", CA1),
        (f"{CA1}0", ""),
        (f"{CA1} {CA1}", ""),
        (f"x{CA1}", ""),
        (CF1, ""),
        ("CAlinus", ""),
        ("", ""),
    ],
)
def test_the_sid_that_is_all_a_cell_holds(text: str, sid: str) -> None:
    assert sid_in(text, "CA") == sid


def test_white_space_within_stays() -> None:
    assert bare(" a\u200b b\n") == "a\u200b b"


@pytest.mark.parametrize(
    "word", ["pending", "N/A", "n.a.", "-", "tbd", "In progress…", "see the drive", "待定"]
)
def test_a_short_word_is_shown(word: str) -> None:
    assert shown(f" {word}\n") == f'"{word}"'


@pytest.mark.parametrize(
    "text",
    [
        "0412 345 678",
        "+61412345678",
        "pass1234",
        "abcdefghijklmnop",  # some passwords are letters alone
        "wonderful wonderful words",
        "ann@example.org",
        "a\nb",
        "${x}",
        '"quoted"',
    ],
)
def test_of_anything_else_only_its_length_is_told(text: str) -> None:
    assert shown(text) == f"a text of {len(text)} characters"
