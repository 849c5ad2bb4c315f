"""The options that commands share, and how durations and times are written."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from reccli.core.sids import CALL, RECORDING, is_sid

_HOUR = timedelta(hours=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST_HOURS = 10_000_000
"""A hundred years, as in the configuration, which is slow to import."""


def duration(text: str) -> timedelta:
    """Parse `90m`, `36h`, `7d`; also seconds and weeks."""
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
    """Parse a duration before now, or an ISO date or time (UTC unless it says otherwise)."""
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
    """Parse a number of hours, or a duration; what no calendar can count is refused."""
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


def retention(text: str) -> timedelta:
    """Parse a number of hours, or a duration."""
    return timedelta(hours=hours(text))


def sid(text: str) -> str:
    """Check a recording or call SID."""
    if not is_sid(text, RECORDING, CALL):
        message = f"{text!r} is no recording or call SID: RE… or CA… and 32 hex digits"
        raise typer.BadParameter(message)
    return text


def _value(kind: type, flags: str, help_: str, **how: Any) -> Any:  # noqa: ANN401 - Typer's
    return Annotated[kind | None, typer.Option(*flags.split(), help=help_, **how)]


def _flag(flags: str, help_: str) -> Any:  # noqa: ANN401 - a type, with what Typer reads of it
    return Annotated[bool, typer.Option(*flags.split(), help=help_)]


OPTIONS: dict[str, Any] = {
    "sids": Annotated[
        list[str] | None,
        typer.Argument(parser=sid, metavar="[RE…|CA…]", help="Recordings or calls to take."),
    ],
    "config": _value(Path, "--config -c", "Configuration file (TOML).", metavar="PATH"),
    "retention": _value(
        timedelta,
        "--retention",
        "Keep at Twilio for so long after the copy was proven: hours, or 90m, 24h, 7d.",
        parser=retention,
        metavar="TIME",
    ),
    "max_deletes": _value(
        int,
        "--max-deletes",
        "Delete up to N in this run, instead of safety.max_deletes.",
        min=0,
        metavar="N",
    ),
    "since": _value(
        datetime, "--since", "Created since 36h, 7d, a date…", parser=moment, metavar="TIME"
    ),
    "until": _value(
        datetime, "--until", "Created until 36h, 7d, a date…", parser=moment, metavar="TIME"
    ),
    "limit": _value(int, "--limit", "Take at most N recordings.", min=1, metavar="N"),
    "full": _flag("--full", "Look at everything on Twilio, as is done once a day by itself."),
    "accept_length": _flag(
        "--accept-length",
        "Take the named recordings although they are shorter than Twilio says: you listened.",
    ),
    "dry_run": _flag("--dry-run -n", "Show each recording's route; change nothing."),
    "concurrency": _value(int, "--concurrency", "Transfers at once.", min=1, max=256, metavar="N"),
    "max_duration": _value(
        timedelta,
        "--max-duration",
        "Take up nothing new after 45m…, and end 30 s later at the latest.",
        parser=duration,
        metavar="TIME",
    ),
    "wait": _value(
        timedelta, "--wait", "Wait so long for another run to end.", parser=duration, metavar="TIME"
    ),
    "yes": _flag("--yes", "Do not ask before deleting."),
    "as_json": _flag("--json", "Print one JSON document on stdout."),
    "quiet": _flag("--quiet -q", "Say nothing but errors."),
    "verbose": _flag("--verbose -v", "Tell every step."),
}
"""Every option that commands share, in the order of their help."""
COMMON = ("config", "as_json", "quiet", "verbose")
WINDOW = ("since", "until", "limit")
DELETES = ("retention", "max_deletes")
WRITES = ("dry_run", "concurrency", "max_duration", "wait", "yes")
