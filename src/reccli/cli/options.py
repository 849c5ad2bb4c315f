"""The options that commands share, and how durations and times are written."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from reccli.core.sids import CALL, RECORDING, is_sid

_HOUR = timedelta(hours=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST_HOURS = 10_000_000
"""A hundred years, as in the configuration, which is slow to import."""


def duration(text: str) -> timedelta:
    """Read `90m`, `36h`, `7d`; also seconds and weeks."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no duration: write 90s, 45m, 36h or 7d"
        raise typer.BadParameter(message)
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        message = f"{text!r} is too long"
        raise typer.BadParameter(message) from None


def moment(text: str) -> datetime:
    """Read a duration before now, or an ISO date or time (UTC unless it says otherwise)."""
    if _DURATION.fullmatch(text.strip()):
        try:
            return _reachable(datetime.now(UTC) - duration(text))
        except OverflowError:
            message = f"{text!r} is too long ago"
            raise typer.BadParameter(message) from None
    try:
        at = datetime.fromisoformat(text.strip())
        return _reachable(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        message = f"{text!r} is no time: write 90m, 36h, 7d, 2026-11-22 or 2026-11-22T09:30"
        raise typer.BadParameter(message) from None


def hours(text: str) -> float:
    """Read a number of hours, or a duration; what no calendar can count is refused."""
    try:
        value = duration(text) / _HOUR if _DURATION.fullmatch(text.strip()) else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_HOURS:  # also what is no number
        message = f"{text!r} is no time such as 24h, 7d or 36 (hours), up to {LONGEST_HOURS} h"
        raise typer.BadParameter(message)
    return value


def _reachable(at: datetime) -> datetime:
    if at < _EARLIEST:
        message = f"{at:%Y-%m-%d} is before there was anything to record"
        raise typer.BadParameter(message)
    return at


def check_window(since: datetime | None, until: datetime | None) -> None:
    """Refuse what no recording can be in."""
    if since and since > datetime.now(UTC):
        message = f"--since {since:%Y-%m-%d %H:%M} UTC is in the future"
        raise typer.BadParameter(message)
    if since and until and since >= until:
        message = (
            f"--since {since:%Y-%m-%d %H:%M} UTC is not before --until {until:%Y-%m-%d %H:%M} UTC"
        )
        raise typer.BadParameter(message)


def check_past(until: datetime | None) -> None:
    """Refuse an end that is not there yet: ages are counted to it."""
    if until and until > datetime.now(UTC):
        message = f"--until {until:%Y-%m-%d %H:%M} UTC is in the future"
        raise typer.BadParameter(message)


def sid(text: str) -> str:
    """Read a recording or call SID."""
    if not is_sid(text, RECORDING, CALL):
        message = f"{text!r} is no recording or call SID: RE… or CA… and 32 hex digits"
        raise typer.BadParameter(message)
    return text


Sids = Annotated[
    list[str] | None,
    typer.Argument(parser=sid, metavar="[RE…|CA…]", help="Recordings or calls to take."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="PATH", help="Configuration file (TOML)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show each recording's route; change nothing.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Take at most N recordings.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell every step.")]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, max=256, metavar="N", help="Transfers at once."),
]
MaxDuration = Annotated[
    timedelta | None,
    typer.Option(
        "--max-duration",
        parser=duration,
        metavar="TIME",
        help="Take up nothing new after 45m…, and end 30 s later at the latest.",
    ),
]
Wait = Annotated[
    timedelta | None,
    typer.Option(
        "--wait", parser=duration, metavar="TIME", help="Wait so long for another run to end."
    ),
]
Full = Annotated[
    bool,
    typer.Option("--full", help="Look at everything on Twilio, as is done once a day by itself."),
]
AcceptLength = Annotated[
    bool,
    typer.Option(
        "--accept-length",
        help="Take the named recordings although they are shorter than Twilio says: you listened.",
    ),
]
MaxDeletes = Annotated[
    int | None,
    typer.Option(
        "--max-deletes",
        min=0,
        metavar="N",
        help="Delete up to N in this run, instead of safety.max_deletes.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")]
Retention = Annotated[
    float | None,
    typer.Option(
        "--retention",
        parser=hours,
        metavar="TIME",
        help="Keep at Twilio for so long after the copy was proven: hours, or 90m, 24h, 7d.",
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=moment, metavar="TIME", help="Created since 36h, 7d, a date…"),
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", parser=moment, metavar="TIME", help="Created until 36h, 7d, a date…"),
]
