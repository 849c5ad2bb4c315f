"""What Twilio serves in place of a recording, and recordings that are unlike the others."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.twilio_api import ENCRYPTION_DETAILS

if TYPE_CHECKING:
    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab, Told


def refused(lab: Lab, told: Told, recording: FakeRecording, code: str) -> None:
    """Hold that nothing of it was stored or linked, that Twilio keeps it, and that it is told."""
    entry = told.of(recording)
    assert entry["error"], entry
    assert "Copy" not in entry["steps"]
    assert code in {e["code"] for e in told.doc["errors"] if e["sid"] == recording.sid}
    assert lab.objects(recording) == []
    assert recording.status == "completed"
    (row,) = [r for r in lab.sandbox.airtable.rows.values() if recording.call_sid in str(r.fields)]
    assert lab.holds(row, recording) in {"twilio", "empty"}


def test_what_is_not_the_recording_is_not_archived(lab: Lab) -> None:
    media = lab.sandbox.twilio.media
    kinds = (FaultKind.EMPTY, FaultKind.HTML, FaultKind.XML, FaultKind.SHORT)
    bad = {kind: lab.call(duration=30)[1] for kind in kinds}
    for kind, recording in bad.items():
        media.faults.add(Fault(kind, path=recording.sid, times=None))
    good = [lab.call() for _ in range(3)]
    cut_once, late = good[0][1], good[1][1]
    media.faults.add(Fault(FaultKind.TRUNCATE, path=cut_once.sid))
    late.media_404_times = 2
    told = lab.json("process")
    assert told.code == 1
    for recording in bad.values():
        refused(lab, told, recording, "not_the_recording")
    for row, recording in good:
        assert lab.archived(recording)
        assert lab.holds(row, recording) == "s3"
    assert told.summary["failed"] == len(bad)
    assert told.names["recording_download_failed"] == len(bad)
    media.faults.clear()  # the proxy is repaired: their rows have fallback links
    assert lab.json("migrate-fallbacks").code == 0
    assert all(lab.archived(recording) for recording in bad.values())


def test_a_body_that_always_breaks_off_is_an_outage(lab: Lab) -> None:
    _, mine = lab.call(duration=30)
    lab.sandbox.twilio.media.faults.add(Fault(FaultKind.TRUNCATE, times=None))
    told = lab.json("process")
    assert told.code == 5
    refused(lab, told, mine, "connection")


def test_wav_with_all_channels_and_none_of_half_a_file(lab: Lab) -> None:
    twilio = lab.sandbox.twilio
    whole = twilio.add(duration=20)
    half = twilio.add(duration=20, audio=whole.media("wav", 1)[: 20 * 8000])
    short, dual = twilio.add(duration=20), twilio.add(duration=2, channels=2)
    meeting = twilio.add(
        duration=2, channels=2, conference_sid="CF" + "1" * 32, source="StartConferenceRecordingAPI"
    )
    for recording in (whole, half, short, dual, meeting):
        lab.row(recording.call_sid)
    twilio.media.faults.add(Fault(FaultKind.SHORT, path=short.sid, times=None))
    told = lab.json("process", RECCLI_TWILIO__MEDIA_FORMAT="wav")
    assert told.code == 1
    for recording in (half, short):
        refused(lab, told, recording, "not_the_recording")
    for recording in (whole, dual, meeting):
        assert lab.archived(recording, "wav")
        with wave.open(io.BytesIO(lab.read(lab.objects(recording)[0]))) as audio:
            assert audio.getnchannels() == recording.channels
    head = lab.s3.head_object(Bucket=lab.bucket, Key=lab.objects(meeting)[0])
    assert head["Metadata"]["channels"] == "2"
    assert head["ContentType"] == "audio/wav"


def test_an_encrypted_recording_keeps_the_envelope_of_its_key(lab: Lab) -> None:
    row, mine = lab.call(duration=3)
    mine.encryption_details = ENCRYPTION_DETAILS
    told = lab.json("process")
    assert told.code == 0
    assert lab.holds(row, mine) == "s3"
    assert lab.archived(mine, "wav")
    (key,) = lab.objects(mine)
    assert key.endswith(".wav")
    metadata = lab.s3.head_object(Bucket=lab.bucket, Key=key)["Metadata"]
    assert metadata["encryption-cek"] == ENCRYPTION_DETAILS["encryption_cek"]
    assert metadata["encryption-iv"] == ENCRYPTION_DETAILS["encryption_iv"]
    assert metadata["encryption-public-key-sid"] == ENCRYPTION_DETAILS["encryption_public_key_sid"]
    purge = lab.json("purge-twilio", "--retention", "0")
    assert (purge.code, lab.deleted()) == (0, {mine.sid})
