"""A link is opened as a person's browser would, over real sockets, and no further than needed."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reccli.adapters.opener import MAX_REDIRECTS, Opener
from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.sandbox.standin import Response
from tests.adapters.opener_site import (
    AUDIO,
    PERMALINK,
    SECRET,
    SIGNED,
    Site,
    failure_of,
    make_certificate,
    tls,
    to,
    wire,
)
from tests.adapters.s3_fakes import Reply, ScriptedS3

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from reccli.flow.ports import LinkPort

MISLED = (FailureKind.PERMANENT, "link_redirects")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


@pytest.fixture
def secure(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], ScriptedS3]]:
    """Make https servers that redirect to an address, with a certificate that is trusted."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made: list[ScriptedS3] = []

    def make(location: str) -> ScriptedS3:
        reply = Reply(302, b"", {"Location": location}) if location else Reply(200, b"ID3")
        server = ScriptedS3(lambda _: reply, tls(certificate))
        made.append(server)
        return server.__enter__()

    yield make
    for server in made:
        server.__exit__(None, None, None)


def test_it_asks_for_the_first_byte_and_shows_nothing_of_ours(site: Site) -> None:
    opener: LinkPort = Opener()
    opener.open(f"{site.url}/x{SIGNED}")
    (request,) = site.requests
    assert (request.method, request.target) == ("GET", f"/x{SIGNED}")
    assert request.headers["range"] == "bytes=0-0"
    assert request.headers["accept-encoding"] == "identity"
    assert "httpx" not in request.headers["user-agent"]
    assert request.authorization is None
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"ID3", "audio/mpeg", {"Location": "http://"}),
        *(AUDIO, Response(200, b"ID3...", "audio/mpeg"), Response(200, b"RIFF", "")),
        *(Response(206, b"\xff", "application/octet-stream"), Response(200, b"\0", "x")),
        Response(200, b"ID3" + bytes(1 << 22), "audio/mpeg"),
    ],
)
def test_what_is_the_recording(site: Site, answer: Response) -> None:
    site.answers["/x"] = answer
    Opener().open(f"{site.url}/x")


def test_a_body_is_not_read_to_its_end_and_no_connection_is_kept() -> None:
    def talk(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nID3")

    with wire(talk) as url:
        Opener().open(url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site: Site, status: int) -> None:
    with Site() as store:
        site.answers = {"/a": to("b/../c?d=e#f", status), "/c": to(f"{store.url}/x{SIGNED}")}
        Opener().open(f"{site.url}/a")
        assert site.asked == ["/a", "/c?d=e"]
        assert store.asked == [f"/x{SIGNED}"]
        assert {request.method for request in (*site.requests, *store.requests)} == {"GET"}
        assert {r.headers["range"] for r in (*site.requests, *store.requests)} == {"bytes=0-0"}


def test_cookies_are_not_brought_along(site: Site) -> None:
    site.answers["/a"] = Response(302, b"", "x", {"Location": "/b", "Set-Cookie": "a=b; Path=/"})
    Opener().open(f"{site.url}/a")
    assert ["cookie" in request.headers for request in site.requests] == [False, False]


def test_five_redirects_and_no_sixth(site: Site) -> None:
    site.answers = {f"/{n}": to(f"/{n + 1}") for n in range(MAX_REDIRECTS + 1)}
    Opener().open(f"{site.url}/1")
    assert len(site.requests) == 6
    failure = failure_of(f"{site.url}/0")
    assert (failure.kind, failure.code) == MISLED
    assert len(site.requests) == 6 + 6


def test_a_loop_ends(site: Site) -> None:
    site.answers["/a"] = to("/a")
    failure = failure_of(f"{site.url}/a{SIGNED}")
    assert (failure.kind, failure.code) == MISLED
    told = f"GET {site.url}/a and then 127.0.0.1 was redirected more than 5 times"
    assert failure.message == told


@pytest.mark.parametrize(
    "location",
    [
        *("ftp://127.0.0.1/x", "file:///etc/passwd", "data:audio/mpeg,ID3", "javascript:0"),
        *("http://", "http://[/x", "http://a:b/", "http://a b/", "http://127.0.0.1:99999/x"),
        *("http://me@127.0.0.1/x", f"http://me:{SECRET}@127.0.0.1/", "\u20ac\u0080"),
    ],
)
def test_a_redirect_to_what_no_browser_should_follow(site: Site, location: str) -> None:
    text = location.encode().decode("latin-1")
    site.answers["/a"] = to(text)
    site.answers["/\u20ac\u0080"] = to("http://")
    failure = failure_of(f"{site.url}/a")
    assert (failure.kind, failure.code) == MISLED


def test_https_may_be_left_for_http_and_come_back(
    secure: Callable[[str], ScriptedS3], site: Site
) -> None:
    Opener().open(secure(f"{site.url}/x").endpoint_url)
    port = urlsplit(site.url).port
    Opener().open(secure(f"http://localhost:{port}/y").endpoint_url)
    assert site.asked == ["/x", "/y"]
    site.answers["/z"] = to(secure("").endpoint_url)
    Opener().open(f"{site.url}/z")


def test_a_certificate_that_nobody_trusts(
    secure: Callable[[str], ScriptedS3], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = secure("")
    monkeypatch.delenv("SSL_CERT_FILE")
    failure = failure_of(server.endpoint_url)
    assert (failure.kind, failure.code) == (FailureKind.CONFIG, "certificate_not_trusted")
    assert "127.0.0.1 is not trusted" in failure.message
    assert "SSL_CERT_FILE" in failure.hint
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert failure_of(server.endpoint_url).code == "bad_trust"


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "/x", "//x/y", "http:", "http:///x", "http://[", "http://a b/", "s3://b/k"),
        *("ftp://127.0.0.1/x", f"http://me:{SECRET}@127.0.0.1/", "http://127.0.0.1:x/", "\0"),
        *(f"x?{SECRET}", f"http://127.0.0.1:99999/?{SECRET}", "http://" + "a" * 70_000),
    ],
)
def test_what_is_no_link(url: str) -> None:
    failure = failure_of(url)
    assert (failure.service, failure.kind) == (Service.S3, FailureKind.PERMANENT)
    assert failure.code == "link_dead"
    assert len(failure.message) < 400


