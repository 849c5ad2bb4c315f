"""One case driven by hand: at which keys it looks for the object, and which of them counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reccli.core.errors import FailureKind, Service
from reccli.core.model import Reason, S3State, StepKind, StoredObject
from reccli.core.naming import Naming
from reccli.flow.commands import MIGRATE_FALLBACKS, PROCESS
from tests.core.samples import CF1, KEY, RE1, make_book, make_recording, make_row, twilio_cell

from .byhand import GOOD, NAMING, Stage, codes, failed, presigned_link

ELSEWHERE = f"elsewhere/{RE1}.mp3"
ABSENT = StoredObject(S3State.ABSENT)
CONFLICT = StoredObject(S3State.CONFLICT, failure=failed(Service.S3))
UNFIT = StoredObject(S3State.UNFIT, failure=failed(Service.S3))


def test_a_former_place_is_looked_at_last() -> None:
    book = make_book(former=("s3://old",))
    cells = (f"https://old.s3.amazonaws.com/{ELSEWHERE}", presigned_link(f"row/{RE1}.mp3"))
    stage = Stage((make_row(*cells),), {ELSEWHERE: GOOD}, book=book, dry_run=True)
    outcome = stage.play()
    assert stage.keys == [f"row/{RE1}.mp3", KEY, ELSEWHERE]
    assert outcome.key == ELSEWHERE
    assert outcome.steps == (StepKind.RESIGN, StepKind.DELETE)


@pytest.mark.parametrize(
    ("first", "second", "looks", "key"),
    [
        (GOOD, ABSENT, 1, 0),
        (UNFIT, GOOD, 1, 0),
        (StoredObject(S3State.UNKNOWN), GOOD, 1, 0),
        (ABSENT, GOOD, 2, 1),
        (CONFLICT, GOOD, 2, 1),
        (ABSENT, CONFLICT, 2, 0),
        (CONFLICT, ABSENT, 2, 0),
    ],
)
def test_of_two_keys_the_one_with_the_object_counts_else_the_first(
    first: StoredObject, second: StoredObject, looks: int, key: int
) -> None:
    keys = (ELSEWHERE, KEY)
    stage = Stage(
        (make_row(presigned_link(ELSEWHERE)),), dict(zip(keys, (first, second), strict=True))
    )
    stage.dry_run = True
    outcome = stage.play()
    assert (len(stage.keys), outcome.key) == (looks, keys[key])
    assert outcome.s3 is (first, second)[key].state


def test_without_the_recording_its_key_is_unknown_and_not_merely_unnamed() -> None:
    stage = Stage((make_row(),), recording=failed(Service.TWILIO, FailureKind.OUTAGE))
    outcome = stage.play()
    assert (outcome.s3, outcome.key, stage.keys) == (S3State.UNKNOWN, None, [])


def test_a_key_that_no_row_completes_is_no_key() -> None:
    stage = Stage((make_row(),), naming=replace(NAMING, template="{Agent}/{recording_sid}.{ext}"))
    outcome = stage.command(MIGRATE_FALLBACKS).play()
    assert (outcome.s3, outcome.key, stage.keys) == (S3State.NO_KEY, None, [])


@pytest.mark.parametrize("status", ["completed", "deleted"])
@pytest.mark.parametrize("state", S3State)
def test_what_is_not_at_a_former_place_has_no_key_by_that(status: str, state: S3State) -> None:
    """Else it would be copied to a key of another bucket, or be told as lost."""
    stage = Stage((make_row(f"https://old.s3.amazonaws.com/{ELSEWHERE}"),), dry_run=True)
    stage.objects = {ELSEWHERE: replace(GOOD, state=state)}
    stage.recording = make_recording(status=status, duration=4)
    stage.book = make_book(former=("s3://old",))
    stage.naming = replace(NAMING, template="{Agent}/{recording_sid}.{ext}")
    outcome = stage.play()
    there = state in {S3State.VERIFIED, S3State.UNFIT, S3State.UNKNOWN}
    assert stage.keys == [ELSEWHERE]
    assert (outcome.key, outcome.s3) == ((ELSEWHERE, state) if there else (None, S3State.NO_KEY))
    assert StepKind.COPY not in outcome.steps
    assert outcome.step.kind is not StepKind.LOST


TOO_LONG = f"{'x' * 1100}/{RE1}.mp3"
UNNAMEABLE = replace(NAMING, template="{Agent}/{recording_sid}.{ext}")


def test_where_no_object_can_be_none_is_looked_for() -> None:
    cells = (presigned_link(TOO_LONG), f"https://old.s3.amazonaws.com/{TOO_LONG}")
    stage = Stage((make_row(*cells),), book=make_book(former=("s3://old",))).command(PROCESS)
    outcome = stage.play()
    assert (set(stage.keys), outcome.key) == ({KEY}, KEY)
    assert outcome.steps == (StepKind.RESIGN,)


@pytest.mark.parametrize("row", ["odd", "long"])
def test_what_no_key_can_be_made_of_is_held_and_an_error(row: str) -> None:
    agent = None if row == "odd" else "x" * 1100
    stage = Stage((make_row(fields={"Agent": agent}),), naming=UNNAMEABLE)
    outcome = stage.command(PROCESS).play()
    assert (outcome.s3, outcome.key, stage.keys) == (S3State.BAD_KEY, None, [])
    assert outcome.steps == (StepKind.LINK_TWILIO,)
    assert (outcome.step.kind, outcome.step.reason) == (StepKind.HOLD, Reason.BAD_KEY)
    assert codes(outcome.failures) == ["no_key"]
    assert "recording_s3_fallback_to_twilio" not in stage.told  # S3 was not asked


def test_a_key_that_a_row_names_needs_not_be_made() -> None:
    row = make_row(presigned_link(ELSEWHERE), fields={"Agent": None})
    stage = Stage((row,), {ELSEWHERE: GOOD}, naming=UNNAMEABLE, dry_run=True)
    outcome = stage.play()
    assert (outcome.s3, outcome.key, outcome.failures) == (S3State.VERIFIED, ELSEWHERE, ())


def test_what_a_row_is_waited_for_is_told() -> None:
    stage = Stage((make_row(twilio_cell(RE1), fields={"Agent": ""}),), naming=UNNAMEABLE)
    outcome = stage.play()
    assert outcome.step.reason is Reason.NEEDS_ROW
    assert outcome.objection
    assert "row rec1 has nothing in the field of airtable.key_fields.Agent" in (
        outcome.objection.message
    )


@pytest.mark.parametrize("naming", [NAMING, UNNAMEABLE])
def test_a_conference_without_a_row_is_told_as_one(naming: Naming) -> None:
    recording = make_recording(call_sid=None, conference_sid=CF1, duration=4)
    stage = Stage((), naming=naming, recording=recording)
    stage.objects = {f"call-recordings/{CF1}/{RE1}.mp3": GOOD}
    outcome = stage.play()
    assert outcome.objection
    assert CF1 in outcome.objection.message
    assert "airtable.conference_sid_field" in outcome.objection.hint
    full = Stage((make_row("x", "y", call="", conference=CF1),), recording=recording)
    full.objects = stage.objects
    there = full.play().objection
    assert there
    assert there.code == "word_in_cell"  # its row is there, and has no room
