"""Logs: what a line says, who may speak, and what no line ever holds."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from reccli.watch import logs
from reccli.watch.logs import HIDDEN, configure, redact, redact_values, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

HEX = "0123456789abcdef" * 2
DIGITS = "12345678901234567890123456789012"
SHA256 = "9" * 64
UUID = "123e4567-e89b-12d3-a456-426614174000"

SIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAX%2F20260101%2Fus-east-1"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=604800&X-Amz-Security-Token=tok%2B%2Fen"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature=0123abcd"
)
HIDING = (
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={HIDDEN}"
    f"&X-Amz-Date=20260101T000000Z&X-Amz-Expires=604800&X-Amz-Security-Token={HIDDEN}"
    f"&X-Amz-SignedHeaders=host&X-Amz-Signature={HIDDEN}"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what a test has changed: logging belongs to the process."""
    monkeypatch.setattr(logs, "_secrets", ())
    loggers = [logging.getLogger(name) for name in ("", "reccli", *logs.TALKATIVE)]
    levels = [logger.level for logger in loggers]
    handlers = list(loggers[0].handlers)
    yield
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- lines


def test_a_line_is_json_with_all_that_the_contract_names() -> None:
    stream = io.StringIO()
    configure(run_id="r-1", stream=stream)
    log = structlog.get_logger().bind(recording_sid=f"RE{HEX}")
    with structlog.contextvars.bound_contextvars(call_sid=f"CA{HEX}"):
        log.info("recording_s3_upload_success", bytes=12345678901, ok=True)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "recording_s3_upload_success",
        "level": "info",
        "run_id": "r-1",
        "recording_sid": f"RE{HEX}",
        "call_sid": f"CA{HEX}",
        "bytes": 12345678901,
        "ok": True,
    }


def test_the_run_id_is_on_the_lines_of_every_thread() -> None:
    stream = io.StringIO()
    configure(run_id="r-1", stream=stream)
    thread = threading.Thread(target=lambda: structlog.get_logger().info("x"))
    thread.start()
    thread.join()
    assert lines(stream)[0]["run_id"] == "r-1"


@pytest.mark.parametrize(
    ("stream", "verbose", "quiet", "expected"),
    [
        (io.StringIO, 0, False, ["info", "warning", "error"]),
        (io.StringIO, 1, False, ["debug", "info", "warning", "error"]),
        (io.StringIO, 0, True, ["error"]),
        (Terminal, 0, False, ["warning", "error"]),
        (Terminal, 2, False, ["debug", "info", "warning", "error"]),
        (Terminal, 1, True, ["error"]),
    ],
)
def test_who_is_heard(
    stream: type[io.StringIO], verbose: int, *, quiet: bool, expected: list[str]
) -> None:
    out = stream()
    configure(run_id="r", verbose=verbose, quiet=quiet, stream=out)
    log = structlog.get_logger()
    levels = ("debug", "info", "warning", "error")
    for level in levels:
        getattr(log, level)(f"said_{level}")
    assert [level for level in levels if f"said_{level}" in out.getvalue()] == expected
    assert len(out.getvalue().splitlines()) == len(expected)


def test_people_get_text_without_colours_if_they_want_none() -> None:
    out = Terminal()
    configure(run_id="r", stream=out)  # NO_COLOR is set, see conftest.py
    structlog.get_logger().warning("call_log_not_found", call_sid=f"CA{HEX}")
    assert "call_log_not_found" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_configuring_again_replaces_and_does_not_repeat() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(run_id="1", stream=first)
    configure(run_id="2", stream=second)
    structlog.get_logger().info("x")
    logging.getLogger("some.library").warning("y")
    assert first.getvalue() == ""
    assert [(line["event"], line["run_id"]) for line in lines(second)] == [("x", "2"), ("y", "2")]


# --- other people's loggers


def test_libraries_speak_through_the_same_line_and_only_to_warn() -> None:
    stream = io.StringIO()
    configure(run_id="r-1", verbose=True, stream=stream)
    for name in ("twilio.http_client", "botocore.auth", "urllib3.connectionpool", "httpx", "other"):
        log = logging.getLogger(name)
        log.info("GET https://api.twilio.com/…")
        log.warning("retrying %s", "https://u:hunter2@x.example/?X-Amz-Signature=abc&b=1")
    found = lines(stream)
    assert [line["logger"] for line in found][-2:] == ["httpx", "other"]
    assert len(found) == 5
    for line in found:
        assert (line["run_id"], line["level"]) == ("r-1", "warning")
        expected = f"retrying https://{HIDDEN}@x.example/?X-Amz-Signature={HIDDEN}&b=1"
        assert line["event"] == expected


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_tracebacks_are_redacted_and_show_no_locals(stream: type[io.StringIO]) -> None:
    out = stream()
    configure(run_id="r", stream=out)

    def fail(secret: str) -> None:
        raise RuntimeError(f"call from +61412345678 with Bearer abc123def ({len(secret)})")

    for log in (structlog.get_logger(), logging.getLogger("library")):
        try:
            fail(HEX)
        except RuntimeError:
            log.exception("unexpected")
    text = out.getvalue()
    assert text.count("RuntimeError: call from [redacted] with Bearer [redacted] (32)") == 2
    assert "61412345678" not in text
    assert HEX not in text


def test_a_line_that_cannot_be_rendered_does_not_show_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own would raise
    configure(run_id="r", stream=stream)
    logging.getLogger("library").warning("%d", "s3cr3t")
    assert lines(stream) == [{"event": "log_line_lost", "logger": "library"}]
    stream.close()
    structlog.get_logger().error("nobody hears this")
    assert "s3cr3t" not in "".join(capsys.readouterr())


