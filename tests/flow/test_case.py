"""One case driven by hand: the steps it takes, and what follows from one that fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reccli.core.errors import FailureKind, Service
from reccli.core.model import LinkState, Reason, Row, S3State, StepKind, StoredObject, TwilioState
from reccli.flow.commands import PROCESS, PURGE_TWILIO
from reccli.flow.effects import (
    AskGuard,
    Copied,
    Copy,
    Delete,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Record,
    Stale,
    WriteLinks,
)
from reccli.flow.outcome import Candidate
from reccli.flow.reporting import VANISHED
from tests.core.samples import KEY, RE1, RE2, make_recording, make_ref, make_row, twilio_cell

from .byhand import GOOD, Stage, codes, failed, presigned_link

BUSY = failed(Service.TWILIO, FailureKind.BUSY)
LINKED = (make_row(presigned_link()),)
DYING = (make_row(presigned_link().replace("20261122", "20261101")),)
UNFIT = StoredObject(S3State.UNFIT, failure=failed(Service.S3))
GONE = "object_vanished"
KNOWN = Candidate(make_recording().ref)


# Writes


@pytest.mark.parametrize("service", [Service.S3, Service.RECCLI])
def test_where_no_link_opens_s3_is_as_good_as_unreachable(service: Service) -> None:
    dead = failed(service)
    stage = Stage((make_row(),)).will_say(WriteLinks, dead)
    outcome = stage.play()
    assert outcome.steps == (StepKind.LINK_TWILIO,)
    assert [write.key for write in stage.of(WriteLinks)] == [KEY, None]
    assert (outcome.s3, outcome.rows) == (S3State.UNKNOWN, LinkState.TWILIO_LINK)
    assert outcome.failures == (dead,)
    details = {record.name: record.detail for record in stage.of(Record)}
    assert details["recording_s3_fallback_to_twilio"] == {"reason": "made up"}
    assert "airtable_update_error" not in stage.told


def test_where_no_link_opens_a_fallback_stays() -> None:
    stage = Stage((make_row(twilio_cell(RE1)),)).will_say(WriteLinks, failed(Service.S3))
    outcome = stage.play()
    assert (outcome.steps, outcome.step.reason) == ((), Reason.S3_UNREACHABLE)
    assert len(stage.of(WriteLinks)) == 1


def test_a_write_that_airtable_refuses_leaves_the_rows_unknown() -> None:
    stage = Stage((make_row(),)).will_say(WriteLinks, failed(Service.AIRTABLE))
    outcome = stage.play()
    assert (outcome.steps, outcome.step.reason) == ((), Reason.NOT_OBSERVED)
    assert (outcome.rows, outcome.s3) == (LinkState.UNKNOWN, S3State.VERIFIED)
    assert len(stage.of(WriteLinks)) == 1
    assert "airtable_update_error" in stage.told


def test_a_fallback_that_fails_is_not_tried_for_ever() -> None:
    stage = Stage((make_row(),), {KEY: replace(GOOD, state=S3State.CONFLICT)})
    outcome = stage.will_say(WriteLinks, failed(Service.S3)).play()
    assert (outcome.rows, len(stage.of(WriteLinks))) == (LinkState.UNKNOWN, 1)
    assert "airtable_update_error" not in stage.told  # the report counts those


def test_a_cell_that_changed_is_looked_at_and_decided_on_again() -> None:
    stage = Stage((make_row(),)).command(PROCESS).will_say(WriteLinks, Stale())
    assert stage.play().steps == (StepKind.RELINK,)
    assert (len(stage.of(ObserveRows)), len(stage.of(WriteLinks))) == (2, 2)


def test_who_else_wants_a_free_cell_is_asked_first() -> None:
    stage = Stage((make_row(),), siblings=(make_ref(RE2), make_ref())).command(PROCESS)
    stage.play(KNOWN)
    assert (len(stage.of(ObserveSiblings)), len(stage.of(ObserveRows))) == (1, 2)
    (write,) = stage.of(WriteLinks)
    assert [cell.field for cell in write.cells] == ["Transfer Recording URL"]


def test_one_that_twilio_does_not_list_comes_after_all_that_it_does() -> None:
    stage = Stage((make_row(),), siblings=(make_ref(RE2),)).command(PROCESS)
    stage.play(KNOWN)
    (write,) = stage.of(WriteLinks)
    assert [cell.field for cell in write.cells] == ["Transfer Recording URL"]


def test_while_nobody_says_who_else_wants_it_no_free_cell_is_taken() -> None:
    stage = Stage((make_row(),), siblings=failed(Service.TWILIO)).command(PROCESS)
    outcome = stage.play(KNOWN)
    assert (outcome.step.reason, outcome.rows) == (Reason.NOT_OBSERVED, LinkState.UNKNOWN)
    assert stage.of(WriteLinks) == []


def test_a_cell_that_is_its_own_needs_no_siblings() -> None:
    stage = Stage((make_row(twilio_cell(RE1)), make_row(row_id="rec2"))).command(PROCESS)
    assert stage.play(KNOWN).steps[0] is StepKind.RELINK
    first = stage.of(WriteLinks)[0]
    assert [cell.row_id for cell in first.cells] == ["rec1"]
    assert stage.asked.index(first) < stage.asked.index(stage.of(ObserveSiblings)[0])


# Copies


@pytest.mark.parametrize(
    ("key", "encryption", "extension"),
    [
        (KEY, {}, "mp3"),
        (KEY.replace("mp3", "wav"), {}, "wav"),
        (KEY.replace("mp3", "ogg"), {}, "mp3"),
        (KEY, {"type": "rsa-aes"}, "wav"),
    ],
)
def test_a_row_may_name_the_format(key: str, encryption: dict[str, str], extension: str) -> None:
    recording = make_recording(duration=4, encryption=encryption)
    stage = Stage((make_row(presigned_link(key)),), {}, recording).command(PROCESS)
    stage.play()
    (copy,) = stage.of(Copy)
    assert (copy.key, copy.extension) == (key, extension)


@pytest.mark.parametrize("state", [S3State.VERIFIED, S3State.UNFIT, S3State.CONFLICT])
def test_a_copy_counts_when_the_object_is_the_recording(state: S3State) -> None:
    stage = Stage((make_row(twilio_cell(RE1)),), {})
    stage.will_say(Copy, Copied(replace(GOOD, state=state), 7))
    outcome = stage.command(PROCESS).play()
    assert (StepKind.COPY in outcome.steps) is (state is not S3State.CONFLICT)
    assert outcome.size == 7
    assert ("recording_s3_upload_success" in stage.told) is (state is S3State.VERIFIED)
    held = {S3State.UNFIT: "stored, but not for keeps", S3State.CONFLICT: Reason.CONFLICT}
    if state in held:
        assert outcome.step.reason == held[state]
        assert "twilio_recording_preserved" in stage.told


@pytest.mark.parametrize(
    ("service", "kind", "steps", "reason", "fell_back"),
    [
        (Service.TWILIO, FailureKind.OUTAGE, [StepKind.LINK_TWILIO], Reason.UNCOPIED, False),
        (Service.TWILIO, FailureKind.PERMANENT, [StepKind.LINK_TWILIO], Reason.UNCOPIED, False),
        (Service.MACHINE, FailureKind.PERMANENT, [StepKind.LINK_TWILIO], Reason.UNCOPIED, False),
        (Service.TWILIO, FailureKind.GONE, [], Reason.NO_MEDIA, False),
        (Service.TWILIO, FailureKind.NOT_YET, [], Reason.NO_MEDIA, False),
        (Service.S3, FailureKind.OUTAGE, [StepKind.LINK_TWILIO], Reason.S3_UNREACHABLE, True),
        (Service.S3, FailureKind.GONE, [StepKind.LINK_TWILIO], Reason.S3_UNREACHABLE, True),
        (
            Service.RECCLI,
            FailureKind.PERMANENT,
            [StepKind.LINK_TWILIO],
            Reason.S3_UNREACHABLE,
            True,
        ),
    ],
)
def test_whose_failure_a_copy_met_decides_what_the_row_gets(
    service: Service, kind: FailureKind, steps: list[StepKind], reason: Reason, *, fell_back: bool
) -> None:
    stage = Stage((make_row(),), {}).will_say(Copy, failed(service, kind))
    outcome = stage.command(PROCESS).play()
    assert ([*outcome.steps], outcome.step.reason) == (steps, reason)
    assert ("recording_s3_fallback_to_twilio" in stage.told) is fell_back
    assert ("recording_saved_to_airtable_twilio" in stage.told) is bool(steps)
    assert (outcome.twilio is TwilioState.NO_MEDIA) is (reason is Reason.NO_MEDIA)


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, False), (4.0, False), (6.0, False), (6.4, False), (7.0, True)]
)
def test_a_copy_longer_than_twilio_says_is_told(seconds: float | None, *, told: bool) -> None:
    stage = Stage((make_row(),), {}).command(PROCESS)
    stage.will_say(Copy, Copied(GOOD, 7, seconds)).play()
    assert ("recording_longer_than_told" in stage.told) is told


def test_what_both_have_no_more_is_lost() -> None:
    stage = Stage((make_row(presigned_link()),), {}, make_recording(status="deleted"))
    assert (stage.play().step.kind, stage.told) == (StepKind.LOST, ["recording_lost"])


# Deletes


@pytest.mark.parametrize("service", [Service.S3, Service.RECCLI])
def test_a_link_that_does_not_open_keeps_the_original_and_is_no_error_of_twilio(
    service: Service,
) -> None:
    dead = failed(service)
    stage = Stage(LINKED).will_say(Delete, dead)
    outcome = stage.play()
    assert (outcome.steps, outcome.step.kind) == ((), StepKind.HOLD)
    assert (outcome.failures, outcome.s3) == ((dead,), S3State.UNKNOWN)
    assert outcome.twilio == "completed"
    assert len(stage.of(Delete)) == 1
    assert "twilio_recording_delete_error" not in stage.told


def test_a_guard_that_cannot_be_asked_lets_nothing_be_deleted() -> None:
    stage = Stage(LINKED).will_say(AskGuard, BUSY)
    outcome = stage.play()
    assert (outcome.step.reason, outcome.failures) == (Reason.UNSAFE, (BUSY,))
    assert not stage.of(Delete)


def test_a_delete_that_fails_in_passing_is_tried_three_times() -> None:
    stage = Stage(LINKED).will_say(Delete, *[BUSY] * 9)
    outcome = stage.play()
    assert len(stage.of(Delete)) == 3
    assert (outcome.failures, outcome.twilio) == ((BUSY,), "unknown")
    assert stage.told == ["twilio_recording_delete_error"]
    assert len(stage.of(AskGuard)) == 1


def test_a_delete_that_twilio_refuses_is_not_tried_again() -> None:
    stage = Stage(LINKED).will_say(Delete, failed(Service.TWILIO))
    assert stage.play().step.reason is Reason.NOT_OBSERVED
    assert len(stage.of(Delete)) == 1


def test_a_delete_whose_answer_was_lost_is_told_once() -> None:
    stage = Stage(LINKED).will_say(Delete, BUSY)
    live = make_recording(duration=4)
    stage.will_say(ObserveRecording, live, live, replace(live, status="deleted"))
    outcome = stage.play()
    assert (outcome.steps, outcome.failures) == ((StepKind.DELETE,), ())
    assert stage.told == ["twilio_recording_deleted"]


def test_what_somebody_else_deleted_is_not_told_as_ours() -> None:
    stage = Stage(LINKED)
    live = make_recording(duration=4)
    stage.will_say(ObserveRecording, live, replace(live, status="deleted"))
    assert (stage.play().steps, stage.told) == ((), [])


# Objects that vanished


@pytest.mark.parametrize("rows", [LINKED, DYING])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_command_that_may_not_copy_tells_what_vanished(
    rows: tuple[Row, ...], *, dry_run: bool
) -> None:
    stage = Stage(rows, {}, dry_run=dry_run).command(PURGE_TWILIO)
    outcome = stage.play()
    (failure,) = outcome.failures
    assert (failure.code, failure.service, KEY in failure.message) == (GONE, Service.S3, True)
    assert failure.transient
    assert stage.told == ([] if dry_run else [VANISHED])
    assert outcome.step.kind is StepKind.COPY


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_command_that_copies_it_again_has_nothing_to_tell(*, dry_run: bool) -> None:
    stage = Stage(LINKED, {}, dry_run=dry_run).command(PROCESS)
    outcome = stage.play()
    assert (outcome.steps, outcome.failures) == ((StepKind.COPY,), ())
    assert VANISHED not in stage.told
    assert len(stage.of(Copy)) == (0 if dry_run else 1)


@pytest.mark.parametrize("cell", ["", twilio_cell(RE1)])
def test_what_no_row_links_to_has_not_vanished(cell: str) -> None:
    stage = Stage((make_row(cell),), {}).command(PURGE_TWILIO)
    assert (codes(stage.play().failures), stage.told) == ([], [])


def test_an_object_that_is_there_although_it_cannot_be_used_has_not_vanished() -> None:
    stage = Stage(LINKED, {KEY: UNFIT}).command(PURGE_TWILIO)
    assert codes(stage.play().failures) == []
