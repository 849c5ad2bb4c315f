"""From Twilio to S3: what is not the recording never gets there, and a full disk is told."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, BinaryIO, cast

import pytest

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import Recording, S3State, StoredObject
from reccli.flow import copy as flow_copy
from reccli.flow.copy import copy
from reccli.flow.effects import Copied, Copy
from reccli.flow.ports import Media, Provenance, S3Port, TwilioPort
from reccli.flow.retry import Backoff, Retry
from reccli.sandbox.audio import STEREO, cbr, ciphertext, mp3, vbr, wav
from tests.core.samples import KEY, make_recording

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
XML = b"<?xml version='1.0'?><TwilioResponse><RestException><Code>20404</Code></RestException>"
ENCRYPTION = {"encryption_type": "rsa-aes", "encryption_iv": "x"}
MP3, WAV = "audio/mpeg", "audio/x-wav"


@dataclass
class Bodies:
    """Twilio, which answers with these bodies one after the other."""

    answers: list[Media | ServiceError]
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def media(self, recording: Recording, extension: str) -> Iterator[Media]:
        self.asked.append(extension)
        answer = self.answers.pop(0)
        if isinstance(answer, ServiceError):
            raise answer
        yield answer


@dataclass
class Bucket:
    """S3, which notes what it gets."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    notes: list[Provenance] = field(default_factory=list)

    def put(self, key: str, body: BinaryIO, provenance: Provenance) -> StoredObject:
        body.seek(0)
        self.bodies[key] = body.read()
        self.notes.append(provenance)
        size, digest = provenance.size, provenance.sha256
        return StoredObject(S3State.VERIFIED, timedelta(), size, digest, proven=True)


def media(body: bytes, kind: str = MP3, length: int | None = -1) -> Media:
    chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
    return Media(kind, len(body) if length == -1 else length, chunks)


def torn(body: bytes) -> Media:
    def chunks() -> Iterator[bytes]:
        yield body
        failure = Failure(Service.TWILIO, FailureKind.OUTAGE, "connection", "broken off")
        raise ServiceError(failure)

    return Media(MP3, None, chunks())


def run(
    *answers: Media | ServiceError, extension: str = "mp3", accept: bool = False, **facts: object
) -> tuple[Copied, Bucket]:
    twilio, s3 = Bodies(list(answers)), Bucket()
    recording = make_recording(**({"duration": 10, "channels": 1} | facts))
    retry = Retry(Backoff(attempts=2), sleep=lambda _seconds: None)
    effect = Copy(recording, extension, KEY, accept_length=accept)
    copied = copy(effect, cast("TwilioPort", twilio), cast("S3Port", s3), retry)
    return copied, s3


@pytest.mark.parametrize(
    ("body", "kind", "extension"),
    [
        (mp3("a", 10), MP3, "mp3"),
        (mp3("a", 10), "audio/mpeg; charset=binary", "mp3"),
        (wav("a", 10), WAV, "wav"),
        (wav("a", 10, 2), WAV, "wav"),
        (mp3("a", 600), MP3, "mp3"),  # longer than Twilio says: nothing has been lost
    ],
)
def test_a_recording_arrives_whole(body: bytes, kind: str, extension: str) -> None:
    copied, s3 = run(media(body, kind), extension=extension)
    assert s3.bodies == {KEY: body}
    assert copied.size == len(body)
    (note,) = s3.notes
    assert (note.size, note.sha256) == (len(body), sha256(body).hexdigest())
    assert note.content_type == {"mp3": "audio/mpeg", "wav": "audio/wav"}[extension]


def test_a_body_larger_than_memory_goes_through_a_file() -> None:
    body = wav("large", 300, 1)
    assert len(body) > flow_copy.SPOOL_BYTES
    _, s3 = run(media(body, WAV), extension="wav", duration=300)
    assert s3.bodies[KEY] == body


def test_ciphertext_is_taken_as_it_comes() -> None:
    body = ciphertext("a", 10)
    kind = "application/octet-stream"
    _, s3 = run(media(body, kind), extension="wav", encryption=ENCRYPTION)
    assert s3.bodies[KEY] == body


