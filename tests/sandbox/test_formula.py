"""The part of Airtable's formula language that reccli writes, and nothing else."""

from typing import NamedTuple

import pytest
from pyairtable import formulas as f

from reccli.sandbox.formula import FormulaError, compile_formula

LINK = "Recording URL (Twilio/S3)"
FIELDS = ["CallSid", LINK, "Minutes"]


class FakeRow(NamedTuple):
    id: str
    fields: dict[str, object]


ROW = FakeRow(
    "rec00000000000001",
    {"CallSid": "CA1", LINK: "https://API.twilio.com/2010-04-01/x", "Minutes": 4.0},
)
BLANK_ROW = FakeRow("rec00000000000002", {})


def passes(formula: str, row: FakeRow = ROW) -> bool:
    return compile_formula(formula, FIELDS)(row)


@pytest.mark.parametrize(
    "formula",
    [
        f"FIND('API.twilio.com', {{{LINK}}})",
        f"FIND('api.twilio.com',LOWER({{{LINK}}}&''))",
        "FIND('1','x'&{CallSid})<5",
        "LEN({CallSid})<4",
        "LEN({Minutes})<2",
        "FIND('4',{Minutes})",
        "AND({CallSid} = 'CA1',LEN('')<1)",
        "OR('',FIND('x',{CallSid}),{CallSid}='CA1')",
        "OR({CallSid}='CA0',{CallSid}='CA1',{CallSid}='CA2')",
        "OR({CallSid}='CA0',RECORD_ID()='rec00000000000001')",
        "OR(RECORD_ID()='rec1',RECORD_ID()='rec00000000000001')",
        "{CallSid}&{Minutes}='CA14'",
        " \n AND( 'a' ,\t'b' ) ",
    ],
)
def test_true(formula: str) -> None:
    assert passes(formula)


@pytest.mark.parametrize(
    "formula",
    [
        f"FIND('api', {{{LINK}}})",  # it heeds case
        "LEN({CallSid})<3",
        "AND('',{CallSid}='CA1')",
        "AND({CallSid}='CA1','')",
        "OR({CallSid}='CA0',{CallSid}='CA2')",
        "OR('','')",
        "{CallSid}='ca1'",
        "{Minutes}='4'",
        "OR({Minutes}='4',{Minutes}='5')",
        "{CallSid}<9",  # the row shows #ERROR!
        "''",
    ],
)
def test_false(formula: str) -> None:
    assert not passes(formula)


def test_blank_cells() -> None:
    assert passes("{CallSid}=''", BLANK_ROW)
    assert passes("OR({CallSid}='',{CallSid}='CA9')", BLANK_ROW)
    assert passes("LEN({CallSid}&'')<1", BLANK_ROW)
    assert not passes("OR({CallSid}='CA8',{CallSid}='CA9')", BLANK_ROW)
    assert not passes("{CallSid}", BLANK_ROW)
    assert not passes("FIND('x',{CallSid})", BLANK_ROW)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("{Nope}='1'", "Unknown field names: nope"),
        ("AND({Nope},{CallSid})", "Unknown field names: nope"),
        *[
            (broken, "Invalid formula. Please check your formula text.")
            for broken in [
                *("", "'a'&", "('a'", "'a')", "'a' 'b'", "AND('a',)", "AND(,'a')", "AND()"),
                *(
                    "'open",
                    "{CallSid",
                    "{CallSid}=='x'",
                    "='a'",
                    "'it's'",
                    "#",
                    "LEN('a','b')",
                    "'a\\nb'",
                ),
                *("{}", "{a}b}", "{a\\}b}", "{a\\b}", "RECORD_ID('a')", "FIND('a')"),
                # What Airtable has and reccli does not write.
                *("SEARCH('a',{CallSid})", "LEFT('a',1)", "NOT('a')", "NOW()", '"a"', "CallSid"),
                *("1", "{CallSid}='a'='b'", "{CallSid}={CallSid}", "{Minutes}>1", "{Minutes}<'1'"),
                *("('a')", "{Minutes}+1", "len('a')"),
            ]
        ],
    ],
)
def test_refused(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message.replace(".", r"\.")):
        compile_formula(formula, FIELDS)


@pytest.mark.parametrize("text", ["it's", 'say "x"', "a\\b", "\\'", "') = '', TRUE(), ('", "a\nb"])
def test_what_pyairtable_quotes_comes_back(text: str) -> None:
    row = FakeRow(ROW.id, {"CallSid": text})
    assert passes(str(f.match({"CallSid": text})), row)
    assert passes(f"FIND({f.quoted(text)},{{CallSid}})", row)
    assert not passes(f"{{CallSid}}={f.quoted(text + 'x')}", row)


def test_a_field_may_have_an_odd_name() -> None:
    odd = "It's {odd"
    row = FakeRow(ROW.id, {odd: "x"})
    assert compile_formula(f"FIND('x',{f.field_name(odd)})", [odd])(row)
