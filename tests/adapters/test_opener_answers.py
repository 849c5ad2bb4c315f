"""What an answer to a link means, and what is said of it: who has to change what."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.adapters.opener import Opener
from reccli.core.errors import FailureKind, Service
from reccli.sandbox.standin import LOGIN_PAGE, Response
from tests.adapters.opener_site import (
    KEY,
    PERMALINK,
    SECRET,
    SIGNED,
    Site,
    failure_of,
    refusal,
    to,
)
from tests.adapters.seaweed_store import plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.adapters.s3 import S3Adapter
    from reccli.core.errors import Failure
    from tests.adapters.seaweed_store import Store

DENIED, PERMANENT = FailureKind.DENIED, FailureKind.PERMANENT
OUTAGE, BUSY = FailureKind.OUTAGE, FailureKind.BUSY
KMS = (
    "User: arn:aws:iam::123456789012:user/reccli is not authorized to perform: kms:Decrypt on "
    "resource: arn:aws:kms:eu-west-1:123456789012:key/1 because no policy allows it"
)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


def answered(site: Site, answer: Response, query: str = SIGNED) -> Failure:
    """Tell what becomes of an answer of the store, asked at once and by way of a permalink."""
    site.answers = {f"/{KEY}": answer, PERMALINK.partition("?")[0]: to(f"/{KEY}{query}")}
    direct = failure_of(f"{site.url}/{KEY}{query}")
    led = failure_of(f"{site.url}{PERMALINK}")
    assert direct.message.startswith(f"GET {site.url}/{KEY} ")
    assert led.message.startswith(f"GET {site.url}{PERMALINK.partition('?')[0]} and then 127.0.0.1")
    assert direct.service == led.service == Service.S3
    assert (direct.kind, direct.code, direct.hint) == (led.kind, led.code, led.hint)
    return direct


@pytest.mark.parametrize(
    ("answer", "kind", "code", "hint"),
    [
        (refusal(403, "AccessDenied", KMS), DENIED, "link_denied", "grant kms:Decrypt on the KMS"),
        (refusal(403, "AccessDenied", "Access Denied"), DENIED, "link_denied", "s3:GetObject on"),
        (refusal(403, "AccessDenied", "Request has expired"), DENIED, "link_expired", "clock"),
        (refusal(403, "AccessDenied", "Request is not valid yet"), DENIED, "link_denied", "clock"),
        (refusal(400, "ExpiredToken", "x"), DENIED, "link_expired", "credentials that do not"),
        (refusal(400, "InvalidToken", "x"), DENIED, "link_denied", "credentials that do not"),
        (refusal(403, "SignatureDoesNotMatch"), DENIED, "link_denied", "no proxy changes"),
        (refusal(403, "InvalidAccessKeyId"), DENIED, "link_denied", "check the credentials"),
        (
            refusal(403, "InvalidObjectState", "x"),
            FailureKind.ARCHIVED,
            "link_archived",
            "restore it",
        ),
        (refusal(400, "KMS.DisabledException"), PERMANENT, "link_dead", "enable the KMS key"),
        (refusal(301, "PermanentRedirect"), PERMANENT, "link_dead", "s3.region"),
        (refusal(404, "NoSuchKey", "x"), PERMANENT, "link_dead", "the object is gone"),
        (refusal(404, "NoSuchBucket", "x"), PERMANENT, "link_dead", "correct s3.bucket"),
        (Response(403), DENIED, "link_denied", "s3:GetObject"),
        (Response(401), DENIED, "link_denied", "a login"),
        (Response(407), DENIED, "link_denied", ""),
        (Response(404), PERMANENT, "link_dead", "the object is gone"),
        (Response(410), PERMANENT, "link_dead", ""),
        (Response(416), PERMANENT, "link_no_audio", "the object is empty"),
        (Response(204), PERMANENT, "link_dead", ""),
        (Response(302), PERMANENT, "link_dead", ""),
        (Response(304), PERMANENT, "link_dead", ""),
        (Response(408), OUTAGE, "link_unreachable", ""),
        (Response(429), BUSY, "link_unreachable", ""),
        (Response(500), OUTAGE, "link_unreachable", ""),
        (refusal(503, "SlowDown", "Reduce your rate"), OUTAGE, "link_unreachable", ""),
    ],
)
def test_what_the_store_says(
    site: Site, answer: Response, kind: FailureKind, code: str, hint: str
) -> None:
    failure = answered(site, answer)
    assert (failure.kind, failure.code) == (kind, code)
    assert hint in failure.hint
    assert bool(hint) == bool(failure.hint)
    assert f"answered {answer.status}" in failure.message
    assert ("leads nowhere" in failure.message) == (code == "link_dead")


def test_the_words_of_the_store_are_passed_on(site: Site) -> None:
    failure = answered(site, refusal(403, "AccessDenied", KMS))
    assert f"was answered 403 AccessDenied: {KMS}" in failure.message


def test_what_is_not_signed_is_to_be_public(site: Site) -> None:
    failure = answered(site, refusal(403, "AccessDenied", "Access Denied"), query="")
    assert (failure.kind, failure.code) == (DENIED, "link_denied")
    assert "nothing is signed here" in failure.hint


@pytest.mark.parametrize(
    ("answer", "kind", "code", "hint"),
    [
        (Response(404), PERMANENT, "link_dead", "check links.base_url, its path, and that `reccli"),
        (Response(403), DENIED, "link_denied", "with this links.secret"),
        (Response(503), OUTAGE, "link_unreachable", "permalink_not_signed"),
        (Response(502), OUTAGE, "link_unreachable", "`reccli serve` runs there"),
        (Response(200, LOGIN_PAGE, "text/html"), PERMANENT, "link_no_audio", "another site"),
    ],
)
def test_what_stands_where_permalinks_lead(
    site: Site, answer: Response, kind: FailureKind, code: str, hint: str
) -> None:
    path = PERMALINK.partition("?")[0]
    site.answers = {path: answer, "/old" + path: to(PERMALINK)}
    for url in (f"{site.url}{PERMALINK}", f"{site.url}/old{PERMALINK}"):
        failure = failure_of(url)
        assert (failure.service, failure.kind, failure.code) == (Service.RECCLI, kind, code)
        assert hint in failure.hint


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *(("text/html", b"Sign in"), ("Text/HTML; charset=utf-8", b"x"), ("text/xml", b"x")),
        *(("application/xml", b"x"), ("application/xhtml+xml;x", b"x"), ("text/plain", LOGIN_PAGE)),
        *(("audio/mpeg", b"<"), ("audio/mpeg", b"")),
    ],
)
def test_what_is_no_recording(site: Site, status: int, kind: str, body: bytes) -> None:
    failure = answered(site, Response(status, body, kind))
    assert (failure.kind, failure.code) == (PERMANENT, "link_no_audio")
    assert str(status) in failure.message
    assert failure.hint


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("", None), ("-1", None), ("x", None)])
def test_how_long_to_wait(site: Site, text: str, seconds: float | None) -> None:
    failure = answered(site, Response(503, headers={"Retry-After": text}))
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    "message",
    [
        f"no: {SECRET}",
        f"/x?X-Amz-Signature={SECRET}",
        f"a&amp;X-Amz-Signature={SECRET} b",
        f"\u202e\x1b[31m\n{SECRET}",
        "x" * 15_000,
    ],
)
def test_what_comes_back_of_ours_is_not_shown(site: Site, message: str) -> None:
    failure = answered(site, refusal(403, "AccessDenied", message, StringToSign=SECRET))
    assert "AccessDenied" in failure.message
    assert len(failure.message) < 500


def test_nor_is_it_when_it_was_encoded(site: Site) -> None:
    text = "a+b/c=d" * 5
    site.answers["/x"] = refusal(403, "AccessDenied", f"{text} a%2Bb")
    failure = failure_of(f"{site.url}/x?sig={text.replace('+', '%2B').replace('/', '%2F')}")
    assert text not in failure.message


def test_a_body_that_would_explode_in_a_parser(site: Site) -> None:
    lol = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    bomb = f"<!DOCTYPE x [<!ENTITY l0 'l'>{lol}]><Error><Code>AccessDenied</Code><Message>&l9;"
    for body in (bomb.encode(), b"<Code>" * 300_000, b"<Message>" * 200_000, b"\xff" * 99_999):
        started = time.monotonic()
        failure = answered(site, Response(403, body, "application/xml"))
        assert failure.code == "link_denied"
        assert time.monotonic() - started < 5


def test_only_the_beginning_of_a_body_is_read(site: Site) -> None:
    late = b" " * 16_384 + b"<Code>InvalidObjectState</Code>"
    assert answered(site, Response(403, late)).code == "link_denied"
    early = b" " * 16_000 + b"<Code>InvalidObjectState</Code>"
    assert answered(site, Response(403, early)).code == "link_archived"


class TestARealStore:
    def test_signed_and_there(self, s3: S3Adapter, seaweed: Store, key: str) -> None:
        plant(seaweed, key, b"ID3 and more", {})
        Opener().open(s3.presign(key))

    def test_signed_and_not_there(self, s3: S3Adapter, key: str) -> None:
        failure = failure_of(s3.presign(key))
        assert (failure.kind, failure.code) == (PERMANENT, "link_dead")
        assert "404 NoSuchKey" in failure.message

    def test_an_empty_object(self, s3: S3Adapter, seaweed: Store, key: str) -> None:
        plant(seaweed, key, b"", {})
        assert failure_of(s3.presign(key)).code == "link_no_audio"

    def test_run_out(self, s3: S3Adapter, seaweed: Store, key: str) -> None:
        plant(seaweed, key, b"ID3", {})
        link = s3.presign(key, life=timedelta(seconds=1))
        time.sleep(2.1)
        failure = failure_of(link)
        assert (failure.kind, failure.code) == (DENIED, "link_expired")

    def test_signed_for_another_method_or_by_nobody(
        self, s3: S3Adapter, seaweed: Store, key: str
    ) -> None:
        plant(seaweed, key, b"ID3", {})
        head = failure_of(s3.presign(key, method="HEAD"))
        assert (head.kind, head.code) == (DENIED, "link_denied")
        assert "SignatureDoesNotMatch" in head.message
        bare = failure_of(s3.presign(key).partition("?")[0])
        assert (bare.kind, bare.code) == (DENIED, "link_denied")
        assert "nothing is signed here" in bare.hint
