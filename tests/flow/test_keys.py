"""One case driven by hand: at which keys it looks for the object, and which of them counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reccli.core.errors import FailureKind, Service
from reccli.core.model import S3State, StepKind, StoredObject
from reccli.flow.commands import Command
from tests.core.samples import KEY, RE1, make_book, make_recording, make_row

from .byhand import GOOD, NAMING, Stage, failed, presigned_link

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
    outcome = stage.command(Command.MIGRATE_FALLBACKS).play()
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
