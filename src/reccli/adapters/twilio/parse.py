"""Twilio's JSON → `Recording`. Every field may be null and none is trusted.

Shapes are those of twilio-oai's `api_v2010` spec: numbers arrive as strings, dates as RFC 2822
with offsets other than +0000 in some examples, statuses beyond the documented ones. What
identifies a recording has to be right; the status and the key's envelope are named as odd if
they can't be read; whatever else can't be read counts as missing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from reccli.adapters.twilio.twilio_failures import bad_answer
from reccli.core.errors import Failure, FailureKind, ServiceError
from reccli.core.model import Recording
from reccli.core.sids import CALL, CONFERENCE, RECORDING, is_sid
from reccli.flow.findings import ODD, ODD_HINT
from reccli.network import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reccli.adapters.twilio.origin import Origin


def recording(payload: object, origin: Origin) -> Recording:
    """Parse one recording; raises `ServiceError` if it does not say whose it is.

    Not skipped: a recording that can't be read would look like one that is not there.
    """
    if not isinstance(payload, dict) or not is_sid(payload.get("sid"), RECORDING):
        raise bad_answer("Twilio answered with a recording that has no SID")
    sid = payload["sid"]
    status, encryption = _text(payload, "status"), _encryption(payload.get("encryption_details"))
    odd = {"status": status is None, "encryption_details": encryption is None}
    if payload.get("account_sid") not in {None, origin.account_sid}:
        raise bad_answer(f"Twilio answered with recording {sid} of another account")
    return Recording(
        sid=sid,
        account_sid=origin.account_sid,
        region=origin.region,
        status=status or "",
        call_sid=_related(payload, "call_sid", CALL),
        conference_sid=_related(payload, "conference_sid", CONFERENCE),
        duration=_count(payload, "duration"),
        channels=_count(payload, "channels"),
        created=http_date(_text(payload, "date_created") or ""),
        source=_text(payload, "source"),
        encryption=encryption or {},
        odd=", ".join(name for name, unreadable in odd.items() if unreadable),
    )


def recordings(
    payloads: Sequence[object], origin: Origin
) -> tuple[Sequence[Recording], Sequence[Failure]]:
    """Parse a page's recordings one by one; returns them, and a failure for each that is none."""
    recordings, odd = [], []
    for payload in payloads:
        try:
            recordings.append(recording(payload, origin))
        except ServiceError as error:
            kind = FailureKind.PERMANENT  # the others of the page are good: Twilio is well
            odd.append(replace(error.failure, kind=kind, code=ODD, hint=ODD_HINT))
    return recordings, odd


def _text(payload: Mapping[str, object], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) else None


def _related(payload: Mapping[str, object], name: str, kind: str) -> str | None:
    value = _text(payload, name)
    return value if is_sid(value, kind) else None


def _count(payload: Mapping[str, object], name: str) -> int | None:
    value = str(payload.get(name))
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None


def _encryption(details: object) -> dict[str, str] | None:
    """Parse the key's envelope; None if it can't be, for the audio is lost without.

    A part that is null is absent, as the whole is.
    """
    if not details:
        return {}
    if not isinstance(details, dict):
        return None
    parts = {str(name): value for name, value in details.items() if value is not None}
    return parts if all(isinstance(value, str) for value in parts.values()) else None