def test_only_structlog_is_imported() -> None:
    code = (
        "import sys, reccli.watch.logs; "
        "print(sorted({'twilio', 'boto3', 'pyairtable', 'pydantic', 'sqlalchemy', 'httpx', 'rich'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"rich"}  # structlog may use it


# --- redaction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"https://b.s3.amazonaws.com/k.mp3?{SIGNED}",
            f"https://b.s3.amazonaws.com/k.mp3?{HIDING}",
        ),
        (
            "k?AWSAccessKeyId=AKIA1&Signature=a%2Bb",
            "k?AWSAccessKeyId=[redacted]&Signature=[redacted]",
        ),
        ("/r/k.mp3?sig=00ff, then", "/r/k.mp3?sig=[redacted], then"),
        (r'{"u": "k?a=1\u0026sig=00ff"}', r'{"u": "k?a=1\u0026sig=[redacted]"}'),
        ("?u=https%3A%2F%2Fx%3Fsig%3D00ff", "?u=https%3A%2F%2Fx%3Fsig%3D[redacted]"),
        ("?x-amz-signature=00ff", "?x-amz-signature=[redacted]"),
        ("design=flat&config=1", "design=flat&config=1"),
        ("Authorization: Basic QUM6dG9r", "Authorization: [redacted]"),
        ("{'Authorization': 'Bearer x', 'a': 1}", "{'Authorization': '[redacted]', 'a': 1}"),
        ("('authorization', b'Basic QUM6')", "('authorization', b'[redacted]')"),
        ("X-Twilio-Signature: qr/s+=\nHost: x", "X-Twilio-Signature: [redacted] Host: x"),
        ("sent Basic QUM6dG9rZW4= there", "sent Basic [redacted] there"),
        ("sent bearer patAbc.0123 there", "sent bearer [redacted] there"),
        ("basic settings, bearer recordings", "basic settings, bearer recordings"),
        ("https://AC1:token@api.twilio.com/x", "https://[redacted]@api.twilio.com/x"),
        ("postgresql+psycopg://u:p%40w@h/d", "postgresql+psycopg://[redacted]@h/d"),
        ("from +61412345678 to +1 (415) 555-0100.", "from [redacted] to [redacted]."),
        ("From=%2B61412345678&To=x", "From=[redacted]&To=x"),
        ("sip:61412345678@x, 0412345678", "sip:[redacted]@x, [redacted]"),
        ("tel:+611234", "tel:+611234"),
    ],
)
def test_what_is_hidden(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(kind + digits for kind in ("AC", "CA", "RE", "SK") for digits in (HEX, DIGITS)),
        f"calls/CA{DIGITS}/RE{DIGITS}.mp3",
        SHA256,
        UUID,
        "2026-11-22T09:30:00.123456+10:00",
        "20261122T093000Z",
        "took 1234.56789012345 s at 1700000000.123456",
        "123456789",
        "1234567890123456",
        "https://b.s3.amazonaws.com/call-recordings/k.mp3",
        "s3.ap-southeast-2.amazonaws.com:443 [::1]:8080",
    ],
)
def test_what_is_kept(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("a\u202egpj.3pm", "a\ufffdgpj.3pm"),
        ("zero\u200bwidth\u2066\ufeff\x9b", "zero\ufffdwidth\ufffd\ufffd\ufffd"),
        ("one\r\nerror: \tanother", "one\ufffd error: another"),
        ("Ольга, 李雷, é", "Ольга, 李雷, é"),
    ],
)
def test_what_is_shown_steers_no_terminal_and_looks_like_no_other_line(
    text: str, shown: str
) -> None:
    assert redact(text) == shown
    assert "\u202e" not in str(redacted({"name": ["\u202e"]}))
    assert redacted("Traceback:\n  line") == "Traceback:\n  line"


def test_known_secrets_are_hidden_everywhere_the_longer_first() -> None:
    redact_values(["s3cr3t", "s3cr3t-longer/one", "tiny", ""])
    redact_values(["another"])
    text = "a s3cr3t, s3cr3t-longer/one, tiny, another, ?q=s3cr3t-longer%2Fone&"
    assert redact(text) == f"a {HIDDEN}, {HIDDEN}, tiny, {HIDDEN}, ?q={HIDDEN}&"


def test_nested_values_are_redacted_and_numbers_are_not() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd +61412345678"

    value = {
        "to": ["+61412345678", ("Basic QUM6dG9rZW4=", {"deep": b"?sig=00ff"})],
        "auth_token": "whatever",
        "X-Twilio-Signature": "abc",
        "tokens": 61412345678,
        "+61412345678": None,
        "odd": Odd(),
        "ratio": 0.5,
        "escape": "\x1b[2Jgone",
    }
    assert redacted(value) == {
        "to": [HIDDEN, [f"Basic {HIDDEN}", {"deep": f"?sig={HIDDEN}"}]],
        "auth_token": HIDDEN,
        "X-Twilio-Signature": HIDDEN,
        "tokens": 61412345678,
        HIDDEN: None,
        "odd": f"odd {HIDDEN}",
        "ratio": 0.5,
        "escape": "\N{REPLACEMENT CHARACTER}[2Jgone",
    }


def test_a_value_that_holds_itself_ends() -> None:
    value: list[object] = []
    value.append(value)
    assert "[" in str(redacted(value))


def test_redaction_is_applied_to_events() -> None:
    redact_values([f"{HEX}"])
    stream = io.StringIO()
    configure(run_id="r", stream=stream)
    structlog.get_logger().error(
        "recording_status_callback",
        caller="+61412345678",
        url="https://x/?X-Amz-Signature=00ff&y=1",
        auth_token="anything",
        nested={"token": [HEX]},
    )
    assert not any(part in stream.getvalue() for part in ("61412345678", "00ff", "anything", HEX))
