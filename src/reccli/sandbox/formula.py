"""The part of Airtable's formula language that reccli writes, parsed once and compiled to closures.

Anything else is an invalid formula, so that a new filter has to be thought of here too. FIND heeds
case and is 0 where nothing is found, blank joins as "", a backslash escapes a quote and itself, and
the name of a field may hold no closing brace and no backslash.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

INVALID = "Invalid formula. Please check your formula text."
TOKENS = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\['\\])*')
    | (?P<field>\{[^}\\]+\})
    | (?P<number>\d+)
    | (?P<function>[A-Z_]+)(?=\()
    | (?P<sign>[=<&(),])
    )\s*""",
    re.VERBOSE,
)


class FormulaError(ValueError):
    """The formula is not one that is served here, or names a field that does not exist."""


class FormulaRow(Protocol):
    """What a formula sees of a row."""

    @property
    def id(self) -> str:
        """Its record ID."""

    @property
    def fields(self) -> Mapping[str, object]:
        """Its cells; empty ones are left out."""


Node: TypeAlias = Callable[[FormulaRow], object]


@dataclass(frozen=True, slots=True)
class _Text:
    text: str

    def __call__(self, row: FormulaRow) -> str:  # noqa: ARG002
        return self.text


@dataclass(frozen=True, slots=True)
class _Cell:
    field: str

    def __call__(self, row: FormulaRow) -> object:
        return row.fields.get(self.field, "")


@dataclass(frozen=True, slots=True)
class _Equals:
    left: Node
    text: object

    def __call__(self, row: FormulaRow) -> object:
        return self.left(row) == self.text


def compile_formula(
    text: str, fields: Sequence[str], ids: Mapping[str, str] | None = None
) -> Callable[[FormulaRow], bool]:
    """Compile a filter over rows with these fields; the closure returns whether a row passes.

    Fields go by their names, and by what IDS maps to names. Raise `FormulaError`.
    """
    parser = _Parser(text, ids or {})
    node = parser.whole()
    if unknown := parser.fields.difference(fields):
        raise FormulaError("Unknown field names: " + ", ".join(sorted(unknown)).lower())
    return lambda row: bool(node(row))


def as_text(value: object) -> str:
    """Read a cell as text."""
    if isinstance(value, str):  # by far the most, and asked for on every row of every page
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class _Parser:
    """Recursive descent: a comparison of joined terms."""

    def __init__(self, text: str, ids: Mapping[str, str]) -> None:
        self.tokens = _tokens(text)
        self.ids = ids
        self.fields: set[str] = set()

    def whole(self) -> Node:
        node = self.comparison()
        if self.tokens:
            raise FormulaError(INVALID)
        return node

    def next(self, *kinds: str) -> tuple[str, str]:
        """Consume the next token, which must be of one of these kinds."""
        kind, text = self.tokens.pop() if self.tokens else ("", "")
        if kind not in kinds:
            raise FormulaError(INVALID)
        return kind, text

    def take(self, sign: str) -> bool:
        """Consume a sign if it is the next token; return whether it was."""
        if self.tokens and self.tokens[-1][0] == sign:
            self.tokens.pop()
            return True
        return False

    def comparison(self) -> Node:
        left = self.term()
        while self.take("&"):
            left = _joined(left, self.term())
        if self.take("="):
            return _Equals(left, _unescaped(self.next("text")[1]))
        if self.take("<"):
            return partial(_below, left, int(self.next("number")[1]))
        return left

    def term(self) -> Node:
        kind, text = self.next("text", "field", "function")
        if kind == "text":
            return _Text(_unescaped(text))
        if kind == "function":
            return self.call(text)
        name = self.ids.get(text[1:-1], text[1:-1])
        self.fields.add(name)
        return _Cell(name)

    def call(self, name: str) -> Node:
        self.next("(")
        arguments: list[Node] = []
        if not self.take(")"):
            arguments.append(self.comparison())
            while self.next(",", ")")[0] == ",":
                arguments.append(self.comparison())
        try:
            return FUNCTIONS[name](*arguments)
        except (KeyError, TypeError):  # no such function, or not of so many arguments
            raise FormulaError(INVALID) from None


def _tokens(text: str) -> list[tuple[str, str]]:
    """Return the tokens by kind, the first one last; a sign is a kind of its own."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = TOKENS.match(text, at)
        if match is None or match.lastgroup is None:
            raise FormulaError(INVALID)
        kind, token = match.lastgroup, match[match.lastgroup]
        found.append((token if kind == "sign" else kind, token))
        at = match.end()
    return found[::-1]


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


def _joined(left: Node, right: Node) -> Node:
    return lambda row: as_text(left(row)) + as_text(right(row))


def _below(left: Node, limit: int, row: FormulaRow) -> bool:
    value = left(row)
    return isinstance(value, int | float) and value < limit


def _record_id(row: FormulaRow) -> str:
    return row.id


def _either(first: Node, *more: Node) -> Node:
    nodes = (first, *more)
    # An OR of a hundred record IDs is one look-up: it is asked for on every row of a large table.
    of = {node.left if isinstance(node, _Equals) else node for node in nodes}
    if len(of) == 1 and isinstance(first, _Equals):
        texts = frozenset(node.text for node in nodes if isinstance(node, _Equals))
        return lambda row: isinstance(value := first.left(row), str) and value in texts
    return lambda row: any(node(row) for node in nodes)


def _every(first: Node, *more: Node) -> Node:
    return lambda row: bool(first(row)) and all(node(row) for node in more)


def _find(needle: Node, hay: Node) -> Node:
    return lambda row: as_text(hay(row)).find(as_text(needle(row))) + 1


FUNCTIONS: dict[str, Callable[..., Node]] = {
    "AND": _every,
    "OR": _either,
    "FIND": _find,
    "LEN": lambda text: lambda row: len(as_text(text(row))),
    "LOWER": lambda text: lambda row: as_text(text(row)).lower(),
    "RECORD_ID": lambda: _record_id,
}
