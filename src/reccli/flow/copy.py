"""One recording from Twilio to S3: streamed and hashed into a spool, checked, stored once.

Nothing reaches S3 before the whole body was seen to be the recording. Memory stays flat: a
body larger than a few megabytes lies in a temporary file.
"""

from __future__ import annotations

import hashlib
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from reccli.core.audio import Expected, Meter, long_enough
from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.flow import machine
from reccli.flow.effects import Copied
from reccli.flow.ports import Provenance

if TYPE_CHECKING:
    from reccli.core.audio import Judgement
    from reccli.flow.effects import Copy
    from reccli.flow.ports import Media, S3Port, TwilioPort
    from reccli.flow.retry import Retry

SPOOL_BYTES = 4 * 1024 * 1024
_SAME_SECONDS = 0.5
"""MP3 is made at download, and need not be the same to the byte."""
_CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_UNTOUCHED = "nothing was stored and the Twilio copy is untouched"
_not_the_recording = partial(Failure, Service.TWILIO, FailureKind.PERMANENT, "not_the_recording")


def copy(effect: Copy, twilio: TwilioPort, s3: S3Port, retry: Retry) -> Copied:
    """Download, check and store; raises `ServiceError` naming what could not be done."""
    try:
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            body = cast("BinaryIO", spool)
            provenance = retry(Service.TWILIO, _download, effect, twilio, body)
            if provenance.accepted:
                first = provenance
                provenance = retry(Service.TWILIO, _download, effect, twilio, body)
                _hold_alike(first, provenance)
            stored = retry.more(Service.S3, s3.put, effect.key, body, provenance)
    except OSError as error:  # of the file: a port raises nothing but ServiceError
        raise ServiceError(_disk(error)) from error
    return Copied(stored, provenance.size, provenance.seconds)


def _hold_alike(first: Provenance, second: Provenance) -> None:
    """Raise unless two downloads are as long: what a person has heard is not what was cut now."""
    before, now = first.seconds or 0.0, second.seconds or 0.0
    if abs(before - now) > _SAME_SECONDS:
        message = f"one download holds {before:.0f} s of audio, the next one {now:.0f} s"
        fix = f"{_UNTOUCHED}; look at what cuts downloads"
        raise ServiceError(_not_the_recording(message, fix))


def _disk(error: OSError) -> Failure:
    return machine.failure_of(error) or Failure(
        Service.MACHINE,
        FailureKind.PERMANENT,
        "spool_failed",
        f"cannot write the temporary file: {error.strerror}",
        "free space in the temporary directory, or point TMPDIR elsewhere",
    )


def _download(effect: Copy, twilio: TwilioPort, body: BinaryIO) -> Provenance:
    """Fill the spool from its start; a retry starts the download anew."""
    body.seek(0)
    body.truncate()
    recording = effect.recording
    with twilio.media(recording, effect.extension) as media:
        expected = Expected(
            effect.extension,
            recording.duration,
            recording.channels or media.channels,
            encrypted=bool(recording.encryption),
            accept_length=effect.accept_length,
        )
        meter = Meter(expected)
        size, sha256 = _spool(media, body, meter)
    judgement = meter.judge(media.content_type, framed=media.framed)
    failure = _failure(judgement, size, media.length, recording.sid)
    if failure is not None:
        raise ServiceError(failure)
    seconds, duration = judgement.seconds, recording.duration
    proven = duration is not None and seconds is not None and long_enough(seconds, duration)
    kind = _CONTENT_TYPES[effect.extension]
    accepted = effect.accept_length and not proven
    return Provenance(recording, size, sha256, kind, seconds, accepted=accepted)


def _failure(judgement: Judgement, size: int, length: int | None, sid: str) -> Failure | None:
    """Return why the body is not stored; one that broke off is no matter of a person's ears."""
    reason, alone = judgement.refusal, judgement.length_alone
    if (reason is None or alone) and length not in {None, size}:
        reason, alone = f"{size} of {length} bytes came", False
    if reason is None:
        return None
    return _not_the_recording(
        f"what Twilio served is not the recording: {reason}",
        "listen to it at Twilio; if that is all there is, take it with: "
        f"reccli process {sid} --accept-length"
        if alone
        else f"{_UNTOUCHED}; look at what a proxy or Twilio answers for this media",
    )


def _spool(media: Media, body: BinaryIO, meter: Meter) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    for chunk in media.chunks:
        digest.update(chunk)
        meter.feed(chunk)
        size += len(chunk)
        body.write(chunk)
    return size, digest.hexdigest()
