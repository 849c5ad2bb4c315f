"""The callback endpoint over real HTTP: what is taken, what is refused, and nothing in between."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from reccli.adapters.ledger import LedgerError
from reccli.adapters.twilio import Signatures
from reccli.core.errors import Failure, FailureKind, Service
from reccli.intake import callbacks
from reccli.intake.callbacks import LARGEST, RecordingStatus
from reccli.sandbox.running import ACCOUNT_SID, AUTH_TOKEN
from tests.intake.app import PUBLIC_URL, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.adapters.ledger import Callback

ROUTE = "/api/twilio/recording-status"
URL = PUBLIC_URL + ROUTE
SIGNATURES = Signatures({"main": AUTH_TOKEN})
FORM_TYPE = "application/x-www-form-urlencoded"
RE, CA = "RE" + "0b" * 16, "CA" + "0c" * 16
FORM = {
    "AccountSid": ACCOUNT_SID,
    "CallSid": CA,
    "RecordingSid": RE,
    "RecordingStatus": "completed",
    "ErrorCode": "",
}


class Endpoint:
    """One that runs, and what it has kept."""

    def __init__(self, url: str, kept: list[Callback]) -> None:
        self.url, self.kept = url, kept
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=10)

    def post(
        self, body: str | bytes, signature: str, kind: str = FORM_TYPE, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        known = {"X-Twilio-Signature": signature, "Content-Type": kind, **named}
        return self.http.post(ROUTE, content=body, headers={k: v for k, v in known.items() if v})

    def form(self, *pairs: tuple[str, str], **changes: str) -> httpx.Response:
        """Post the form, changed and added to, signed as Twilio would."""
        given = [*(FORM | changes).items(), *pairs]
        return self.post(urlencode(given), SIGNATURES.sign(URL, given))


@contextmanager
def endpoint(*failures: Exception) -> Iterator[Endpoint]:
    kept: list[Callback] = []
    waiting = list(failures)

    async def keep(callback: Callback) -> bool:
        if waiting:
            raise waiting.pop()
        kept.append(callback)
        return True

    status = RecordingStatus(URL, ACCOUNT_SID, SIGNATURES, keep)
    with serving(Starlette(routes=[status.route])) as url:
        made = Endpoint(url, kept)
        yield made
        made.http.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture
def taking(running: Endpoint) -> Endpoint:
    running.kept.clear()
    return running


def test_what_is_kept_is_what_came(taking: Endpoint) -> None:
    body = urlencode(FORM) + "&Odd=%C3%A9%00"
    signature = SIGNATURES.sign(URL, [*FORM.items(), ("Odd", "é\0")])
    answer = taking.post(body, signature)
    assert (answer.status_code, answer.content) == (204, b"")
    (kept,) = taking.kept
    assert (kept.sid, kept.call_sid, kept.status) == (RE, CA, "completed")
    assert kept.account_sid == ACCOUNT_SID
    assert kept.body == body.encode()


@pytest.mark.parametrize("kind", [f"{FORM_TYPE} ; charset=UTF-8", FORM_TYPE.upper()])
def test_a_form_by_any_of_its_names(taking: Endpoint, kind: str) -> None:
    signature = SIGNATURES.sign(URL, list(FORM.items()))
    assert taking.post(urlencode(FORM), signature, kind).status_code == 204


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
def test_what_is_no_form_is_refused_however_it_is_signed(taking: Endpoint, kind: str) -> None:
    for body in (urlencode(FORM), json.dumps(FORM)):
        for params in ([], list(FORM.items())):
            assert taking.post(body, SIGNATURES.sign(URL, params), kind).status_code == 403
    assert taking.kept == []


def test_a_get_is_signed_through_its_query(taking: Endpoint) -> None:
    query = urlencode(FORM)
    signature = SIGNATURES.sign(f"{URL}?{query}")

    def get(query: str, signature: str | None) -> int:
        headers = {} if signature is None else {"X-Twilio-Signature": signature}
        return taking.http.get(f"{ROUTE}?{query}", headers=headers).status_code

    assert get(query, signature) == 204
    assert taking.kept.pop().body == query.encode()
    wrong = [None, "", "garbage", SIGNATURES.sign(URL), SIGNATURES.sign(URL, list(FORM.items()))]
    for one in wrong:
        assert get(query, one) == 403
    assert get(query.replace("completed", "absent"), signature) == 403
    assert get(f"{query}&a=b", signature) == 403
    assert taking.kept == []


def test_the_algorithm_is_the_one_that_the_header_names(taking: Endpoint) -> None:
    validator = RequestValidator(AUTH_TOKEN)
    signature = validator.compute_signature(URL, FORM, "HMAC_SHA256")
    named = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    body = urlencode(FORM)
    settings = {"X_Twilio_Webhooks_Signature_Settings": named}
    assert taking.post(body, signature, **settings).status_code == 204
    assert taking.post(body, signature).status_code == 403
    settings = {name: text.replace("SHA256", "MD5") for name, text in settings.items()}
    assert taking.post(body, signature, **settings).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"AccountSid": "AC" + "0" * 32},
        {"AccountSid": ACCOUNT_SID + "0"},
        {"RecordingSid": RE + "0"},
        {"RecordingSid": f"{RE}\n"},
        {"RecordingSid": f"{RE}/../x"},
        {"RecordingSid": RE[:-1]},
        {"RecordingSid": CA},
        {"RecordingSid": ""},
        {"CallSid": CA + "0"},
        {"CallSid": f"{CA}\n"},
        {"CallSid": RE},
        {"RecordingStatus": ""},
        {"RecordingStatus": "completed\n"},
        {"RecordingStatus": "Completed"},
        {"RecordingStatus": "stopped MZ1"},
        {"RecordingStatus": "c"},
        {"RecordingStatus": "deleted"},
        {"RecordingStatus": "x" * 33},
    ],
)
def test_sids_and_status_are_held_to_their_grammar(
    taking: Endpoint, changes: dict[str, str]
) -> None:
    answer = taking.form(**changes)
    assert (answer.status_code, answer.content) == (400, b"")
    assert taking.kept == []


@pytest.mark.parametrize("name", ["AccountSid", "CallSid", "RecordingSid", "RecordingStatus"])
def test_what_is_said_twice_is_not_said(taking: Endpoint, name: str) -> None:
    """Also if both say the same, which is signed like one: the signature does not tell."""
    for other in (FORM[name], "absent"):
        answer = taking.form((name, other))
        assert answer.status_code == 400
    assert taking.kept == []


@pytest.mark.parametrize(
    "cut",
    [
        {"RecordingStatus": "c", "ompletedRecordingTrack": "both"},
        {"RecordingStatuscompleted": "", "RecordingTrack": "both"},
        {f"CallSid{CA[:2]}": CA[2:], "RecordingStatus": "completed", "RecordingTrack": "both"},
        {"CallSid": CA, "RecordingStatus": "completed", "RecordingTrack both": ""},
        {"CallSid": CA, "RecordingStatus": "completed", "": "RecordingTrackboth"},
    ],
)
def test_a_callback_that_was_captured_cannot_be_cut_up_anew(
    taking: Endpoint, cut: dict[str, str]
) -> None:
    """Nothing of what is signed says where a name ends and its value begins."""
    form = {"AccountSid": ACCOUNT_SID, "CallSid": CA, "RecordingSid": RE, **cut}
    if any(name.startswith("CallSidCA") for name in cut):
        del form["CallSid"]
    assert taking.post(urlencode(form), SIGNATURES.sign(URL, [*form.items()])).status_code == 400
    assert taking.kept == []


def test_a_parameter_that_is_new_is_no_reason_to_refuse(taking: Endpoint) -> None:
    news = [("RecordingSource", "DialVerb"), ("SipHeader_X-Id.2", "1"), ("ConferenceSid", "")]
    assert taking.form(*news).status_code == 204


def test_a_conference_has_no_call(taking: Endpoint) -> None:
    assert taking.form(CallSid="").status_code == 204
    assert taking.kept.pop().call_sid is None


def test_too_many_parameters_and_broken_text_are_no_form_of_twilios(taking: Endpoint) -> None:
    many = [(f"P{number}", "") for number in range(250)]
    assert taking.form(*many).status_code == 403
    for odd in ("%FF", "%ED%A0%80"):
        body = f"{urlencode(FORM)}&Odd={odd}"
        for meant in ("\ufffd", "", odd):
            signature = SIGNATURES.sign(URL, [*FORM.items(), ("Odd", meant)])
            assert taking.post(body, signature).status_code == 403
    assert taking.post(b"\xff" + urlencode(FORM).encode(), "garbage").status_code == 403
    assert taking.kept == []


def test_the_size_of_a_body_is_bounded(taking: Endpoint) -> None:
    room = LARGEST - len(urlencode({**FORM, "Odd": ""}))
    assert taking.form(("Odd", "x" * room)).status_code == 204
    taking.kept.clear()
    assert taking.form(("Odd", "x" * (room + 1))).status_code == 413
    assert taking.kept == []


@pytest.mark.parametrize("begun", [b"", b"AccountSid=AC"])
def test_a_body_that_does_not_come_is_not_waited_for(
    taking: Endpoint, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "SLOWEST", 0.3)
    split = urlsplit(taking.url)
    head = (
        f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n"
        "X-Twilio-Signature: x\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection((split.hostname or "", split.port or 0), timeout=10) as slow:
        slow.sendall(head.encode() + begun)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert taking.kept == []


def test_what_cannot_be_kept_is_a_503_that_says_nothing_else() -> None:
    full = Failure(Service.LEDGER, FailureKind.OUTAGE, "full", f"the disk of {RE} is full")
    with endpoint(LedgerError(full)) as taking:
        answer = taking.form()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.content == b""
        assert taking.form().status_code == 204
    assert len(taking.kept) == 1
