"""`reccli webhook`: a printed command that is valid, and every cause of a refusal found."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.request_validator import RequestValidator

from reccli.adapters.twilio import Signatures, Signed, explain
from tests import prefork

if TYPE_CHECKING:
    from pathlib import Path

    from reccli.sandbox.running import Ended

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
GOOD = SIGNATURES.sign(EXPECTED)
FORM = (
    ("AccountSid", ACCOUNT),
    ("ErrorCode", ""),
    ("RecordingDuration", ""),
    ("RecordingSid", "RE" + "0b" * 16),
    ("RecordingStartTime", "Tue, 24 Mar 2026 18:15:40 +0000"),
)


def reccli(home: Path, *arguments: str, stdin: str = "", **changes: str) -> Ended:
    settings = {**SETTINGS, **changes, "HOME": str(home), "STATE_DIRECTORY": str(home)}
    environment = {"PATH": os.environ["PATH"], **{k: v for k, v in settings.items() if v}}
    done = prefork.run(("webhook", *arguments), environment, home, stdin=stdin)
    for secret in (TOKEN, OLDER):
        assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("status", ["completed", "absent", "failed", "in-progress"])
def test_what_is_printed_is_what_twilio_would_send(tmp_path: Path, status: str) -> None:
    done = reccli(tmp_path, "sign", "--status", status, "--to", "http://127.0.0.1:8080")
    assert done.exit_code == 0
    words = shlex.split(done.stdout)
    assert words[0] == "curl"
    assert words[-1] == "http://127.0.0.1:8080/api/twilio/recording-status"
    for to in ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/api/twilio/recording-status"):
        assert shlex.split(reccli(tmp_path, "sign", "--to", to).stdout)[-1] == words[-1]
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
    assert (done.exit_code, json.loads(done.stdout)["valid"]) == (0, True)
    file = tmp_path / "body"
    file.write_text(body.replace("completed", "absent"))
    done = reccli(tmp_path, *asked[:-1], str(file))
    assert done.exit_code == 1
    assert done.stdout.startswith("token: ")
    assert "fix: " in done.stdout
    assert told["signature"] not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (("sign",), {"RECCLI_WEBHOOK__PUBLIC_URL": ""}),
        (("sign", "--status", "done"), {}),
        (("sign", "--recording", "RE1"), {}),
        (("sign", "--to", "foo"), {}),
        (("sign", "--to", "ftp://127.0.0.1"), {}),
        (("sign", "--to", "http://127.0.0.1:8080/a b"), {}),
        (("explain", "--signature", GOOD), {}),
        (("explain", "--url", "https://x:port/", "--signature", GOOD, "--method", "GET"), {}),
        (("explain", "--url", "foo", "--signature", GOOD, "--method", "GET"), {}),
        (("explain", "--url", PUBLIC, "--signature", "x", "--method", "GET"), {}),
        (("explain", "--url", PUBLIC, "--signature", GOOD), {}),
        (("explain", "--url", PUBLIC, "--signature", GOOD, "--body", "not/there"), {}),
    ],
)
def test_what_is_missing_or_wrong_is_usage(
    tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str]
) -> None:
    done = reccli(tmp_path, *arguments, **changes)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize("body", ["", "{}", '{"a": "b=c"}', "POST / HTTP/1.1\r\n\r\na=b", "a b=c"])
def test_a_body_that_is_no_form_is_usage(tmp_path: Path, body: str) -> None:
    asked = ("explain", "--url", EXPECTED, "--signature", GOOD, "--body", "-")
    done = reccli(tmp_path, *asked, stdin=body)
    assert done.exit_code == 2
    assert "--body has to be a form" in done.stderr


@pytest.mark.parametrize("form", ["{}", "X-Twilio-Signature: {}", '"{}"', " '{}'\n"])
def test_a_signature_is_taken_as_it_was_copied(tmp_path: Path, form: str) -> None:
    body = urlencode(FORM)
    asked = ("explain", "--url", EXPECTED, "--body", "-", "--signature")
    assert reccli(tmp_path, *asked, form.format(captured()), stdin=f"{body}\r\n").exit_code == 0


@pytest.mark.parametrize("seen", ["wss", "https"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_handshake_of_a_stream_is_explained_too(tmp_path: Path, seen: str, slash: str) -> None:
    signature = SIGNATURES.sign(f"wss://calls.example.com/stream{slash}")
    asked = ("--url", f"{seen}://calls.example.com/stream", "--signature", signature)
    done = reccli(tmp_path, "explain", *asked)
    assert (done.exit_code, "the server takes it" in done.stdout) == (0, True)
    other = SIGNATURES.sign("wss://other.example.com/stream")
    done = reccli(
        tmp_path, "explain", "--url", "wss://other.example.com/stream", "--signature", other
    )
    assert done.exit_code == 1
    assert "fix: give Twilio wss://calls.example.com/stream" in done.stdout
    assert "webhook.public_url to https://other.example.com\n" in done.stdout


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        (EXPECTED.replace("https", "http"), f"give Twilio {EXPECTED}"),
        (f"{EXPECTED}/", f"give Twilio {EXPECTED}"),
        (
            "https://x.example/a/api/twilio/recording-status",
            f"give Twilio {EXPECTED}, or set webhook.public_url to https://x.example/a",
        ),
    ],
)
def test_every_remedy_can_be_followed(url: str, remedy: str) -> None:
    found = explain(Signed(url, FORM, None, captured(url)), EXPECTED, ACCOUNT, SIGNATURES)
    assert (found.cause, found.hint) == ("url", remedy)


def test_what_is_signed_and_yet_refused_is_not_called_taken() -> None:
    stripped = Signed(f"{PUBLIC}/recording-status", FORM, None, captured())
    found = explain(stripped, EXPECTED, ACCOUNT, SIGNATURES)
    assert (found.cause, "404" in found.message) == ("url", True)
    form = (("AccountSid", "AC" + "0c" * 16), *FORM[1:])
    signed = Signed(EXPECTED, form, None, captured(EXPECTED, form))
    found = explain(signed, EXPECTED, ACCOUNT, SIGNATURES)
    assert (found.cause, "400" in found.message) == ("parameter", True)
    stranger = Signed(EXPECTED, form, None, Signatures({"x": "another"}).sign(EXPECTED, form))
    found = explain(stranger, EXPECTED, ACCOUNT, SIGNATURES)
    assert (found.cause, "AccountSid is not" in found.message) == ("token", True)


def test_a_name_of_a_parameter_does_not_steer_the_terminal(tmp_path: Path) -> None:
    body = urlencode([*FORM, ("\x1b]0;pwned\x07", "1")])
    asked = ("explain", "--url", EXPECTED, "--signature", captured(), "--body", "-")
    done = reccli(tmp_path, *asked, stdin=body)
    assert "was added on the way" in done.stdout
    assert done.stdout.isprintable() or set(done.stdout) & set("\x1b\x07") == set()


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
    found = explain(request, EXPECTED, ACCOUNT, SIGNATURES)
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
    found = explain(Signed(EXPECTED, seen, None, captured(url)), EXPECTED, ACCOUNT, SIGNATURES)
    assert found.cause == "parameter", found


def test_the_token_is_the_cause_when_nothing_else_is() -> None:
    stranger = Signatures({"x": "another"}).sign(EXPECTED, FORM)
    found = explain(Signed(EXPECTED, FORM, None, stranger), EXPECTED, ACCOUNT, SIGNATURES)
    assert found.cause == "token"
    older = Signatures({"x": OLDER}).sign(EXPECTED, FORM)
    taken = explain(Signed(EXPECTED, FORM, None, older), EXPECTED, ACCOUNT, SIGNATURES)
    assert (taken.cause, "older" in taken.message) == (None, True)


def test_a_get_is_signed_through_its_query(tmp_path: Path) -> None:
    url = f"{EXPECTED}?{urlencode(parse_qsl(urlencode(FORM), keep_blank_values=True))}"
    asked = ("explain", "--method", "GET", "--url", url, "--signature", SIGNATURES.sign(url))
    assert reccli(tmp_path, *asked).exit_code == 0


def test_the_header_that_names_the_algorithm_counts(tmp_path: Path) -> None:
    signature = RequestValidator(TOKEN).compute_signature(EXPECTED, dict(FORM), "HMAC_SHA256")
    asked = ("explain", "--url", EXPECTED, "--signature", signature, "--body", "-")
    named = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    assert reccli(tmp_path, *asked, "--settings", named, stdin=urlencode(FORM)).exit_code == 0
    assert reccli(tmp_path, *asked, stdin=urlencode(FORM)).exit_code == 1


def test_an_explanation_repeats_no_query() -> None:
    """It may hold a name or a number of a person."""
    url = f"{EXPECTED}?From=%2B61400111222"
    for sent, seen in ((f"{url}&a=b", url), (url.replace("https", "http"), None), (EXPECTED, url)):
        request = Signed(seen or sent, FORM, None, captured(sent))
        found = explain(request, EXPECTED, ACCOUNT, SIGNATURES)
        assert found.cause
        assert "400111222" not in found.message + found.hint


FLAGS = ("--json", "-q", "-v")
EXPLAIN = ("explain", "--method", "GET", "--url", EXPECTED, "--signature", GOOD)


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("arguments", [("sign",), EXPLAIN], ids=["sign", "explain"])
def test_the_flags_of_every_command_are_taken(
    tmp_path: Path, arguments: tuple[str, ...], flag: str
) -> None:
    done = reccli(tmp_path, *arguments, flag)
    assert done.exit_code == 0
    assert bool(done.stdout) is not (arguments == EXPLAIN and flag == "-q")
    if flag == "--json":
        assert json.loads(done.stdout).keys() >= ({"valid"} if arguments == EXPLAIN else {"url"})
    refused = reccli(tmp_path, *arguments, flag, RECCLI_WEBHOOK__PUBLIC_URL="")
    assert refused.exit_code == 2
    assert "error: webhook.public_url: missing" in refused.stderr
    if flag == "--json":
        doc = json.loads(refused.stdout)
        named = (doc["command"], doc["exit_code"], doc["errors"][0]["code"])
        assert named == (f"webhook {arguments[0]}", 2, "config")


def test_a_refusal_is_told_under_quiet_as_well(tmp_path: Path) -> None:
    done = reccli(tmp_path, *EXPLAIN[:-1], SIGNATURES.sign(f"{EXPECTED}x"), "-q")
    assert (done.exit_code, done.stdout == "") == (1, False)
