"""What must be true before Twilio is asked to delete, and what counts as deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import LINK
from reccli.sandbox.twilio_params import TwilioError, whole_number

if TYPE_CHECKING:
    import pytest

    from reccli.sandbox.recordings import FakeRecording
    from tests.e2e.lab import Lab

PERSON = "https://files.example.org/the-better-recording.mp3"


def replace(lab: Lab, recording: FakeRecording, body: bytes, *, checked: bool = True) -> None:
    """Put other bytes where the object is, with its metadata; `checked`: S3 knows their SHA-256."""
    (key,) = lab.objects(recording)
    metadata = lab.s3.head_object(Bucket=lab.bucket, Key=key)["Metadata"]
    if checked:
        lab.s3.put_object(
            Bucket=lab.bucket, Key=key, Body=body, Metadata=metadata, ChecksumAlgorithm="SHA256"
        )
    else:
        lab.s3.put_object(Bucket=lab.bucket, Key=key, Body=body, Metadata=metadata)


def test_what_is_not_proven_any_more_stays_on_twilio(lab: Lab) -> None:
    calls = [lab.call() for _ in range(9)]
    recordings = [mine for _, mine in calls]
    good, same_size, unchecked, shorter, bare, gone, relinked, emptied, removed = recordings
    assert lab.json("process").summary["relinked"] == 9
    audio = same_size.media("mp3", 1)
    replace(lab, same_size, audio[:-1] + b"!")
    replace(lab, unchecked, unchecked.media("mp3", 1)[:-1] + b"!", checked=False)
    replace(lab, shorter, audio[:-100])
    lab.s3.put_object(Bucket=lab.bucket, Key=lab.objects(bare)[0], Body=bare.media("mp3", 1))
    lab.s3.delete_object(Bucket=lab.bucket, Key=lab.objects(gone)[0])
    rows = {mine.sid: row for row, mine in calls}
    rows[relinked.sid].fields[LINK] = PERSON
    rows[emptied.sid].fields.pop(LINK)
    lab.sandbox.airtable.rows.pop(rows[removed.sid].id)

    told = lab.json("purge-twilio", "--retention", "0")
    assert lab.deleted() == {good.sid}
    for spoiled in (same_size, unchecked, shorter, bare):
        assert (told.of(spoiled)["step"], told.of(spoiled)["reason"]) == (
            "Hold",
            "another object has the key: a person must look",
        )
    assert told.of(gone)["step"] == "Copy"  # which this command may not
    assert told.of(relinked)["step"] == told.of(emptied)["step"] == "Relink"
    assert (told.of(removed)["step"], told.event("call_log_not_found")["recording_sid"]) == (
        "Hold",
        removed.sid,
    )
    assert told.names["twilio_recording_deleted"] == 1
    assert lab.link(rows[relinked.sid]) == PERSON

    told = lab.json("process", gone.sid, same_size.sid)
    assert lab.archived(gone)
    assert lab.read(lab.objects(same_size)[0]) == audio[:-1] + b"!"  # nothing is overwritten
    assert told.of(same_size)["step"] == "Hold"


def test_only_twilios_own_word_counts_as_deleted(lab: Lab) -> None:
    (_, page), (_, unheard), (_, plain) = (lab.call() for _ in range(3))
    lab.json("process")
    faults = lab.sandbox.twilio.faults
    faults.add(Fault(FaultKind.HTML, "DELETE", page.sid, times=None))
    faults.add(Fault(FaultKind.LOST_RESPONSE, "DELETE", unheard.sid))
    told = lab.json("purge-twilio", "--retention", "0")
    assert told.code == 5
    assert told.summary["deleted"] == 2
    assert lab.deleted() == {unheard.sid, plain.sid}
    assert "Delete" not in told.of(page)["steps"]
    assert told.event("twilio_recording_delete_error")["recording_sid"] == page.sid
    faults.clear()
    assert lab.json("purge-twilio", "--retention", "0").code == 0
    assert page.sid in lab.deleted()


def test_a_delete_that_is_forbidden_is_no_delete(lab: Lab) -> None:
    _, mine = lab.call()
    lab.json("process")
    body = b'{"code": 20403, "message": "Forbidden", "status": 403}'
    lab.sandbox.twilio.faults.add(
        Fault(FaultKind.STATUS, "DELETE", times=None, status=403, body=body)
    )
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted(), mine.status) == (4, set(), "completed")
    assert told.names["twilio_recording_delete_error"] == 1


def test_a_listing_that_breaks_off_archives_what_it_showed_and_deletes_no_share_of_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    def small(query: dict[str, str], name: str, default: int, allowed: range) -> int:
        """Let a page hold two recordings, and fail on the third page."""
        number = whole_number(query, name, default, allowed)
        if broken and (name, number) == ("Page", 2):
            raise TwilioError(500, 20500, "Internal Server Error")
        return min(number, 2) if name == "PageSize" else number

    monkeypatch.setattr("reccli.sandbox.twilio_account.whole_number", small)
    calls = [lab.call() for _ in range(7)]
    told = lab.json("process")
    assert (told.code, told.summary["relinked"]) == (5, 4)
    assert sum(lab.archived(mine) for _, mine in calls) == 4

    broken = False
    assert lab.json("process").summary["relinked"] == 3
    broken = True
    share = {"RECCLI_SAFETY__MAX_DELETE_FRACTION": "0.9"}
    for words in (("--dry-run",), ()):
        told = lab.json("purge-twilio", "--retention", "0", *words, **share)
        assert lab.deleted() == set()
        assert not [r for r in lab.sandbox.twilio.requests if r.method == "DELETE"]
        assert told.summary == {"seen": 4, "held": 4}
        assert told.code == 5  # all that failed may pass: the next run will retry
    told = lab.json("purge-twilio", "--retention", "0")  # each of these is proven by itself
    assert (told.code, told.summary) == (5, {"seen": 4, "deleted": 4})