@pytest.mark.parametrize(
    ("body", "kind", "extension", "facts", "why"),
    [
        (b"", MP3, "mp3", {}, "empty"),
        (HTML, "text/html", "mp3", {}, "not as audio"),
        (HTML, MP3, "mp3", {}, "text document"),
        (b"\n " + HTML, MP3, "mp3", {}, "text document"),
        (XML, "application/xml", "mp3", {}, "not as audio"),
        (XML, WAV, "wav", {}, "text document"),
        (b'{"code": 20404}', MP3, "mp3", {}, "text document"),
        (mp3("a", 10), "", "mp3", {}, "no content type"),
        (mp3("a", 10), "application/octet-stream", "mp3", {}, "not as audio"),
        (ciphertext("a", 10), MP3, "mp3", {}, "not an MP3"),
        (mp3("a", 3), MP3, "mp3", {}, "it holds 3 s"),
        (mp3("a", 10, 1), MP3, "mp3", {"channels": 2}, "1 channel"),
        (wav("a", 10)[:80_000], WAV, "wav", {}, "the WAV says"),
        (wav("a", 3), WAV, "wav", {}, "it holds 3 s"),
        (wav("a", 10)[:40], WAV, "wav", {}, "the WAV says"),
        (mp3("a", 10), WAV, "wav", {}, "not a WAV"),
        (wav("a", 10), WAV, "wav", {"channels": 2}, "1 channel"),
        (ciphertext("a", 1)[:100], WAV, "wav", {"encryption": ENCRYPTION}, "it holds 0 s"),
        (ciphertext("a", 7), WAV, "wav", {"encryption": ENCRYPTION}, "it holds 7 s"),
        (ciphertext("a", 10), "text/html", "wav", {"encryption": ENCRYPTION}, "not as audio"),
    ],
)
def test_what_is_not_the_recording_is_never_stored(
    body: bytes, kind: str, extension: str, facts: dict[str, Any], why: str
) -> None:
    with pytest.raises(ServiceError, match=why) as caught:
        run(media(body, kind), extension=extension, **facts)
    failure = caught.value.failure
    assert (failure.service, failure.kind) == (Service.TWILIO, FailureKind.PERMANENT)
    assert failure.code == "not_the_recording"


SHORT: dict[str, Any] = {"duration": 600}


def refused(*answers: Media, accept: bool = False, **facts: Any) -> Failure:  # noqa: ANN401 - of Recording
    with pytest.raises(ServiceError) as caught:
        run(*answers, extension="mp3", accept=accept, **facts)
    assert caught.value.failure.code == "not_the_recording"
    return caught.value.failure


def test_a_cut_body_that_ends_cleanly_is_refused() -> None:
    failure = refused(media(cbr(462), length=None), **SHORT)
    assert "it holds 462 s of audio, and Twilio recorded 600 s" in failure.message
    assert failure.hint == (
        "listen to it at Twilio; if that is all there is, take it with: "
        f"reccli process {make_recording().sid} --accept-length"
    )


def test_a_person_may_accept_the_length() -> None:
    answers = [media(cbr(462), length=None), media(cbr(462.2), length=None)]
    copied, s3 = run(*answers, accept=True, **SHORT)
    (note,) = s3.notes
    assert note.accepted
    assert copied.seconds == note.seconds == pytest.approx(462.2, abs=0.03)


@pytest.mark.parametrize("lengths", [(462, 46), (46, 462)])
def test_what_is_cut_just_now_is_not_what_a_person_has_heard(lengths: tuple[int, int]) -> None:
    answers = [media(cbr(seconds), length=None) for seconds in lengths]
    said = refused(*answers, accept=True, **SHORT).message
    assert said.endswith(f"holds {lengths[0]} s of audio, the next one {lengths[1]} s")


def test_a_person_may_accept_what_twilio_tells_no_length_of() -> None:
    _, s3 = run(media(cbr(9)), media(cbr(9)), accept=True, duration=None)
    assert [note.accepted for note in s3.notes] == [True]
    _, s3 = run(media(cbr(9)), duration=None)
    assert [note.accepted for note in s3.notes] == [False]


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize(("duration", "length"), [(300, 300), (300, 298), (300, 400)])
def test_what_needs_no_acceptance_has_none(
    duration: int | None, length: int, *, accept: bool
) -> None:
    body = vbr([(length / 5, 64), (length * 4 / 5, 8)])
    copied, s3 = run(media(body), accept=accept, duration=duration)
    (note,) = s3.notes
    assert not note.accepted
    assert copied.seconds == note.seconds == pytest.approx(length, abs=0.06)