@given(st.text(), st.text())
@settings(max_examples=40)
def test_no_text_raises_anything_else(before: str, after: str) -> None:
    for url in (before, f"{before}://127.0.0.1:9{after}", f"http://127.0.0.1:9/{before}?{after}"):
        with pytest.raises(ServiceError):
            Opener(0.5).open(url)


@pytest.mark.parametrize("path", ["/x", PERMALINK])
def test_nobody_there(path: str) -> None:
    failure = failure_of(f"http://127.0.0.1:9{path}")
    assert (failure.kind, failure.code) == (FailureKind.OUTAGE, "link_unreachable")
    assert failure.message.startswith(f"GET http://127.0.0.1:9{path.partition('?')[0]} ")
    assert "refused" in failure.message
    assert ("reccli serve" in failure.hint) == (path == PERMALINK)


def test_a_server_that_says_nothing_is_given_up(site: Site) -> None:
    site.latency = 5
    started = time.monotonic()
    failure = failure_of(f"{site.url}/x{SIGNED}", timeout=0.2)
    assert time.monotonic() - started < 3
    assert (failure.kind, failure.code) == (FailureKind.OUTAGE, "link_unreachable")
    assert "ReadTimeout" in failure.message


@pytest.mark.parametrize(
    "said",
    [
        *(
            b"",
            b"HTTP/1.1 20",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        ),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
@pytest.mark.parametrize("hang_up", [False, True])
def test_no_whole_answer(said: bytes, *, hang_up: bool) -> None:
    def talk(client: socket.socket) -> None:
        client.sendall(said)
        if hang_up:
            client.shutdown(1)

    with wire(talk) as url:
        failure = failure_of(f"{url}/x{SIGNED}", timeout=0.3)
    assert (failure.kind, failure.code) == (FailureKind.OUTAGE, "link_unreachable")


def test_an_error_that_drips_is_read_for_a_while_only() -> None:
    over = threading.Event()

    def talk(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.1):
            client.sendall(b"x")

    started = time.monotonic()
    with wire(talk) as url:
        failure = failure_of(f"{url}/x", timeout=0.5)
        over.set()
    assert failure.code == "link_denied"
    assert time.monotonic() - started < 4


def test_an_error_that_breaks_off_says_enough() -> None:
    def talk(client: socket.socket) -> None:
        client.sendall(
            b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\n<Code>InvalidObjectState</Code>"
        )
        client.shutdown(1)

    with wire(talk) as url:
        assert failure_of(f"{url}/x").code == "link_archived"


def test_what_is_no_http_is_not_repeated() -> None:
    def talk(client: socket.socket) -> None:
        client.sendall(SECRET.encode() + b"\r\n\r\n")

    with wire(talk) as url:
        assert "RemoteProtocolError" in failure_of(f"{url}/x{SIGNED}").message


def test_a_long_error_is_not_waited_for() -> None:
    def talk(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 1000000\r\n\r\n" + b" " * 20_000)

    started = time.monotonic()
    with wire(talk) as url:
        assert failure_of(f"{url}/x", timeout=5).code == "link_denied"
    assert time.monotonic() - started < 4


def test_from_many_threads(site: Site) -> None:
    opener = Opener()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(opener.open, [f"{site.url}/{n}" for n in range(40)]))
    opener.close()
    assert sorted(site.asked) == sorted(f"/{n}" for n in range(40))


def test_nothing_is_logged_of_a_signature(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.answers["/a"] = to(f"/b{SIGNED}")
    Opener().open(f"{site.url}/a{SIGNED}")
    assert SECRET not in caplog.text
