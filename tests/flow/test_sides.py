"""One case driven by hand: what it looks at, how often, and what it makes of each reply."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reccli.core.errors import Failure, FailureKind, Service
from reccli.core.model import LinkState, Reason, S3State, StepKind, StoredObject
from reccli.flow.commands import PROCESS
from reccli.flow.effects import (
    Copy,
    Delete,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    Record,
    Rows,
    Stale,
)
from reccli.flow.outcome import Candidate
from tests.core.samples import (
    CA1,
    KEY,
    NOW,
    RE1,
    RE2,
    make_recording,
    make_ref,
    make_row,
    twilio_cell,
)

from .byhand import CLAIMED, GOOD, OLD, Stage, failed, presigned_link

BUSY = failed(Service.TWILIO, FailureKind.BUSY)
LINKED = (make_row(presigned_link()),)
DYING = (make_row(presigned_link().replace("20261122", "20261101")),)
ABSENT = StoredObject(S3State.ABSENT)
CONFLICT = StoredObject(S3State.CONFLICT, failure=failed(Service.S3))
UNFIT = StoredObject(S3State.UNFIT, failure=failed(Service.S3))


# The read-back


@pytest.mark.parametrize(
    ("later", "read_backs"),
    [
        (CLAIMED, [False, True, False]),
        (replace(CLAIMED, age=OLD * 2), [False, True, False]),
        (GOOD, [False, True, False]),
        (replace(CLAIMED, etag='"2"'), [False, True, False, True]),
        (replace(CLAIMED, size=5), [False, True, False, True]),
        (replace(CLAIMED, sha256="cd" * 32), [False, True, False, True]),
        (replace(CLAIMED, state=S3State.UNFIT), [False, True, False, True]),
    ],
)
def test_bytes_are_read_once_a_run_while_it_is_the_same_object(
    later: StoredObject, read_backs: list[bool]
) -> None:
    stage = Stage(LINKED).will_say(Delete, BUSY)
    stage.will_say(ObserveObject, CLAIMED, GOOD, later, GOOD)
    assert stage.play().steps == (StepKind.DELETE,)
    assert stage.read_backs == read_backs


def test_without_an_etag_nothing_says_that_it_is_the_same_object() -> None:
    stage = Stage(LINKED).will_say(Delete, BUSY)
    proven = replace(GOOD, etag=None)
    claimed = replace(proven, proven=False)
    stage.will_say(ObserveObject, claimed, proven, claimed, proven)
    assert stage.play().steps == (StepKind.DELETE,)
    assert stage.read_backs == [False, True, False, True]


def test_what_the_read_back_does_not_prove_is_not_deleted() -> None:
    stage = Stage(LINKED).will_say(ObserveObject, CLAIMED, CLAIMED)
    outcome = stage.play()
    assert (outcome.steps, outcome.step.reason) == ((), Reason.NOT_OBSERVED)
    assert (stage.read_backs, stage.of(Delete)) == ([False, True], [])


def test_what_nobody_has_proven_since_it_changed_is_not_deleted() -> None:
    stage = Stage(LINKED).will_say(Delete, BUSY)
    changed = replace(CLAIMED, etag='"2"')
    stage.will_say(ObserveObject, CLAIMED, GOOD, changed, changed)
    assert stage.play().step.reason is Reason.NOT_OBSERVED
    assert len(stage.of(Delete)) == 1


def test_a_read_back_that_proved_nothing_is_made_again() -> None:
    stage = Stage(LINKED).will_say(ObserveRows, Rows(LINKED, NOW), Rows(DYING, NOW))
    stage.will_say(ObserveObject, CLAIMED, CLAIMED, CLAIMED)
    outcome = stage.play()
    assert (outcome.steps, outcome.step.reason) == ((StepKind.RESIGN,), Reason.NOT_OBSERVED)
    assert stage.read_backs == [False, True, True]


def test_every_delete_asks_for_the_read_back() -> None:
    stage = Stage(LINKED)
    assert stage.play().steps == (StepKind.DELETE,)
    assert stage.read_backs == [False, True]


def test_the_age_is_that_of_the_last_look() -> None:
    stage = Stage(LINKED).will_say(Delete, BUSY)
    young = replace(CLAIMED, age=timedelta(hours=1))
    stage.will_say(ObserveObject, CLAIMED, GOOD, young)
    assert stage.play().step.reason is Reason.IN_RETENTION


# Failures and states that are told


def test_a_look_at_s3_that_failed_leaves_it_unknown_with_the_cause() -> None:
    failure = failed(Service.S3, FailureKind.OUTAGE)
    stage = Stage((make_row(twilio_cell(RE1)),)).will_say(ObserveObject, failure)
    outcome = stage.play()
    assert (outcome.s3, outcome.failures) == (S3State.UNKNOWN, (failure,))
    assert outcome.objection is None
    assert outcome.step.reason is Reason.S3_UNREACHABLE
    empty = Stage((make_row(),)).will_say(ObserveObject, failure)
    assert empty.play().steps == (StepKind.LINK_TWILIO,)
    assert {"reason": failure.message} in [record.detail for record in empty.of(Record)]


@pytest.mark.parametrize("stored", [UNFIT, CONFLICT])
def test_what_is_wrong_with_the_object_is_an_objection_and_no_failure(stored: StoredObject) -> None:
    outcome = Stage(LINKED, {KEY: stored}).play()
    assert (outcome.objection, outcome.failures) == (stored.failure, ())


def test_rows_that_cannot_be_read_are_unknown() -> None:
    stage = Stage(LINKED).will_say(ObserveRows, failed(Service.AIRTABLE))
    outcome = stage.play()
    assert (outcome.rows, outcome.step.reason) == (LinkState.UNKNOWN, Reason.NOT_OBSERVED)


@pytest.mark.parametrize("stored", [GOOD, ABSENT])
def test_that_twilio_forgot_is_a_failure_unless_s3_has_it(stored: StoredObject) -> None:
    forgotten = failed(Service.TWILIO, FailureKind.GONE)
    outcome = Stage(LINKED, {KEY: stored}, forgotten).play()
    assert outcome.failures == (() if stored is GOOD else (forgotten,))
    for other in (failed(Service.TWILIO), failed(Service.AIRTABLE, FailureKind.GONE)):
        assert Stage(LINKED, {KEY: stored}, other).play().failures == (other,)


def test_the_link_that_is_told_is_the_recordings_own_and_unsigned() -> None:
    row = make_row(twilio_cell(RE2), presigned_link())
    outcome = Stage((row,)).play()
    assert outcome.link == presigned_link().split("?")[0]
    assert outcome.rows is LinkState.S3_LINK


def test_how_long_it_is_comes_from_twilio_the_object_and_a_person() -> None:
    told, short = make_recording(duration=60), replace(GOOD, seconds=50.0)
    for recording, stored, deletes in (
        (told, GOOD, True),
        (told, replace(GOOD, seconds=59.9), True),
        (told, short, False),
        (told, replace(short, accepted=True), True),
        (make_recording(), GOOD, False),
        (make_recording(), replace(GOOD, accepted=True), True),
    ):
        outcome = Stage(LINKED, {KEY: stored}, recording).play()
        assert (outcome.steps == (StepKind.DELETE,)) is deletes
        assert deletes or outcome.step.reason is Reason.LENGTH_UNPROVEN


# What is seen when


def test_what_the_source_has_seen_is_not_asked_for_again() -> None:
    recording = make_recording(status="in-progress")
    stage = Stage()
    stage.play(Candidate(recording.ref, (), recording, Rows(LINKED, NOW)))
    assert (stage.of(ObserveRecording), stage.of(ObserveRows)) == ([], [])


def test_rows_are_found_by_the_call_that_twilio_tells() -> None:
    stage = Stage(LINKED)
    stage.play(Candidate(replace(make_recording().ref, call_sid=None, region=None), (make_ref(),)))
    assert {look.ref.call_sid for look in stage.of(ObserveRows)} == {CA1}
    first, *later = stage.of(ObserveRecording)
    assert first.ref.region is None
    assert {look.ref.region for look in later} == {"us1"}


@pytest.mark.parametrize("given", [True, False])
def test_links_are_dying_by_the_time_at_which_the_rows_were_seen(*, given: bool) -> None:
    later = Rows(LINKED, NOW + timedelta(days=30))
    stage = Stage(may=frozenset())
    stage.will_say(ObserveRows, later)
    outcome = stage.play(
        Candidate(make_recording().ref, (make_ref(),), rows=later if given else None)
    )
    assert outcome.rows is LinkState.S3_LINK_EXPIRING


def test_a_delete_that_came_too_late_is_proven_again() -> None:
    stage = Stage(LINKED).will_say(Delete, Stale())
    assert stage.play().steps == (StepKind.DELETE,)
    assert len(stage.of(Delete)) == 2
    assert len(stage.of(ObserveRows)) == 3


# What only a callback told of

GONE = failed(Service.TWILIO, FailureKind.GONE)
TOLD = Candidate(make_recording().ref, (make_ref(),), reported=True)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_only_a_callback_told_of_has_not_failed(*, dry_run: bool) -> None:
    stage = Stage((), {}, dry_run=dry_run, recording=GONE).command(PROCESS)
    outcome = stage.play(TOLD)
    assert (outcome.step.kind, outcome.step.reason) == (StepKind.WAIT, Reason.UNHEARD_OF)
    assert (outcome.failures, stage.told) == ((), [])


@pytest.mark.parametrize(
    ("recording", "candidate", "more"),
    [
        (GONE, replace(TOLD, reported=False), ()),
        (failed(Service.TWILIO), TOLD, ()),  # somebody else's 404
        (GONE, TOLD, (failed(Service.AIRTABLE, FailureKind.OUTAGE),)),
        (GONE, TOLD, (failed(Service.AIRTABLE, FailureKind.GONE),)),
    ],
)
def test_whatever_else_went_wrong_is_a_failure(
    recording: Failure, candidate: Candidate, more: tuple[Failure, ...]
) -> None:
    stage = Stage((), {}, recording=recording).command(PROCESS)
    outcome = stage.will_say(ObserveRows, *more).play(candidate)
    assert (outcome.step.reason, outcome.failures) == (Reason.NOT_OBSERVED, (recording, *more))


def test_a_recording_whose_audio_is_gone_is_known() -> None:
    stage = Stage((), {}).command(PROCESS).will_say(Copy, GONE)
    assert stage.play(TOLD).failures == (GONE,)


def test_what_is_proven_is_linked_though_twilio_has_forgotten_it() -> None:
    stage = Stage((make_row(presigned_link(), ""),), recording=GONE).command(PROCESS)
    outcome = stage.play(TOLD)
    assert (outcome.step.reason, outcome.failures) == (Reason.NOT_OBSERVED, ())
