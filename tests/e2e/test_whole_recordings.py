"""Only whole recordings are archived: cut bodies, lost channels, lengths that nobody tells."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.audio import cbr, vbr, wav
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.twilio_api import ENCRYPTION_DETAILS

if TYPE_CHECKING:
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab, Told

WAV = {"RECCLI_TWILIO__MEDIA_FORMAT": "wav"}
UNPROVEN = "its length is not proven, so no copy counts for a delete"


def purge(lab: Lab, **changes: str) -> Told:
    return lab.json("purge-twilio", "--retention", "0", **changes)


def kept(lab: Lab, told: Told, recording: FakeRecording) -> str:
    """Hold that nothing of it was stored, and that no purge takes it; tells what was said."""
    assert told.code == 1
    assert "Copy" not in told.of(recording)["steps"]
    assert lab.objects(recording) == []
    purge(lab)
    assert lab.deleted() == set()
    (entry,) = [e for e in told.doc["errors"] if e["sid"] == recording.sid]
    assert entry["code"] == "not_the_recording"
    return f"{entry['message']} ({entry['hint']})"


def test_a_cut_body_is_counted_to_its_end_and_a_person_may_take_it(lab: Lab) -> None:
    row, mine = lab.call(duration=600)
    mine.audio = audio = cbr(462, kbps=32, hertz=22_050, padded=False)
    lab.sandbox.twilio.media.faults.add(Fault(FaultKind.CHUNKED, times=None))
    told = lab.json("process")
    said = kept(lab, told, mine)
    assert "holds 462 s of audio, and Twilio recorded 600 s" in said
    assert f"reccli process {mine.sid} --accept-length" in said
    assert lab.holds(row, mine) == "twilio"

    told = lab.json("process", mine.sid, "--accept-length")
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    head = lab.s3.head_object(Bucket=lab.bucket, Key=lab.objects(mine)[0])
    assert head["Metadata"]["length-accepted"] == "true"
    assert float(head["Metadata"]["seconds"]) == pytest.approx(462, abs=1)
    assert (purge(lab).code, lab.deleted()) == (0, {mine.sid})
    mine.audio = audio  # which the stand-in throws away, and the lab compares with


def test_what_was_listened_to_is_not_what_is_cut_on_its_way_now(lab: Lab) -> None:
    row, mine = lab.call(duration=60)
    mine.audio = cbr(50)
    assert lab.json("process").code == 1
    lab.sandbox.twilio.media.faults.add(Fault(FaultKind.SHORT, share=0.1))  # this time only
    told = lab.json("process", mine.sid, "--accept-length")
    assert (told.code, lab.objects(mine)) == (1, [])
    assert "holds 5 s of audio, the next one 50 s" in told.of(mine)["error"]
    assert lab.holds(row, mine) == "twilio"


def test_only_recordings_that_were_listened_to_can_be_taken_so(lab: Lab) -> None:
    _, mine = lab.call(duration=600)
    mine.audio = cbr(462)
    for wrong in ([], [mine.call_sid], [mine.sid, mine.call_sid]):
        told = lab.sandbox.reccli("process", *wrong, "--accept-length")
        assert (told.exit_code, lab.keys()) == (2, [])
        assert "needs the RE…" in told.stderr


@pytest.mark.parametrize(
    ("kind", "share"),
    [(FaultKind.HALF, 0.8), (FaultKind.SHORT, 0.8), (FaultKind.CLOSED, 0.8)],
    ids=str,
)
def test_four_fifths_of_a_call_are_not_the_call(lab: Lab, kind: FaultKind, share: float) -> None:
    _, mine = lab.call(duration=80)
    lab.sandbox.twilio.media.faults.add(Fault(kind, times=None, share=share))
    assert "holds 64 s of audio, and Twilio recorded 80 s" in kept(lab, lab.json("process"), mine)


def test_silence_first_hides_no_cut_and_hold_at_the_end_is_no_cut(lab: Lab) -> None:
    cut_row, cut = lab.call(duration=300)
    cut.audio = vbr([(100, 8), (200, 64)])[: int(0.45 * len(vbr([(100, 8), (200, 64)])))]
    row, whole = lab.call(duration=300)
    whole.audio = vbr([(60, 64), (240, 8)])
    told = lab.json("process")
    assert told.code == 1
    assert (lab.holds(row, whole), lab.holds(cut_row, cut)) == ("s3", "twilio")
    assert lab.archived(whole)
    assert lab.objects(cut) == []


def test_sizes_in_a_wav_that_mean_nothing_are_not_believed(lab: Lab) -> None:
    sizes = (0, 0x7FFFFFFF, 0x7FFFF024, 0x80000024, 0xFFFFFFFF)
    calls = [lab.call(duration=20) for _ in range(2 * len(sizes) + 1)]
    bodies = [streamed(mine.sid, size) for (_, mine), size in zip(calls, sizes, strict=False)]
    cut = [body[: len(body) * 4 // 5] for body in bodies]
    listed = listing(wav("list", 20))
    for (_, mine), body in zip(calls, [*bodies, *cut, listed], strict=True):
        mine.audio = body
    told = lab.json("process", **WAV)
    assert told.code == 1
    held = ["s3"] * len(sizes) + ["twilio"] * len(sizes) + ["s3"]
    assert [lab.holds(row, mine) for row, mine in calls] == held


def streamed(candidate: str, size: int) -> bytes:
    """Make 20 s of WAV as a stream writes it, its sizes not known yet."""
    body = wav(candidate, 20)
    return body[:4] + struct.pack("<I", size) + body[8:40] + struct.pack("<I", size) + body[44:]


def listing(body: bytes) -> bytes:
    """Put a LIST of 300 kB before the data."""
    return body[:36] + b"LIST" + struct.pack("<I", 300_000) + bytes(300_000) + body[36:]


@pytest.mark.parametrize("how", [{}, WAV], ids=["mp3", "wav"])
def test_one_channel_of_two_is_half_of_the_recording(lab: Lab, how: dict[str, str]) -> None:
    _, mine = lab.call(duration=20, channels=2)
    mine.served_channels = 1
    said = kept(lab, lab.json("process", **how), mine)
    assert "it has 1 channel, and Twilio recorded 2" in said


def test_the_end_of_a_connection_proves_nothing_where_no_length_is_told(lab: Lab) -> None:
    (row, whole), (other, unknown) = lab.call(duration=30), lab.call(duration=30)
    unknown.metadata = {"duration": None}
    lab.sandbox.twilio.media.faults.add(Fault(FaultKind.CLOSED, times=None, share=1.0))
    told = lab.json("process")
    assert told.code == 1
    assert (lab.holds(row, whole), lab.holds(other, unknown)) == ("s3", "twilio")
    assert lab.json("process", unknown.sid, "--accept-length").code == 1
    assert lab.objects(unknown) == []


def test_a_sliver_of_an_encrypted_recording_is_refused(lab: Lab) -> None:
    _, mine = lab.call(duration=600)
    mine.encryption_details = ENCRYPTION_DETAILS
    whole = mine.media("wav", 1)
    mine.audio = whole[: len(whole) * 3 // 100]
    assert "holds 18 s of audio, and Twilio recorded 600 s" in kept(lab, lab.json("process"), mine)
    mine.audio = whole
    assert lab.json("process", mine.sid).code == 0


@pytest.mark.parametrize("duration", ["-1", None])
def test_without_a_duration_it_is_copied_and_linked_and_never_deleted(
    lab: Lab, duration: str | None
) -> None:
    row, mine = lab.call(duration=30)
    mine.metadata = {"duration": duration}
    told = lab.json("process")
    assert (told.code, lab.holds(row, mine)) == (0, "s3")
    told = purge(lab)
    said = f"{UNPROVEN}: S3 holds 30 s, and Twilio tells no duration"
    assert (told.of(mine)["step"], told.of(mine)["reason"]) == ("Hold", said)
    assert lab.deleted() == set()
    assert (
        "fix: listen to the recording at Twilio"
        in lab.run("purge-twilio", "--retention", "0").stdout
    )
    mine.metadata = {"duration": "90"}  # and 30 s were stored
    said = f"{UNPROVEN}: S3 holds 30 s, and Twilio recorded 90 s"
    assert purge(lab).of(mine)["reason"] == said
    mine.metadata = {}
    assert (purge(lab).code, lab.deleted()) == (0, {mine.sid})


def test_without_a_number_of_channels_both_are_asked_for(lab: Lab) -> None:
    (dual_row, dual), (mono_row, mono) = lab.call(duration=5, channels=2), lab.call(duration=5)
    (half_row, half), (secret_row, secret) = lab.call(duration=5, channels=2), lab.call(duration=5)
    for recording in (dual, mono, half, secret):
        recording.metadata = {"channels": None}
    half.served_channels = 1
    secret.encryption_details = ENCRYPTION_DETAILS
    told = lab.json("process")
    assert told.code == 1
    assert lab.holds(dual_row, dual) == lab.holds(mono_row, mono) == "s3"
    assert lab.holds(secret_row, secret) == "s3"
    assert lab.archived(dual)
    assert lab.archived(mono)
    assert lab.holds(half_row, half) == "twilio"
    assert lab.objects(half) == []


def test_a_conference_is_archived_with_both_of_its_channels(lab: Lab) -> None:
    mine = lab.sandbox.twilio.add(duration=5, channels=2, conference_sid="CF" + "1" * 32)
    mine.call_sid = ""
    row = lab.row("", link=lab.sandbox.twilio.recording_url(mine))
    assert lab.json("migrate-fallbacks").code == 0
    assert (lab.holds(row, mine), lab.archived(mine)) == ("s3", True)
