"""Where a recording lives in the bucket: one key for each recording SID, made by a template."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reccli.core.model import Recording, Row

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9!_.*'()-]+")


@dataclass(frozen=True, slots=True)
class Naming:
    """`[s3]` prefix and key_template; `media_format` is mp3 or wav."""

    prefix: str
    template: str
    media_format: str

    def extension(self, recording: Recording) -> str:
        """Tell the format to fetch: Twilio cannot transcode an encrypted one (error 16109)."""
        return "wav" if recording.encryption else self.media_format

    def is_audio(self, key: str) -> bool:
        """Whether a key may be that of audio: notes and transcripts may lie beside it."""
        return key.endswith((".mp3", ".wav")) or not self.template.endswith(".{ext}")

    def key(self, recording: Recording, rows: Iterable[Row]) -> str | None:
        """Build the key; None when the template needs a field that no row has yet."""
        values = {
            "call_sid": recording.call_sid or recording.conference_sid or "no-call",
            "recording_sid": recording.sid,
            "account_sid": recording.account_sid,
            "date": f"{recording.created:%Y-%m-%d}" if recording.created else "no-date",
            "ext": self.extension(recording),
        }
        for row in rows:
            for name, text in row.fields.items():
                if plain := _NOT_PLAIN.sub("-", text).strip("-."):
                    values.setdefault(name, plain)
        if not placeholders(self.template) <= values.keys():
            return None
        return self.prefix + self.template.format_map(values)


def placeholders(template: str) -> frozenset[str]:
    """Tell which names a key template uses."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)