@pytest.mark.parametrize(
    ("answer", "facts", "why"),
    [
        (media(HTML), {}, "text document"),
        (media(cbr(462)), {"channels": 2, **SHORT}, "1 channel"),
        (media(cbr(462), length=10**9), SHORT, "of 1000000000 bytes came"),
        (Media(MP3, None, iter([cbr(9)]), framed=False), {"duration": None}, "have been cut"),
    ],
)
def test_what_nobody_can_accept(answer: Media, facts: dict[str, Any], why: str) -> None:
    failure = refused(answer, accept=True, **facts)
    assert why in failure.message
    assert "--accept-length" not in failure.hint


def test_a_length_is_not_offered_for_acceptance_where_the_body_broke_off() -> None:
    failure = refused(media(cbr(462), length=10**9), **SHORT)
    assert "bytes came" in failure.message
    assert "--accept-length" not in failure.hint


@pytest.mark.parametrize(("known", "granted"), [(2, None), (None, 2), (2, 1), (0, 2)])
def test_channels_are_the_metadatas_or_what_was_granted(
    known: int | None, granted: int | None
) -> None:
    facts: dict[str, Any] = {"channels": known}
    mono = media(cbr(10))
    mono.channels = granted
    assert "1 channel" in refused(mono, **facts).message
    dual = media(cbr(10, mode=STEREO))
    dual.channels = granted
    run(dual, **facts)


def test_seconds_decide_where_nothing_but_the_connection_ended_the_body() -> None:
    run(Media(MP3, None, iter([cbr(9)]), framed=False))


@pytest.mark.parametrize("length", [1, 10**9])
def test_a_length_that_was_promised_is_held(length: int) -> None:
    with pytest.raises(ServiceError, match="bytes came"):
        run(media(mp3("a", 10), length=length))


def test_a_length_that_was_not_promised_is_not_missed() -> None:
    run(media(mp3("a", 10), length=None))


def test_a_second_try_begins_anew() -> None:
    body = mp3("a", 10)
    copied, s3 = run(torn(mp3("b", 60)), media(body))
    assert s3.bodies == {KEY: body}
    assert copied.size == len(body)


def test_patience_ends() -> None:
    with pytest.raises(ServiceError, match="broken off"):
        run(torn(mp3("a", 1)), torn(mp3("a", 1)))


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "spool_failed")]
)
def test_a_disk_that_takes_no_more_is_told(
    number: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def __init__(self, max_size: int) -> None:
            super().__init__()

        def write(self, _data: object) -> int:
            raise OSError(number, "cannot")

    monkeypatch.setattr(flow_copy, "SpooledTemporaryFile", Full)
    with pytest.raises(ServiceError) as caught:
        run(media(mp3("a", 10)))
    failure = caught.value.failure
    assert (failure.service, failure.kind) == (Service.MACHINE, FailureKind.PERMANENT)
    assert failure.code == code
    assert "TMPDIR" in failure.hint


@pytest.mark.parametrize("stage", ["rollover", "seek"])
def test_a_disk_that_fails_late_is_told_too(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that buffers tells only when it is flushed, which a seek does."""

    class Late(io.BytesIO):
        def __init__(self, max_size: int) -> None:
            super().__init__()

        def seek(self, at: int, whence: int = 0) -> int:
            if stage == "seek" and self.getbuffer().nbytes:
                raise OSError(errno.ENOSPC, "no space")
            return super().seek(at, whence)

        def write(self, data: object) -> int:
            if stage == "rollover" and self.getbuffer().nbytes > 5_000:
                raise OSError(errno.ENOSPC, "no space")
            return super().write(cast("bytes", data))

    monkeypatch.setattr(flow_copy, "SpooledTemporaryFile", Late)
    with pytest.raises(ServiceError) as caught:
        run(media(mp3("a", 10)))
    assert caught.value.failure.code == "disk_full"
