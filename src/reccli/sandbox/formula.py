"""Airtable's formula language, as far as a filter needs it: parsed once, compiled to closures.

Semantics are those of the formula reference, where it says anything: FIND is case-sensitive and
gives 0 when absent, SEARCH ignores case and gives blank, a backslash escapes inside strings,
REGEX_MATCH is RE2 and unanchored. What goes wrong while a row is evaluated drops that row, as
`#ERROR!` does.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from reccli.sandbox.formula_functions import FUNCTIONS, FormulaRow, Node
from reccli.sandbox.formula_values import Value, as_number, as_text, compare, is_true, same


class FormulaError(ValueError):
    """The formula does not parse, or names what does not exist."""


class _Token(NamedTuple):
    kind: str
    text: str


TOKENS = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<field>\{(?:[^}\\]|\\.)*\})
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<op><=|>=|!=|[=<>&+\-(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
COMPARE: dict[str, Callable[[float], bool]] = {
    "<": lambda sign: sign < 0,
    ">": lambda sign: sign > 0,
    "<=": lambda sign: sign <= 0,
    ">=": lambda sign: sign >= 0,
}
INVALID = "Invalid formula. Please check your formula text."


def compile_formula(
    text: str, fields: Sequence[str], ids: Mapping[str, str] | None = None
) -> Callable[[FormulaRow, datetime], bool]:
    """Compile a filter over rows with these fields: the closure tells whether a row passes now.

    Fields go by their names, and by what IDS maps to names.
    """
    parser = _Parser(text, frozenset(fields), ids or {})
    node = parser.whole()
    if parser.unknown:
        raise FormulaError("Unknown field names: " + ", ".join(sorted(parser.unknown)).lower())

    def passes(row: FormulaRow, now: datetime) -> bool:
        try:
            return is_true(node(row, now))
        except (TypeError, ValueError, OverflowError, re.error):  # the row shows #ERROR!
            return False

    return passes


class _Parser:
    """Recursive descent: comparison over concatenation over sums over signs over terms."""

    def __init__(self, text: str, fields: frozenset[str], ids: Mapping[str, str]) -> None:
        self.tokens = list(_tokens(text))
        self.fields, self.ids = fields, ids
        self.unknown: set[str] = set()
        self.at = 0

    def whole(self) -> Node:
        node = self.comparison()
        if self.at != len(self.tokens):
            raise FormulaError(INVALID)
        return node

    def peek(self) -> str:
        """Show the next operator, if it is one."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else _Token("", "")
        return token.text if token.kind == "op" else ""

    def next(self) -> _Token:
        if self.at == len(self.tokens):
            raise FormulaError(INVALID)
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str) -> None:
        if self.peek() != text:
            raise FormulaError(INVALID)
        self.at += 1

    def comparison(self) -> Node:
        left = self.concatenation()
        while (sign := self.peek()) in {"=", "!=", *COMPARE}:
            self.at += 1
            left = _comparison(sign, left, self.concatenation())
        return left

    def concatenation(self) -> Node:
        left = self.sum()
        while self.peek() == "&":
            self.at += 1
            left = partial(_concatenate, left, self.sum())
        return left

    def sum(self) -> Node:
        left = self.signed()
        while (sign := self.peek()) in {"+", "-"}:
            self.at += 1
            add = operator.add if sign == "+" else operator.sub
            left = partial(_add, add, left, self.signed())
        return left

    def signed(self) -> Node:
        if self.peek() == "-":
            self.at += 1
            return partial(_add, operator.sub, _Constant(0.0), self.signed())
        return self.term()

    def term(self) -> Node:
        token = self.next()
        match token.kind:
            case "string":
                return _Constant(_unescape(token.text))
            case "number":
                return _Constant(float(token.text))
            case "field":
                return self.field(_unescape(token.text))
            case "name" if self.peek() == "(":
                return self.call(token.text.upper())
            case "name":
                return self.field(token.text)
            case _ if token.text == "(":
                inner = self.comparison()
                self.expect(")")
                return inner
        raise FormulaError(INVALID)

    def field(self, name: str) -> Node:
        name = self.ids.get(name, name)
        if name not in self.fields:
            self.unknown.add(name)
        return _Field(name)

    def call(self, name: str) -> Node:
        self.expect("(")
        arguments: list[Node] = []
        while self.peek() != ")":
            if arguments:
                self.expect(",")
            arguments.append(self.comparison())
        self.expect(")")
        if name not in FUNCTIONS:
            raise FormulaError(f"Unknown function names: {name}")
        fewest, most, make = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise FormulaError(INVALID)
        if name == "OR" and (quick := _one_of(arguments)):
            return quick
        return make(*arguments)


class _Field:
    """A cell; None when it is empty."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, row: FormulaRow, now: datetime) -> Value:  # noqa: ARG002
        return row.fields.get(self.name)


class _Constant:
    """A literal."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def __call__(self, row: FormulaRow, now: datetime) -> Value:  # noqa: ARG002
        return self.value


class _Equals:
    """`{field} = 'text'`, kept apart so that an OR of a hundred of them becomes one look-up."""

    def __init__(self, field: Node, text: str) -> None:
        self.field, self.text = field, text
        self.of = field.name if isinstance(field, _Field) else field

    def __call__(self, row: FormulaRow, now: datetime) -> bool:
        return same(self.field(row, now), self.text)


def _one_of(arguments: Sequence[Node]) -> Node | None:
    equals = [a for a in arguments if isinstance(a, _Equals) and a.text]
    if len(equals) < len(arguments) or len({e.of for e in equals}) != 1:
        return None
    field, texts = equals[0].field, frozenset(e.text for e in equals)

    def one_of(row: FormulaRow, now: datetime) -> bool:
        value = field(row, now)
        return value in texts if isinstance(value, str) else any(same(value, t) for t in texts)

    return one_of


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = TOKENS.match(text, at)
        if match is None or match.lastgroup is None:
            raise FormulaError(INVALID)
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), quoted[1:-1], flags=re.DOTALL)


def _comparison(sign: str, left: Node, right: Node) -> Node:
    if sign == "=":
        if isinstance(right, _Constant) and isinstance(right.value, str):
            return _Equals(left, right.value)
        return lambda row, now: same(left(row, now), right(row, now))
    if sign == "!=":
        return lambda row, now: not same(left(row, now), right(row, now))
    holds = COMPARE[sign]
    return lambda row, now: holds(compare(left(row, now), right(row, now)))


def _concatenate(left: Node, right: Node, row: FormulaRow, now: datetime) -> str:
    return as_text(left(row, now)) + as_text(right(row, now))


def _add(
    add: Callable[[float, float], float], left: Node, right: Node, row: FormulaRow, now: datetime
) -> float:
    return add(as_number(left(row, now)), as_number(right(row, now)))
