"""`reccli webhook`: a printed command that is valid, and every cause of a refusal found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import pytest

from reccli.adapters.twilio import Signatures, Signed, explain

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, TOKEN, OLDER = "AC" + "0a" * 16, "f00dfeedf00dfeed", "beefbeefbeefbeef"
PUBLIC = "https://calls.example.com"
EXPECTED = f"{PUBLIC}/api/twilio/recording-status"
SETTINGS = {
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": f"{TOKEN},{OLDER}",
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
    "RECCLI_WEBHOOK__PUBLIC_URL": PUBLIC,
}
SIGNATURES = Signatures({"main": TOKEN, "older": OLDER})
FORM = (
    ("AccountSid", ACCOUNT),
    ("ErrorCode", ""),
    ("RecordingDuration", ""),
    ("RecordingSid", "RE" + "0b" * 16),
    ("RecordingStartTime", "Tue, 24 Mar 2026 18:15:40 +0000"),
)


def reccli(
    home: Path, *arguments: str, stdin: str = "", **changes: str
) -> subprocess.CompletedProcess[str]:
    settings = {**SETTINGS, **changes, "HOME": str(home), "STATE_DIRECTORY": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "reccli", "webhook", *arguments],
        env={"PATH": os.environ["PATH"], **{k: v for k, v in settings.items() if v}},
        cwd=home,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for secret in (TOKEN, OLDER):
        assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("status", ["completed", "absent", "failed", "in-progress"])
def test_what_is_printed_is_what_twilio_would_send(tmp_path: Path, status: str) -> None:
    done = reccli(tmp_path, "sign", "--status", status, "--to", "http://127.0.0.1:8080")
    assert done.returncode == 0
    words = shlex.split(done.stdout)
    assert words[0] == "curl"
    assert words[-1] == "http://127.0.0.1:8080/api/twilio/recording-status"
    pairs = [word.split("=", 1) for word in words if "=" in word and ": " not in word[:25]]
    params = [(name, value) for name, value in pairs]
    assert ("RecordingStatus", status) in params
    (header,) = [word for word in words if word.startswith("X-Twilio-Signature: ")]
    signature = header.partition(": ")[2]
    assert SIGNATURES.check(Signed(EXPECTED, params, None, signature)) == "main"


def test_a_printed_signature_can_be_explained(tmp_path: Path) -> None:
    told = json.loads(reccli(tmp_path, "sign", "--json").stdout)
    assert shlex.split(told["command"])[-1] == told["url"] == EXPECTED
    body = urlencode(told["params"])
    asked = ("explain", "--url", told["url"], "--signature", told["signature"], "--body", "-")
    done = reccli(tmp_path, *asked, "--json", stdin=body)
    assert (done.returncode, json.loads(done.stdout)["valid"]) == (0, True)
    file = tmp_path / "body"
    file.write_text(body.replace("completed", "absent"))
    done = reccli(tmp_path, *asked[:-1], str(file))
    assert done.returncode == 1
    assert done.stdout.startswith("token: ")
    assert "fix: " in done.stdout
    assert told["signature"] not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (("sign",), {"RECCLI_WEBHOOK__PUBLIC_URL": ""}),
        (("sign", "--status", "done"), {}),
        (("sign", "--recording", "RE1"), {}),
        (("explain", "--signature", "x"), {}),
        (("explain", "--url", "https://x:port/", "--signature", "x"), {}),
        (("explain", "--url", PUBLIC, "--signature", "x", "--body", "not/there"), {}),
    ],
)
def test_what_is_missing_or_wrong_is_usage(
    tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str]
) -> None:
    done = reccli(tmp_path, *arguments, **changes)
    assert done.returncode == 2
    assert done.stdout == ""


def captured(url: str = EXPECTED, form: tuple[tuple[str, str], ...] = FORM) -> str:
    """Sign what Twilio sent."""
    return SIGNATURES.sign(url, form)


@pytest.mark.parametrize(
    ("sent", "seen", "cause"),
    [
        (EXPECTED, EXPECTED, None),
        (f"{EXPECTED}?a=b", f"{EXPECTED}?a=b", None),
        ("https://other.example.com/api/twilio/recording-status", None, "url"),
        ("http://calls.example.com/api/twilio/recording-status", None, "url"),
        (f"{EXPECTED}/", None, "url"),
        (f"{PUBLIC}:8443/api/twilio/recording-status", None, "port"),
        (f"{PUBLIC}:8443/api/twilio/recording-status", EXPECTED, "token"),
        (f"{PUBLIC}:443/api/twilio/recording-status", EXPECTED, None),
        ("http://calls.example.com/api/twilio/recording-status", EXPECTED, "url"),
        (f"{EXPECTED}/", EXPECTED, "url"),
        (EXPECTED, f"{EXPECTED}?added=by-a-proxy", "url"),
        (f"{EXPECTED}?a=b%20c", f"{EXPECTED}?a=b+c", "token"),
        (f"{EXPECTED}?a=b c", f"{EXPECTED}?a=b%20c", "url"),
        ("https://inner:9000/hook", f"{PUBLIC}/hook", "token"),
    ],
)
def test_a_changed_address_is_found(sent: str, seen: str | None, cause: str | None) -> None:
    request = Signed(seen or sent, FORM, None, captured(sent))
    found = explain(request, EXPECTED, SIGNATURES)
    assert found.cause == cause, found
    assert captured(sent) not in found.message + found.hint


@pytest.mark.parametrize(
    "seen",
    [
        (*FORM, ("Added", "1")),
        tuple(pair for pair in FORM if pair[0] != "ErrorCode"),
        tuple(pair for pair in FORM if pair[1]),  # both blanks
        tuple((name, value.replace("+", " ")) for name, value in FORM),
    ],
)
@pytest.mark.parametrize("url", [EXPECTED, EXPECTED.replace("https", "http")])
def test_a_changed_parameter_is_found(seen: tuple[tuple[str, str], ...], url: str) -> None:
    found = explain(Signed(EXPECTED, seen, None, captured(url)), EXPECTED, SIGNATURES)
    assert found.cause == "parameter", found


def test_the_token_is_the_cause_when_nothing_else_is() -> None:
    stranger = Signatures({"x": "another"}).sign(EXPECTED, FORM)
    found = explain(Signed(EXPECTED, FORM, None, stranger), EXPECTED, SIGNATURES)
    assert found.cause == "token"
    older = Signatures({"x": OLDER}).sign(EXPECTED, FORM)
    taken = explain(Signed(EXPECTED, FORM, None, older), EXPECTED, SIGNATURES)
    assert (taken.cause, "older" in taken.message) == (None, True)


def test_a_get_is_signed_through_its_query(tmp_path: Path) -> None:
    url = f"{EXPECTED}?{urlencode(parse_qsl(urlencode(FORM), keep_blank_values=True))}"
    asked = ("explain", "--method", "GET", "--url", url, "--signature", SIGNATURES.sign(url))
    assert reccli(tmp_path, *asked).returncode == 0
