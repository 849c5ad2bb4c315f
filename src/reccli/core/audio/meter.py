"""Measures a body while it passes, and judges whether it is the recording; used by the copy.

Pure and in bounded memory. Only too *little* audio is refused: what is longer than Twilio's figure
has lost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.audio.mp3 import Mp3
from reccli.core.audio.reading import long_enough
from reccli.core.audio.wav import Wav

if TYPE_CHECKING:
    from reccli.core.audio.reading import Reader

_CIPHER_BYTES_PER_SECOND = 16_000
"""Of each channel: ciphertext keeps the length of Twilio's WAV, which is 8 kHz of 16 bits."""
_MARKUP = (b"<?xml", b"<!doctype", b"<html", b"<twilioresponse", b"<error", b'{"')
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Expected:
    """What the metadata says of the body: `duration` in seconds, None where Twilio says nothing.

    `accept_length`: a person has listened and takes it although it is shorter, if the body was not
    ended by its connection alone.
    """

    extension: str
    duration: int | None
    channels: int | None
    encrypted: bool = False
    accept_length: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why the body is not the recording, None if it is; `seconds` of audio, if any were counted.

    `length_alone`: it was refused for its length alone, so a person who has listened may accept it.
    """

    refusal: str | None
    length_alone: bool = False
    seconds: float | None = None


class Meter:
    """Takes every byte of one body, and judges it at the end."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._size = 0
        self._head = b""
        self._reader: Reader | None = None
        if not expected.encrypted:  # no format can be seen in ciphertext
            self._reader = Wav() if expected.extension == "wav" else Mp3()

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes, as many as there are."""
        self._size += len(chunk)
        if len(self._head) < _HEAD_BYTES:
            self._head = (self._head + chunk).lstrip()[:_HEAD_BYTES]
        if self._reader:
            self._reader.feed(chunk)

    def judge(self, content_type: str, *, framed: bool) -> Judgement:
        """Judge the whole body; `framed`: something other than its closing ended it."""
        if refusal := self._no_audio(content_type):
            return Judgement(refusal)
        seconds, refusal = self._measure()
        if refusal:
            return Judgement(refusal, seconds=seconds)
        duration = self._expected.duration
        if duration is None:
            refusal = None if framed else "it may have been cut, and Twilio tells no duration"
            return Judgement(refusal, seconds=seconds)
        accepted = self._expected.accept_length and framed
        if long_enough(seconds, duration) or accepted:
            return Judgement(None, seconds=seconds)
        refusal = f"it holds {seconds:.0f} s of audio, and Twilio recorded {duration} s"
        if not framed:
            refusal += "; nothing but the end of the connection says that this is all"
        return Judgement(refusal, length_alone=framed, seconds=seconds)

    def _no_audio(self, content_type: str) -> str | None:
        if not self._size:
            return "the body is empty"
        kind = content_type.split(";", maxsplit=1)[0].strip().lower()
        binary = self._expected.encrypted and kind == "application/octet-stream"
        if not kind.startswith("audio/") and not binary:
            return f"it came as {kind or 'no content type'}, not as audio"
        if self._head.lower().startswith(_MARKUP):
            return "the body is a text document, not audio"
        return None

    def _measure(self) -> tuple[float, str | None]:
        wanted = self._expected.channels
        if not self._reader:
            return self._size / (_CIPHER_BYTES_PER_SECOND * (wanted or 1)), None
        found = self._reader.close()
        if found.complaint:
            return found.seconds, found.complaint
        if not found.seconds:
            return 0.0, f"the {self._expected.extension.upper()} has no audio in it"
        if wanted and found.channels is not None and found.channels < wanted:
            return found.seconds, f"it has {found.channels} channel, and Twilio recorded {wanted}"
        return found.seconds, None
