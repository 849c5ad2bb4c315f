"""Airtable's formula language, as pyairtable and people write it."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from pyairtable import formulas as f

from reccli.sandbox.formula import FormulaError, compile_formula

LINK = "Recording URL (Twilio/S3)"
FIELDS = ["CallSid", LINK, "Minutes", "Odd } \\ 'name'", "When"]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class FakeRow(NamedTuple):
    id: str
    created: datetime
    modified: datetime
    fields: dict[str, object]


ROW = FakeRow(
    "rec00000000000001",
    NOW - timedelta(days=3),
    NOW - timedelta(minutes=5),
    {
        "CallSid": "CA1",
        LINK: "https://api.twilio.com/2010-04-01/x",
        "Minutes": 4.0,
        "Odd } \\ 'name'": "it's",
        "When": "2026-11-20",
    },
)
BLANK_ROW = ROW._replace(id="rec00000000000002", fields={})


def passes(formula: str, row: FakeRow = ROW) -> bool:
    return compile_formula(formula, FIELDS)(row, NOW)


@pytest.mark.parametrize(
    "formula",
    [
        f"FIND('api.twilio.com', {{{LINK}}})",
        f"FIND('h', {{{LINK}}}) = 1",
        f"FIND('2010', {{{LINK}}}, 5) > 20",
        f"LEFT({{{LINK}}}, 23) = 'https://api.twilio.com/'",
        f'RIGHT({{{LINK}}}, 2) = "/x"',
        f"SEARCH('API.Twilio', {{{LINK}}})",
        f"REGEX_MATCH({{{LINK}}}, 'twilio\\\\.com/20\\\\d\\\\d')",
        "AND({CallSid} = 'CA1', NOT({CallSid} != 'CA1'), TRUE())",
        "OR(FALSE(), BLANK(), '', 0, CallSid = 'CA1')",
        "OR({CallSid} = 'CA0', {CallSid} = 'CA1', {CallSid} = 'CA2')",
        "OR(RECORD_ID() = 'rec1', RECORD_ID() = 'rec00000000000001')",
        "IF({Minutes} >= 4, 'yes')",
        "IF({Minutes} < 4, 1, IF({Minutes} > 4, 0, 1))",
        "{Minutes} + 2 - -1 = 7",
        "({Minutes} + 1) & 'x' & {CallSid} = '5xCA1'",
        "LEN({CallSid}) <= 3",
        "UPPER(LOWER({CallSid})) = 'CA1'",
        "{Odd \\} \\\\ 'name'} = 'it\\'s'",
        "{Odd \\} \\\\ 'name'} = \"it's\"",
        "IS_BEFORE(CREATED_TIME(), DATEADD(NOW(), -71, 'hours'))",
        "IS_AFTER(LAST_MODIFIED_TIME({CallSid}), DATETIME_PARSE('2026-11-22T11:00:00.000Z'))",
        "IS_AFTER({When}, '2026-11-19')",
        "CREATED_TIME() < NOW()",
        " \n AND ( 1 ,\t2 ) ",
    ],
)
def test_true(formula: str) -> None:
    assert passes(formula)


@pytest.mark.parametrize(
    "formula",
    [
        f"FIND('API', {{{LINK}}})",
        f"SEARCH('amazonaws', {{{LINK}}})",
        "IF({Minutes} < 4, 'yes')",
        "{CallSid} = BLANK()",
        "OR({CallSid} = 'CA0', {CallSid} = 'CA2')",
        "BLANK()",
        "''",
        "0",
        "{CallSid} + 1",  # each of these is #ERROR!
        "IS_AFTER({CallSid}, NOW())",
        "REGEX_MATCH({CallSid}, '(?=C)')",
        "DATEADD(NOW(), 1, 'moons')",
    ],
)
def test_false(formula: str) -> None:
    assert not passes(formula)


def test_blank_cells() -> None:
    assert passes("{CallSid} = ''", BLANK_ROW)
    assert passes("{Minutes} = 0", BLANK_ROW)
    assert passes("OR({CallSid} = '', {CallSid} = 'CA9')", BLANK_ROW)
    assert not passes("OR({CallSid} = 'CA8', {CallSid} = 'CA9')", BLANK_ROW)
    assert not passes("{CallSid}", BLANK_ROW)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("{Nope} = 1", "Unknown field names: nope"),
        ("AND(Nope, {CallSid})", "Unknown field names: nope"),
        ("VLOOKUP(1)", "Unknown function names: VLOOKUP"),
        *[
            (broken, "Invalid formula. Please check your formula text.")
            for broken in [
                *("", "1 +", "(1", "1)", "1 2", "AND(1,)", "AND(,1)", "AND()", "LEFT('a')"),
                *("'open", "{CallSid", "{CallSid} == 'x'", "= 1", "'it's'", "#", "NOT(1, 2)"),
            ]
        ],
    ],
)
def test_refused(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message.replace(".", r"\.")):
        compile_formula(formula, FIELDS)


@pytest.mark.parametrize("text", ["it's", 'say "x"', "a\\b", "\\'", "') = '', TRUE(), ('"])
def test_what_pyairtable_quotes_comes_back(text: str) -> None:
    row = ROW._replace(fields={"CallSid": text})
    assert passes(str(f.match({"CallSid": text})), row)
    assert passes(f"{{CallSid}} = {f.quoted(text)}", row)
    assert not passes(f"{{CallSid}} = {f.quoted(text + 'x')}", row)


def test_pyairtable_functions() -> None:
    old = f.IS_BEFORE(f.CREATED_TIME(), NOW - timedelta(days=1))
    assert passes(str(f.AND(old, f.FIND("twilio", f.Field(LINK)))))
    assert passes(str(f.OR(f.EQ(f.RECORD_ID(), ROW.id), f.EQ(f.RECORD_ID(), "rec0"))))
