"""Slots: which cell holds, or may take, the link of which recording."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from reccli.core.links import ObjectLink
from reccli.core.model import LinkState, Ref, Row
from reccli.core.rows import (
    Cell,
    RowState,
    Target,
    concerns,
    linked_keys,
    named_sids,
    row_state,
    shared,
)

from .samples import (
    ACCOUNT,
    BUCKET,
    CA1,
    CA2,
    CF1,
    CF2,
    KEY,
    MAIN,
    NOW,
    OTHER_ACCOUNT,
    RE1,
    RE2,
    RE3,
    TRANSFER,
    make_book,
    make_ref,
    make_row,
    presigned,
    twilio_cell,
)

BOOK = make_book()
SIBLINGS = (RE1, RE2, RE3)
REFS = tuple(make_ref(sid) for sid in SIBLINGS)
PERSON = "https://drive.example.com/my-recording"
L = LinkState


def s3_cell(sid: str, call: str = CA1, folder: str = "call-recordings") -> str:
    return presigned(f"https://{BUCKET}.s3.amazonaws.com/{folder}/{call}/{sid}.mp3")


def look(
    *rows: Row, sid: str = RE1, call: str | None = CA1, siblings: tuple[str, ...] = SIBLINGS
) -> RowState:
    key = f"call-recordings/{CA1}/{sid}.mp3"
    refs = tuple(make_ref(sibling, call) for sibling in siblings)
    return row_state(rows, Target(make_ref(sid, call), refs, key), BOOK, NOW)


def shown(*cells: Cell) -> list[tuple[str, str, LinkState]]:
    return [(cell.row_id, cell.field, cell.state) for cell in cells]


class TestOneRow:
    @pytest.mark.parametrize(
        ("row", "state", "field"),
        [
            (make_row(), L.EMPTY, MAIN),
            (make_row(" \n"), L.EMPTY, MAIN),
            (make_row(twilio_cell(RE1)), L.TWILIO_LINK, MAIN),
            (make_row("", twilio_cell(RE1)), L.TWILIO_LINK, TRANSFER),
            (make_row(s3_cell(RE1)), L.S3_LINK, MAIN),
            (make_row("", s3_cell(RE1)), L.S3_LINK, TRANSFER),
            (make_row(PERSON), L.EMPTY, TRANSFER),
            (make_row(twilio_cell(RE2)), L.EMPTY, TRANSFER),
            (make_row(twilio_cell(RE1, account=OTHER_ACCOUNT)), L.ELSEWHERE, MAIN),
            (make_row(s3_cell(RE1).replace(BUCKET, "nope")), L.ELSEWHERE, MAIN),
            (make_row("", f"https://drive.example.com/{RE1}"), L.ELSEWHERE, TRANSFER),
            (make_row(f"lost? see {RE1}"), L.ELSEWHERE, MAIN),
            (make_row(f"https://drive.example.com/{RE1}", s3_cell(RE1)), L.S3_LINK, TRANSFER),
            (make_row(f"https://drive.example.com/{RE2}"), L.EMPTY, TRANSFER),
            (make_row(PERSON, PERSON), L.NO_FREE_SLOT, ""),
            (make_row(twilio_cell(RE2), s3_cell(RE3)), L.NO_FREE_SLOT, ""),
            (make_row(PERSON, twilio_cell(RE1)), L.TWILIO_LINK, TRANSFER),
            (make_row('["text"]', "5"), L.WORD, MAIN),
            (make_row("pending"), L.WORD, MAIN),
            (make_row(PERSON, "pending"), L.WORD, TRANSFER),
            (make_row(twilio_cell(RE2), "pending"), L.WORD, TRANSFER),
            (make_row("pending", twilio_cell(RE1)), L.TWILIO_LINK, TRANSFER),
            (make_row("", "pending"), L.EMPTY, MAIN),
            (make_row("\u200b\xa0"), L.EMPTY, MAIN),
        ],
    )
    def test_its_slot(self, row: Row, state: LinkState, field: str) -> None:
        found = look(row)
        assert found == RowState(state, (Cell("rec1", field, state),))
        assert found.cells[0].text == row.links.get(field, "")

    def test_two_cells_that_name_it_elsewhere_are_both_told(self) -> None:
        text = f"https://drive.example.com/{RE1}"
        assert shown(*look(make_row(text, text)).cells) == [
            ("rec1", MAIN, L.ELSEWHERE),
            ("rec1", TRANSFER, L.ELSEWHERE),
        ]

    def test_a_link_twice_in_a_row_is_two_slots_and_the_worse_one_counts(self) -> None:
        found = look(make_row(s3_cell(RE1), twilio_cell(RE1)))
        assert found.state is L.TWILIO_LINK
        assert shown(*found.cells) == [
            ("rec1", MAIN, L.S3_LINK),
            ("rec1", TRANSFER, L.TWILIO_LINK),
        ]
        assert shown(*found.holding(L.TWILIO_LINK)) == [("rec1", TRANSFER, L.TWILIO_LINK)]

    def test_a_link_to_another_key_counts_as_expiring(self) -> None:
        assert look(make_row(s3_cell(RE1, folder="old"))).state is L.S3_LINK_EXPIRING

    def test_a_link_counts_as_expiring_when_no_key_is_known(self) -> None:
        found = row_state([make_row(s3_cell(RE1))], Target(make_ref()), BOOK, NOW)
        assert found.state is L.S3_LINK_EXPIRING

    @pytest.mark.parametrize(
        ("hours", "state"), [(0, L.S3_LINK), (119, L.S3_LINK_EXPIRING), (999, L.S3_LINK_EXPIRING)]
    )
    def test_a_link_is_expiring_from_its_margin_on(self, hours: int, state: LinkState) -> None:
        target = Target(make_ref(), REFS, KEY)
        row = make_row(s3_cell(RE1))
        assert row_state([row], target, BOOK, NOW + timedelta(hours=hours)).state is state


class TestSeveralRecordings:
    def test_three_recordings_for_two_fields_take_them_in_order_of_creation(self) -> None:
        cells = [look(make_row(), sid=sid).cells[0] for sid in SIBLINGS]
        assert shown(*cells) == [
            ("rec1", MAIN, L.EMPTY),
            ("rec1", TRANSFER, L.EMPTY),
            ("rec1", "", L.NO_FREE_SLOT),
        ]

    @pytest.mark.parametrize("order", list(permutations(SIBLINGS)))
    def test_the_choice_follows_the_siblings_and_nothing_else(self, order: tuple[str, ...]) -> None:
        fields = {sid: look(make_row(), sid=sid, siblings=order).cells[0].field for sid in SIBLINGS}
        assert fields == dict(zip(order, (MAIN, TRANSFER, ""), strict=True))

    @pytest.mark.parametrize("first", SIBLINGS)
    def test_whoever_writes_first_nobody_moves_into_a_taken_cell(self, first: str) -> None:
        row = make_row()
        order = [first, *(sid for sid in SIBLINGS if sid != first)]
        for sid in order:
            (cell,) = look(row, sid=sid).cells
            if cell.state is L.EMPTY:
                assert row.links[cell.field] == ""
                row = Row(row.id, CA1, {**row.links, cell.field: s3_cell(sid)})
        assert named_sids(row, BOOK) == {RE1, RE2}  # the third one has no place, in any order

    @pytest.mark.parametrize(
        ("texts", "fields"),
        [
            ((PERSON, ""), [TRANSFER, "", ""]),
            (("", PERSON), [MAIN, "", ""]),
            ((PERSON, PERSON), ["", "", ""]),
        ],
    )
    def test_a_field_that_a_person_filled_is_taken(
        self, texts: tuple[str, str], fields: list[str]
    ) -> None:
        assert [look(make_row(*texts), sid=sid).cells[0].field for sid in SIBLINGS] == fields

    def test_a_word_moves_nobody_into_another_field(self) -> None:
        row = make_row("pending")
        assert [look(row, sid=sid).cells[0] for sid in SIBLINGS] == [
            Cell("rec1", MAIN, L.WORD),
            Cell("rec1", TRANSFER, L.EMPTY),
            Cell("rec1", "", L.NO_FREE_SLOT),
        ]

    def test_whose_the_word_is_shows_when_the_siblings_are_known(self) -> None:
        row = make_row("pending")
        assert look(row, siblings=()).cells == (Cell("rec1", TRANSFER, L.EMPTY),)
        assert look(make_row("a", "b"), siblings=()).cells == (Cell("rec1", MAIN, L.WORD),)

    def test_a_link_of_a_later_one_leaves_the_earlier_the_free_field(self) -> None:
        row = make_row(s3_cell(RE2))
        assert look(row, sid=RE1).cells == (Cell("rec1", TRANSFER, L.EMPTY),)
        assert look(row, sid=RE3).cells == (Cell("rec1", "", L.NO_FREE_SLOT),)

    def test_one_that_is_named_elsewhere_waits_for_no_free_field(self) -> None:
        row = make_row(f"https://drive.example.com/{RE1}")
        assert look(row, sid=RE2).cells == (Cell("rec1", TRANSFER, L.EMPTY),)

    def test_one_that_nobody_counted_as_a_sibling_takes_the_first_free_field(self) -> None:
        assert look(make_row(), siblings=()).cells == (Cell("rec1", MAIN, L.EMPTY),)


class TestSeveralRows:
    def test_every_row_of_the_call_has_to_name_the_object(self) -> None:
        found = look(make_row(s3_cell(RE1)), make_row(row_id="rec2"))
        assert found.state is L.EMPTY
        assert shown(*found.holding(L.EMPTY)) == [("rec2", MAIN, L.EMPTY)]

    def test_a_mention_in_the_row_of_another_call_counts(self) -> None:
        other = make_row("", twilio_cell(RE1), row_id="rec2", call=CA2)
        found = look(make_row(s3_cell(RE1)), other)
        assert found.state is L.TWILIO_LINK
        assert shown(*found.holding(L.TWILIO_LINK)) == [("rec2", TRANSFER, L.TWILIO_LINK)]

    def test_the_row_of_another_call_gives_no_place(self) -> None:
        assert look(make_row(row_id="rec2", call=CA2)) == RowState(L.NO_ROW)
        found = look(make_row(s3_cell(RE1), "", row_id="rec2", call=CA2))
        assert shown(*found.cells) == [("rec2", MAIN, L.S3_LINK)]

    @pytest.mark.parametrize(
        "text",
        [
            twilio_cell(RE1, account=OTHER_ACCOUNT),
            f"{twilio_cell(RE1)} {twilio_cell(RE2)}",
            f'["{twilio_cell(RE1)}"]',
        ],
    )
    def test_a_mention_that_cannot_be_read_in_the_row_of_another_call_holds_everything(
        self, text: str
    ) -> None:
        found = look(make_row(s3_cell(RE1)), make_row(text, row_id="rec2", call=CA2))
        assert found.state is L.ELSEWHERE
        assert shown(*found.cells)[1:] == [("rec2", MAIN, L.ELSEWHERE)]

    def test_without_a_call_only_mentions_count(self) -> None:
        assert look(make_row(), make_row(call=""), call=None) == RowState(L.NO_ROW)
        found = look(make_row(twilio_cell(RE1)), call=None)
        assert found.state is L.TWILIO_LINK

    @pytest.mark.parametrize(
        ("states", "worst"),
        [
            ((L.S3_LINK, L.EMPTY, L.TWILIO_LINK), L.TWILIO_LINK),
            ((L.S3_LINK, L.S3_LINK_EXPIRING, L.EMPTY), L.EMPTY),
            ((L.S3_LINK, L.NO_FREE_SLOT, L.S3_LINK_EXPIRING), L.S3_LINK_EXPIRING),
            ((L.S3_LINK, L.S3_LINK, L.NO_FREE_SLOT), L.FULL_TWIN),
            ((L.NO_FREE_SLOT, L.NO_FREE_SLOT), L.NO_FREE_SLOT),
            ((L.S3_LINK, L.WORD, L.NO_FREE_SLOT), L.WORD),
            ((L.WORD, L.EMPTY), L.EMPTY),
            ((L.WORD, L.ELSEWHERE), L.ELSEWHERE),
            ((L.CALL_UNREAD, L.S3_LINK, L.WORD), L.CALL_UNREAD),
            ((L.CALL_UNREAD, L.ELSEWHERE), L.ELSEWHERE),
            ((L.S3_LINK, L.NO_FREE_SLOT, L.ELSEWHERE), L.ELSEWHERE),
            ((L.ELSEWHERE, L.S3_LINK_EXPIRING, L.S3_LINK), L.S3_LINK_EXPIRING),
            ((L.S3_LINK, L.S3_LINK, L.S3_LINK), L.S3_LINK),
        ],
    )
    def test_the_row_furthest_from_converged_counts(
        self, states: tuple[LinkState, ...], worst: LinkState
    ) -> None:
        texts = {
            L.S3_LINK: (s3_cell(RE1),),
            L.EMPTY: (),
            L.TWILIO_LINK: (twilio_cell(RE1),),
            L.S3_LINK_EXPIRING: (s3_cell(RE1, folder="old"),),
            L.NO_FREE_SLOT: (PERSON, PERSON),
            L.ELSEWHERE: (f"{PERSON}/{RE1}",),
            L.WORD: ("pending", "n/a"),
            L.CALL_UNREAD: (),
        }
        rows = [make_row(*texts[state], row_id=f"rec{n}") for n, state in enumerate(states)]
        rows = [
            replace(row, call_sid="", call_cell=f"{CA1}, {CA2}") if state is L.CALL_UNREAD else row
            for row, state in zip(rows, states, strict=True)
        ]
        for order in permutations(rows):
            assert look(*order).state is worst


class TestUnread:
    """Rows that Airtable finds by the call, and whose cell is no SID."""

    @pytest.mark.parametrize(
        "cell", [f"{CA1}, {CA2}", f"call {CA1}", f'["{CA1}", "{CA2}"]', '["recA"]']
    )
    def test_they_are_nobodys_and_not_nothing(self, cell: str) -> None:
        row = make_row(call="", call_cell=cell)
        assert look(row) == RowState(L.CALL_UNREAD, (Cell("rec1", "", L.CALL_UNREAD),))
        assert look(row, call=None) == RowState(L.NO_ROW)
        assert linked_keys([row], RE1, BOOK) == ()

    def test_that_of_another_call_is_that_calls(self) -> None:
        assert look(make_row(call="", call_cell=f"{CA2} twice")) == RowState(L.NO_ROW)
        assert look(make_row(call=CA2)) == RowState(L.NO_ROW)

    def test_a_link_makes_it_the_recordings_whatever_the_cell_says(self) -> None:
        row = make_row(twilio_cell(RE1), call="", call_cell='["recA"]')
        assert shown(*look(row).cells) == [("rec1", MAIN, L.TWILIO_LINK)]


def test_what_a_row_is_about() -> None:
    row = make_row(twilio_cell(RE1))
    assert concerns(row, make_ref(RE2, CA1))
    assert concerns(row, make_ref(RE1, CA2))
    assert concerns(row, make_ref(RE1, None))
    assert not concerns(row, make_ref(RE2, CA2))
    assert not concerns(row, make_ref(RE2, None))
    assert not concerns(make_row(call=""), make_ref(RE2, None))


class TestConferences:
    """A row may stand for a conference, for a call, or for both."""

    @pytest.mark.parametrize(
        ("row", "ref", "mine"),
        [
            (make_row(call="", conference=CF1), make_ref(RE1, None, CF1), True),
            (make_row(call="", conference=CF1), make_ref(RE1, CA1, CF1), True),
            (make_row(call=CA1, conference=CF1), make_ref(RE1, None, CF1), True),
            (make_row(call=CA1, conference=CF1), make_ref(RE1, CA1, None), True),
            (make_row(call=CA1, conference=CF1), make_ref(RE1, CA2, CF2), False),
            (make_row(call="", conference=CF1), make_ref(RE1, None, CF2), False),
            (make_row(call="", conference=""), make_ref(RE1, None, None), False),
            (make_row(call=CF1, conference=""), make_ref(RE1, None, CF1), False),
            (make_row(call="", conference=CA1), make_ref(RE1, CA1, None), False),
            (make_row(twilio_cell(RE1), call=""), make_ref(RE1, None, CF1), True),
        ],
    )
    def test_what_a_row_stands_for(self, row: Row, ref: Ref, mine: bool) -> None:  # noqa: FBT001
        assert concerns(row, ref) is mine

    def test_recordings_of_one_conference_take_its_cells_in_order_of_creation(self) -> None:
        refs = tuple(make_ref(sid, None, CF1) for sid in SIBLINGS)
        row = make_row(call="", conference=CF1)
        found = [row_state([row], Target(ref, refs), BOOK, NOW).cells[0].field for ref in refs]
        assert found == [MAIN, TRANSFER, ""]

    def test_a_row_of_both_is_shared_by_both_and_each_only_counts_where_it_belongs(self) -> None:
        of_call, of_conference = make_ref(RE1, CA1), make_ref(RE2, None, CF1)
        both = make_row(conference=CF1)
        calls, talks = make_row(row_id="rec2"), make_row(row_id="rec3", call="", conference=CF1)
        everyone = (of_call, of_conference)

        def take(ref: Ref) -> list[tuple[str, str, LinkState]]:
            return shown(*row_state([both, calls, talks], Target(ref, everyone), BOOK, NOW).cells)

        assert take(of_call) == [("rec1", MAIN, L.EMPTY), ("rec2", MAIN, L.EMPTY)]
        assert take(of_conference) == [("rec1", TRANSFER, L.EMPTY), ("rec3", MAIN, L.EMPTY)]

    @pytest.mark.parametrize(
        ("row", "of"),
        [
            (make_row(), {CA1}),
            (make_row(conference=CF1), {CA1, CF1}),
            (make_row(call="n/a", conference=CF1), {CF1}),
            (make_row(call="", conference=f"{CF1}0"), set()),
        ],
    )
    def test_whose_recordings_may_want_a_free_cell(self, row: Row, of: set[str]) -> None:
        assert shared(row) == of


def test_whom_the_links_of_a_row_name() -> None:
    row = make_row(s3_cell(RE1), twilio_cell(RE2), twilio_cell(RE3, account=OTHER_ACCOUNT))
    assert named_sids(row, BOOK) == {RE1, RE2}
    assert named_sids(make_row(PERSON, ""), BOOK) == frozenset()


def test_the_key_that_a_row_names() -> None:
    rows = [make_row(PERSON, twilio_cell(RE1)), make_row(s3_cell(RE2), s3_cell(RE1, folder="old"))]
    assert linked_keys(rows, RE1, BOOK)[0] == f"old/{CA1}/{RE1}.mp3"
    assert linked_keys(rows, RE2, BOOK) == (f"call-recordings/{CA1}/{RE2}.mp3",)
    assert linked_keys(rows, RE3, BOOK) == ()
    book = make_book(former=("s3://old-calls",))
    moved = [make_row(s3_cell(RE1).replace(f"//{BUCKET}.", "//old-calls."), s3_cell(RE2))]
    assert linked_keys(moved, RE1, book) == ()
    assert linked_keys(moved, RE1, book, former=True) == (KEY,)
    assert linked_keys(moved, RE2, book, former=True) == ()
    assert ACCOUNT not in str(BOOK.parse(s3_cell(RE1)))
    assert isinstance(BOOK.parse(s3_cell(RE1)), ObjectLink)
