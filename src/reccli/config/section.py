"""What all tables of the file have in common: unknown keys are refused, texts are cleaned.

For the modules that list the keys.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

QUOTES = "\"'"
# Also what is no text at all: half a surrogate is a byte of the environment that is not UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class NotRead:
    """Marks a key that can be set, and that nothing reads yet: whoever sets it is warned."""


class Section(BaseModel):
    """One table of the file."""

    # validate_default: a check of one key against another lives on the later key, and
    # has to run when that key was left out; that is most often the mistake.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _ends_in_no_line(cls, value: object) -> object:
        """Strip the line ends that an editor, `echo` or a text in three quotes put there."""
        if isinstance(value, list | tuple):
            return [cls._ends_in_no_line(item) for item in value]
        return value.rstrip("\r\n") if isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _is_one_line(cls, value: object) -> object:
        """Refuse what would end a header, a URL or a formula half-way."""
        if any(_CONTROL.search(text) for text in _texts(value)):
            raise ValueError("holds a control character, such as a line break or a tab")
        return value


def _texts(value: object) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, dict):
        value = (*value, *value.values())
    if isinstance(value, tuple):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def bare(text: str) -> str:
    """Strip what came with a text: blanks, a byte order mark, `docker --env-file`'s quotes."""
    text = text.strip().removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").strip()
    quoted = len(text) > 1 and text[0] in QUOTES and text.find(text[0], 1) == len(text) - 1
    return text[1:-1].strip() if quoted else text


def header_safe(text: str) -> str:
    """Return what fits into a header as it is; raises ValueError for blanks, quotes or "…"."""
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds blanks or characters that it cannot have")
    if text and (text[0] in QUOTES or text[-1] in QUOTES):
        raise ValueError("begins or ends with a quotation mark")
    return text
