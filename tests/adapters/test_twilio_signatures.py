"""Signatures: the public vectors, and that nothing gets past or brings it down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.adapters.twilio import Signatures, Signed

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("twilio_signature_vectors.json").read_text()
)["vectors"]
URL = "https://calls.example.com/api/twilio/recording-status"
FORM = (("RecordingSid", "RE" + "0a" * 16), ("ErrorCode", ""), ("RecordingStatus", "completed"))
SIGNATURES = Signatures({"main": "token-of-main", "au1": "token-of-au1"})


def signed(
    url: str = URL,
    params: tuple[tuple[str, str], ...] = FORM,
    signature: str = SIGNATURES.sign(URL, FORM),
    settings: str | None = None,
) -> Signed:
    return Signed(url, params, None, signature, settings)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_every_public_vector_behaves_as_stated(vector: dict[str, Any]) -> None:
    body = vector["raw_body"]
    request = Signed(
        url=vector["request_url"],
        params=tuple((name, value) for name, value in vector["params"]),
        body=None if body is None else body.encode(),
        signature=vector["signature"],
        settings=vector["settings_header"],
    )
    found = Signatures({"other": "another", "vector": vector["auth_token"]}).check(request)
    assert found == ("vector" if vector["expect_valid"] else None)


def test_any_configured_token_may_have_signed() -> None:
    assert SIGNATURES.check(signed()) == "main"
    regional = Signatures({"au1": "token-of-au1"}).sign(URL, FORM)
    assert SIGNATURES.check(signed(signature=regional)) == "au1"
    stranger = Signatures({"x": "another-token"}).sign(URL, FORM)
    assert SIGNATURES.check(signed(signature=stranger)) is None
    assert not Signatures({})
    assert Signatures({}).check(signed()) is None


def test_blank_values_are_signed() -> None:
    without = tuple(pair for pair in FORM if pair[1])
    with_one_more = (*FORM, ("Blank", ""))
    assert SIGNATURES.check(signed(params=without)) is None
    assert SIGNATURES.check(signed(params=with_one_more)) is None


@pytest.mark.parametrize(
    "written",
    [
        "wss://calls.example.com/stream",
        "wss://calls.example.com/stream/",
        "wss://calls.example.com:443/stream",
        "wss://calls.example.com:443/stream/",
    ],
)
def test_a_handshake_may_be_signed_with_a_slash_or_a_port(written: str) -> None:
    request = Signed("wss://calls.example.com/stream", signature=SIGNATURES.sign(written))
    assert SIGNATURES.check(request) == "main"


@pytest.mark.parametrize(
    "written",
    [
        "https://calls.example.com/stream",
        "ws://calls.example.com/stream",
        "wss://calls.example.com/stream//",
        "wss://calls.example.com:80/stream",
        "wss://calls.example.com/stream?a=b",
        "wss://calls.example.com.evil.example/stream",
    ],
)
def test_another_address_is_another_handshake(written: str) -> None:
    request = Signed("wss://calls.example.com/stream", signature=SIGNATURES.sign(written))
    assert SIGNATURES.check(request) is None


@pytest.mark.parametrize(
    "url", [f"{URL}/", URL.replace("https", "http"), f"{URL}?a=b", URL.upper(), ""]
)
def test_another_url_is_refused(url: str) -> None:
    assert SIGNATURES.check(signed(url=url)) is None


def test_a_body_that_is_no_form_needs_its_hash() -> None:
    import hashlib

    digest = hashlib.sha256(b"{}").hexdigest()
    url = f"{URL}?bodySHA256={digest}"
    signature = SIGNATURES.sign(url)
    assert SIGNATURES.check(Signed(url, body=b"{}", signature=signature)) == "main"
    assert SIGNATURES.check(Signed(url, body=b"[]", signature=signature)) is None
    assert SIGNATURES.check(Signed(URL, body=b"{}", signature=SIGNATURES.sign(URL))) is None
    doubled = f"{url}&bodySHA256={digest}"
    assert SIGNATURES.check(Signed(doubled, body=b"{}", signature=SIGNATURES.sign(doubled))) is None


def test_an_algorithm_that_nobody_knows_is_refused() -> None:
    assert SIGNATURES.check(signed(settings="key=k,algorithm=HMAC_SHA1")) == "main"
    assert SIGNATURES.check(signed(settings="key=k,algorithm=HMAC_SHA256")) is None
    assert SIGNATURES.check(signed(settings="key=k,algorithm=none")) is None


@given(
    url=st.text() | st.just(URL) | st.from_regex(r"wss?://[^/]*:?\S*", fullmatch=True),
    params=st.lists(st.tuples(st.text(), st.text())),
    signature=st.none() | st.text(st.characters(), max_size=60),
    settings=st.none() | st.text(),
    body=st.none() | st.binary(),
)
def test_whatever_comes_is_refused_and_raises_nothing(
    url: str,
    params: list[tuple[str, str]],
    signature: str | None,
    settings: str | None,
    body: bytes | None,
) -> None:
    assert SIGNATURES.check(Signed(url, params, body, signature, settings)) is None


@given(at=st.integers(min_value=0), put=st.characters(codec="ascii"))
def test_any_changed_character_is_refused(at: int, put: str) -> None:
    good = SIGNATURES.sign(URL, FORM)

    def changed(text: str) -> str:
        place = at % len(text)
        return f"{text[:place]}{put}{text[place + 1 :]}"

    if (signature := changed(good)) != good:
        assert SIGNATURES.check(signed(signature=signature)) is None
    if (url := changed(URL)).lower() != URL:  # a scheme may be written in capitals
        assert SIGNATURES.check(signed(url=url)) is None
    if (sid := changed(FORM[0][1])) != FORM[0][1]:
        assert SIGNATURES.check(signed(params=(("RecordingSid", sid), *FORM[1:]))) is None
