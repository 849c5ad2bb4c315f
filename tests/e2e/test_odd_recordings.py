"""One recording of which Twilio tells something odd: the others of its page are none the worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.recordings import ENCRYPTION_DETAILS

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

ODD = "odd_recording"


def test_a_part_of_the_encryption_that_is_null_is_simply_absent(lab: Lab) -> None:
    row, mine = lab.call()
    mine.encryption_details = {**ENCRYPTION_DETAILS, "encryption_iv": None}  # type: ignore[dict-item]
    told = lab.json("process")
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    (key,) = lab.objects(mine)
    metadata = lab.s3.head_object(Bucket=lab.bucket, Key=key)["Metadata"]
    assert ENCRYPTION_DETAILS["encryption_cek"] in "".join(metadata.values())


@pytest.mark.parametrize(
    "details", [{"encryption_iv": 7}, ["CR"], "yes"], ids=["number", "list", "text"]
)
def test_an_odd_recording_is_named_and_the_others_of_its_page_go_on(
    lab: Lab, details: object
) -> None:
    (odd_row, odd), (row, mine) = lab.call(), lab.call()
    odd.metadata = {"encryption_details": details}
    told = lab.json("process")
    assert (told.code, told.error_codes) == (1, {ODD})
    assert (lab.holds(row, mine), lab.holds(odd_row, odd)) == ("s3", "empty")
    assert (told.of(odd)["step"], told.of(odd)["steps"]) == ("Hold", [])
    assert odd.sid in told.of(odd)["error"]
    assert "encryption_details" in told.of(odd)["error"]
    assert not lab.objects(odd)  # its key may be what cannot be read

    # Its name is known, so the listing is whole and the others may go.
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (1, {mine.sid})
    assert lab.json("process", odd.sid).error_codes == {ODD}


def test_many_odd_recordings_open_no_breaker(lab: Lab) -> None:
    calls = [lab.call() for _ in range(12)]
    *odd, (row, mine) = calls
    for _, recording in odd:
        recording.metadata = {"encryption_details": 7}
    told = lab.json("process", *(recording.sid for _, recording in odd), mine.sid)
    assert (told.code, told.error_codes) == (1, {ODD})
    assert lab.holds(row, mine) == "s3"


def test_an_odd_recording_still_has_its_cell_among_those_of_its_call(lab: Lab) -> None:
    row, (first, second) = lab.sandbox.call(duration=2, recordings=2)
    first.metadata = {"encryption_details": 7}
    assert lab.json("process").code == 1
    assert lab.link(row) == ""  # the first free cell is the odd one's
    assert lab.holds(row, second, "Transfer Recording URL") == "s3"


def test_what_names_no_recording_keeps_a_listing_from_being_whole(lab: Lab) -> None:
    (_, nameless), (row, mine) = lab.call(), lab.call()
    nameless.metadata = {"sid": None}
    told = lab.json("process")
    assert (told.code, told.error_codes) == (1, {ODD})
    assert (lab.holds(row, mine), told.summary["relinked"]) == ("s3", 1)
    share = {"RECCLI_SAFETY__MAX_DELETE_FRACTION": "0.9"}  # of how many, nobody can tell
    told = lab.json("purge-twilio", "--retention", "0", **share)
    assert (told.code, lab.deleted()) == (1, set())
    assert told.error_codes == {ODD}
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (1, {mine.sid})
    assert told.error_codes == {ODD}


def test_a_date_that_is_none_keeps_nobody_from_being_asked_for(lab: Lab) -> None:
    row, mine = lab.call()
    mine.metadata = {"date_updated": "Fri, 99 Oct 2016 21:56:34 +0000"}
    assert (lab.json("process", mine.sid).code, lab.holds(row, mine)) == (0, "s3")
