"""A listing that Twilio cannot give in large pages is asked for in smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.faults import Fault, FaultKind

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

Judge = Callable[[int, int], bool]


def sizes(lab: Lab) -> list[int]:
    asked = [one.query for one in lab.sandbox.twilio.requests if "PageSize" in one.query]
    return [int(query["PageSize"][0]) for query in asked]


@pytest.mark.parametrize("bare", [False, True], ids=["by token", "by number"])
@pytest.mark.parametrize(
    ("too_much", "smallest"),
    [
        (lambda size, _page: size > 500, 500),
        (lambda size, _page: size > 100, 100),
        (lambda size, page: size > 250 and page > 0, 250),  # within the listing
        (lambda size, page: size > 100 and page > 0, 100),
    ],
    ids=["at 500", "at 100", "later, at 250", "later, at 100"],
)
def test_smaller_pages_list_every_recording_once(
    lab: Lab, too_much: Judge, smallest: int, *, bare: bool
) -> None:
    twilio = lab.sandbox.twilio
    twilio.too_much, twilio.page_scale, twilio.bare_cursors = too_much, 100, bare
    for _ in range(27):
        twilio.add(duration=2)
    told = lab.json("report")
    assert (told.code, told.doc["summary"]["seen"]) == (0, 27)
    assert sizes(lab)[-1] == smallest


def test_an_account_that_answers_small_pages_alone_is_not_stuck(lab: Lab) -> None:
    lab.sandbox.twilio.too_much = lambda size, _page: size > 100
    row, mine = lab.call()
    assert (lab.json("process").code, lab.holds(row, mine)) == (0, "s3")
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {mine.sid})


def test_what_no_page_size_helps_is_an_outage_still(lab: Lab) -> None:
    lab.sandbox.twilio.faults.add(Fault(FaultKind.STATUS, "GET", times=None, status=500))
    told = lab.json("report")
    assert told.code == 5
    assert min(sizes(lab)) == 100


def test_a_refusal_is_not_asked_about_again_in_smaller_words(lab: Lab) -> None:
    assert lab.json("report", TWILIO_AUTH_TOKEN="wrong").code == 4
    assert set(sizes(lab)) == {1000}
