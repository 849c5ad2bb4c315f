from __future__ import annotations

import re

import pytest

from reccli.core.sids import CALL, CONFERENCE, RECORDING, is_sid, pattern

DIGITS = "0123456789abcdefABCDEF0123456789"


def test_a_sid_is_its_kind_and_32_hex_digits_of_either_case() -> None:
    assert is_sid(f"RE{DIGITS}", RECORDING)
    assert is_sid(f"CF{DIGITS}", CALL, CONFERENCE)


@pytest.mark.parametrize(
    "text",
    [
        None,
        17,
        "",
        "RE",
        DIGITS,
        f"CA{DIGITS}",
        f"re{DIGITS}",
        f"RE{DIGITS[1:]}",
        f"RE{DIGITS}0",
        f"RE{DIGITS[1:]}g",
        f"RE{DIGITS}\n",
        f" RE{DIGITS}",
        f"RE{DIGITS}.mp3",
    ],
)
def test_anything_else_is_none(text: object) -> None:
    assert not is_sid(text, RECORDING)


def test_no_kind_asked_for_is_no_sid() -> None:
    assert not is_sid(f"RE{DIGITS}")


def test_the_pattern_stands_in_a_larger_one() -> None:
    found = re.search(rf"/({pattern(RECORDING)})\.mp3", f"https://x/RE{DIGITS}.mp3")
    assert found is not None
    assert found[1] == f"RE{DIGITS}"
