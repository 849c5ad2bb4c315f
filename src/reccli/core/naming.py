"""Where a recording lives in the bucket: one key for each recording SID, made by a template.

Values of fields become parts of keys in characters that mean the same to every store, proxy and
URL parser: letters lose their accents, and what is not Latin is written as domain names write it
(`xn--` and Punycode), so that different names stay different. Values of ASCII never change their
form: keys of objects that exist are made of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.links import recordings_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reccli.core.model import Recording, Row

MOST_BYTES = 1024
"""The longest key in UTF-8, by S3's rule (user guide, object keys)."""

_PLAIN = re.compile(r"[A-Za-z0-9!_.*'()-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Naming:
    """`[s3]` prefix and key_template; `media_format` is mp3 or wav."""

    prefix: str
    template: str
    media_format: str

    def extension(self, recording: Recording) -> str:
        """Return the format to fetch: Twilio cannot transcode an encrypted one (error 16109)."""
        return "wav" if recording.encryption else self.media_format

    def is_audio(self, key: str) -> bool:
        """Whether a key may be that of audio: notes and transcripts may lie beside it."""
        return key.endswith((".mp3", ".wav")) or not self.template.endswith(".{ext}")

    def key(self, recording: Recording, rows: Iterable[Row]) -> str | None:
        """Build the key; None when the template needs a field that no row has yet.

        Raises `ServiceError` where rows have it and no key can be made of it: waiting is no help.
        """
        facts = {
            "call_sid": recording.call_sid or recording.conference_sid or "no-call",
            "recording_sid": recording.sid,
            "account_sid": recording.account_sid,
            "date": f"{recording.created:%Y-%m-%d}" if recording.created else "no-date",
            "ext": self.extension(recording),
        }
        wanted = placeholders(self.template) - facts.keys()
        values, odd = _values(rows, wanted)
        if unfit := sorted(odd.keys() - values.keys()):
            field = f"airtable.key_fields.{unfit[0]}"
            raise _unnamed(f"in row {odd[unfit[0]]} the field of {field} holds nothing that fits")
        if wanted - values.keys():
            return None
        key = self.prefix + self.template.format_map({**values, **facts})
        if recordings_in(key) != {recording.sid}:
            raise _unnamed("a field of s3.key_template holds the SID of a recording")
        if size := _too_long(key):
            raise _unnamed(f"it would have {size} bytes, and S3 takes {MOST_BYTES}{_by(values)}")
        return key

    def missing(self, row: Row) -> tuple[str, ...]:
        """Return which of the fields that keys are made of are empty in a row."""
        wanted = placeholders(self.template) & row.fields.keys()
        return tuple(sorted(wanted - set().union(*_values([row], wanted))))


def placeholders(template: str) -> frozenset[str]:
    """Return the names that a key template uses."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def can_be(key: str) -> bool:
    """Whether an object can have this key: one that cannot need not be asked for.

    A HEAD for another is answered 400 without a word, as if the credentials were to blame.
    """
    parts = set(key.split("/"))
    return bool(key) and not (_CONTROL.search(key) or {".", ".."} & parts or _too_long(key))


def plain(text: str) -> str:
    """Write a text as a part of a key; empty where it has no letter, digit or sign that counts."""
    bare = (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    written = _dashed("".join(bare))
    if written.isascii():
        return written
    written = _dashed(unicodedata.normalize("NFKC", text))
    if len(written) > MOST_BYTES:  # no key has room for it, and Punycode would take its time
        return written
    return f"xn--{written.encode('punycode').decode()}"


def _dashed(text: str) -> str:
    """Replace all that is neither plain nor a letter, mark or number of any script by one dash."""
    kept = (one if _stays(one) else " " for one in text)
    return "-".join("".join(kept).split()).strip("-.")


def _stays(one: str) -> bool:
    return bool(_PLAIN.match(one)) if one.isascii() else unicodedata.category(one)[0] in "LMN"


def _values(rows: Iterable[Row], wanted: frozenset[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields' values, the first row that has one gives it, and the odd ones' rows.

    Odd is what is there and has no form as a part of a key.
    """
    values: dict[str, str] = {}
    odd: dict[str, str] = {}
    for row in rows:
        for name in wanted & row.fields.keys():
            text = row.fields[name]
            if text is not None and not text.strip():
                continue
            if text and (written := plain(text)):
                values.setdefault(name, written)
            else:
                odd.setdefault(name, row.id)
    return values, odd


def _too_long(key: str) -> int:
    size = len(key.encode(errors="surrogatepass"))
    return size if size > MOST_BYTES else 0


def _by(values: Mapping[str, str]) -> str:
    """Return which field makes a key long, if one does."""
    name = max(values, key=lambda name: len(values[name]), default=None)
    return f": the field of airtable.key_fields.{name} makes it long" if name else ""


def _unnamed(why: str) -> ServiceError:
    return ServiceError(
        Failure(
            Service.AIRTABLE,
            FailureKind.PERMANENT,
            "no_key",
            f"no key can be made: {why}",
            "correct the field in the row, or take it out of s3.key_template",
        )
    )
