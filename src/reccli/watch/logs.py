"""Logs: one line an event on stderr, for machines when it is no terminal, and without secrets.

Recordings are of people's phone calls, their links open without a password, and logs travel: to
journald, to a collector, into a ticket. So nothing is written that has not been through `redact`,
and the SDKs' own loggers go the same way.

Imports structlog alone, of others; called once by the command line, before anything can log.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO, cast
from urllib.parse import quote

import structlog

from reccli.watch.numbers import hide_numbers
from reccli.watch.unblocked import Unblocked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "[redacted]"
SHORTEST_SECRET = 6
DEEPEST = 8

# They log URLs, headers and bodies when asked for more than warnings, so they never are.
TALKATIVE = (
    *("apprise", "asyncio", "boto3", "botocore", "distributed", "httpcore", "httpx", "pyairtable"),
    *("s3transfer", "sqlalchemy", "twilio", "urllib3", "uvicorn"),
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (  # a header as text, as `repr` of a dict, as a tuple: hide up to the quote or the line's end
        re.compile(
            r"((?i:\b(?:proxy-)?authorization|\bx-twilio-signature)[\"']?\s*[:=,]\s*b?[\"']?)"
            r"[^\"'\r\n]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (  # the scheme alone; only before what looks like a token, for "basic settings" is prose
        re.compile(r"\b((?i:basic|bearer)\s+)(?=\S*(?:\d|=|[a-z][A-Z]))[\w+/=.~-]{6,}"),
        rf"\1{HIDDEN}",
    ),
    (  # signed links, also inside JSON (\u0026) and inside another URL (%26, %3D)
        re.compile(
            r"(?i)(x-amz-(?:signature|credential|security-token)"
            r"|(?:(?<![\w-])|(?<=u0026)|(?<=%26)|(?<=%3F))(?:signature|sig|awsaccesskeyid))"
            r"(=|%3D)[^&\s\"'<>\\),;\]}]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?<=://)[^/\s\"'<>@]+@"), f"{HIDDEN}@"),  # user and password in a URL
    (  # E.164, as it stands, grouped, or in a query
        re.compile(r"(?:(?<![0-9A-Za-z])\+|%2[Bb])[1-9](?:[ .()-]{0,2}\d){6,14}(?![0-9A-Za-z])"),
        HIDDEN,
    ),
    (  # bare digits, unless part of a word (a SID), a UUID or a decimal number
        re.compile(r"(?<![0-9A-Za-z])(?<!\d\.)(?<![0-9a-f]{4}-)\d{10,15}(?![0-9A-Za-z])(?!\.\d)"),
        HIDDEN,
    ),
)
_SECRET_NAME = re.compile(
    r"(?i)(?:.*[_-])?(?:authorization|signature|password|secret|auth_?token|security_?token|api_?key)"
)
_HARMLESS = re.compile(  # most of what a busy server logs: words, SIDs, times, ids of runs
    r"[a-z_-]{0,60}|[A-Z]{2}[0-9a-f]{32}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|[a-z][0-9a-f]{11}",
    re.ASCII,
)
_TURNS_OR_HIDES = r"\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNS_OR_HIDES}]")
"""What steers a terminal, or turns the direction of what is read; line ends may stay."""
_NOT_ONE_LINE = re.compile(r"\s*[\t\n]\s*")
_STRANGE = "\N{REPLACEMENT CHARACTER}"

_secrets: tuple[str, ...] = ()


def redact_values(values: Iterable[str]) -> None:
    """Hide these values from now on, wherever they turn up, also as part of a URL."""
    global _secrets  # noqa: PLW0603 - as logging itself, this belongs to the process
    known = {*_secrets, *(value for value in values if len(value) >= SHORTEST_SECRET)}
    known |= {quote(value, safe="") for value in known}
    _secrets = tuple(sorted(known, key=len, reverse=True))  # a part must not break up the whole


def redact(text: str) -> str:
    """Return one line that may be shown: without credentials, signatures and phone numbers.

    SIDs stay. What came from outside must not steer a terminal either, or look like another line.
    """
    return _NOT_ONE_LINE.sub(" ", _hide(text))


def _hide(text: str) -> str:
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    if _HARMLESS.fullmatch(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _CONTROL.sub(_STRANGE, hide_numbers(text, HIDDEN))


def redacted(value: object, depth: int = 0) -> object:
    """Return the same at any depth of a JSON-like value; numbers stay as they are."""
    if isinstance(value, str):
        return _hide(value)  # with its line ends: it may be a traceback
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < DEEPEST and isinstance(value, Mapping):
        return {
            redacted(key, DEEPEST): HIDDEN
            if isinstance(key, str) and isinstance(item, str) and _SECRET_NAME.fullmatch(key)
            else redacted(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, bytes | bytearray):
        return redacted(value.decode(errors="backslashreplace"))
    if depth < DEEPEST and isinstance(value, Sequence | AbstractSet):
        return [redacted(item, depth + 1) for item in value]
    return redacted(str(value))


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {
        key: HIDDEN if isinstance(value, str) and _is_secret(key) else redacted(value)
        for key, value in event.items()
    }


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.fullmatch(name) is not None


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the stream; a line that cannot be written is dropped, not shown in the raw."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Log that a line was lost; logging itself would print its arguments unredacted."""
        try:
            self.stream.write(f'{{"event": "log_line_lost", "logger": "{record.name}"}}\n')
        except (OSError, ValueError):
            return  # the stream itself is gone


def configure(
    *,
    run_id: str,
    verbose: int | bool = False,
    quiet: bool = False,
    every: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to `stream` (stderr); may be called again.

    quiet: errors only. verbose: everything of ours. Else warnings for people, who also see the
    summary (`every` is for a command without one), and every event for machines. Bind
    `recording_sid` and `call_sid` to the logger or with `structlog.contextvars`; `run_id` is on
    every line, in every thread.
    """
    stream = sys.stderr if stream is None else stream
    human = stream.isatty()
    level = _level(human=human and not every, verbose=bool(verbose), quiet=quiet)

    def add_run_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        # Not a context variable: a new thread would begin without it.
        event.setdefault("run_id", run_id)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_run_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # to text, so that it can be redacted; no locals
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_our_logger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                _console() if human else structlog.processors.JSONRenderer(),
            ],
        )
    )
    _install(handler, level)


def _install(handler: _Handler, level: int) -> None:
    """Have all loggers write to the handler, and those that are not ours say warnings at most."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("reccli").setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def unblock() -> Unblocked:
    """Write the log from a thread of its own from now on: for an event loop, which may not wait."""
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, _Handler))
    unblocked = Unblocked(handler.stream)
    handler.setStream(cast("TextIO", unblocked))
    return unblocked


def _our_logger(*_args: object) -> logging.Logger:
    return logging.getLogger("reccli")


def _level(*, human: bool, verbose: bool, quiet: bool) -> int:
    if quiet:
        return logging.ERROR
    if verbose:
        return logging.DEBUG
    return logging.WARNING if human else logging.INFO


def _console() -> structlog.dev.ConsoleRenderer:
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return structlog.dev.ConsoleRenderer(
        colors=not plain, exception_formatter=structlog.dev.plain_traceback
    )
