"""Permalinks over real HTTP: what is signed is followed, and nothing else is answered."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import httpx
import pytest
import uvicorn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.links import LinkBook, signature
from reccli.intake.redirect import LIFE, permalink_route
from tests.core.samples import BUCKET, KEY, make_book

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "https://store.example.com/object?X-Amz-Signature=0f"
SECRETS = ("the-new-secret", "the-old-secret")
SPECIAL = [
    *("a b.mp3", "ü/€ 通話 😀.mp3", "1+1=2&x=%20%2F.mp3", "50%.mp3", "what?#now.mp3"),
    *("a//b/.mp3", "/first.mp3", "last/", "r/r/r.mp3", "a/./b/../../c.mp3", "..", "\0.mp3"),
    *("a\nb.mp3", "last\n", "\r\nSet-Cookie: a=b", "it's (1)!;*~,@:$.mp3", "\\\\x", "k" * 1024),
]
ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@dataclass
class Signer:
    """Stands in for the S3 adapter, and keeps what it was asked for."""

    asked: list[tuple[str, timedelta, str]] = field(default_factory=list)
    failure: Failure | None = None
    gate: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def __call__(self, key: str, *, life: timedelta, method: Literal["GET", "HEAD"]) -> str:
        self.asked.append((key, life, method))
        self.arrived.set()
        if self.gate:
            self.gate.wait(30)
        if self.failure:
            raise ServiceError(self.failure)
        return TARGET


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: str


@dataclass(frozen=True)
class Site:
    """A server with the route; `book` has its address as the base."""

    url: str
    book: LinkBook
    signer: Signer

    def ask(self, target: str, method: str = "GET") -> Answer:
        """Send a target as it stands: better clients put its dots and slashes in order."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        connection.request(method, target)
        response = connection.getresponse()
        answer = Answer(response.status, response.read(), str(response.headers))
        connection.close()
        return answer


@contextmanager
def site(
    protocol: Literal["httptools", "h11"] = "httptools",
    below: str = "",
    path: str | None = None,
    **changes: Any,  # noqa: ANN401 - any field of LinkBook
) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}{below}"
        base_url = url if path is None else url + path
        given = {"style": "permalink", "base_url": base_url, "secrets": SECRETS}
        book, signer = make_book(**(given | changes)), Signer()
        route = permalink_route(book.permalinks, signer)
        app = Starlette(routes=[Mount(below, routes=[route]) if below else route])
        config = uvicorn.Config(app, http=protocol, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            wait_for(server)
            yield Site(url, book, signer)
        finally:
            if signer.gate:
                signer.gate.set()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def wait_for(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(request.param) as made:
        yield made


@pytest.fixture
def permalinks(running: Site) -> Site:
    running.signer.asked.clear()
    return running


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_leads_to_a_url_of_minutes_signed_for_the_same_method(
    permalinks: Site, method: str
) -> None:
    answer = httpx.request(
        method, permalinks.book.permalinks.write(KEY), headers={"Range": "bytes=0-9"}
    )
    assert (answer.status_code, answer.headers["location"], answer.content) == (302, TARGET, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert permalinks.signer.asked == [(KEY, LIFE, method)]
    assert timedelta(minutes=1) <= LIFE <= timedelta(minutes=15)


def test_a_player_that_follows_asks_the_store_for_the_same_part(permalinks: Site) -> None:
    request = httpx.Request(
        "GET", permalinks.book.permalinks.write(KEY), headers={"Range": "bytes=0-9", "Referer": "x"}
    )
    with httpx.Client() as client:
        followed = client.send(request).next_request
    assert followed is not None
    assert (str(followed.url), followed.headers["range"]) == (TARGET, "bytes=0-9")


@pytest.mark.parametrize("key", SPECIAL)
def test_what_was_written_for_a_special_key_is_followed(permalinks: Site, key: str) -> None:
    url = permalinks.book.permalinks.write(key)
    assert permalinks.ask(url.removeprefix(permalinks.url)).status == 302
    assert [asked[0] for asked in permalinks.signer.asked] == [key]
    if not re.search(r"(^|/)\.{1,2}(/|$)", key):  # which every client resolves, as RFC 3986 has it
        assert httpx.get(url).status_code == 302


@given(ODD)
@example("\r\n")
@example("%2e%2E")
@settings(deadline=None, max_examples=150)
def test_what_was_written_for_an_odd_key_is_followed(running: Site, key: str) -> None:
    running.signer.asked.clear()
    target = running.book.permalinks.write(key).removeprefix(running.url)
    assert running.ask(target).status == 302
    assert [asked[0] for asked in running.signer.asked] == [key]


def test_below_a_path_of_another_app() -> None:
    with site(below="/calls/r") as made:
        assert "/calls/r/r/" in made.book.permalinks.write("r/x")
        assert httpx.get(made.book.permalinks.write("r/x")).status_code == 302
        assert made.signer.asked == [("r/x", LIFE, "GET")]


BASES = [
    *("", "/", "/rec", "/rec/", "/a/b//", "/r", "/r/r", "/R", "/r.c+d(e)|f$", "/{key}/{x:y}"),
    *("/caf%C3%A9%20x", "/a%2Fb", "/a%2F", "/%FF", "/%7Bkey%7D", "/100%25", "//x", "/calls;v=1"),
]
KEYS = [KEY, "r/x", "r/r/x", "a b/ü%2F€.mp3", "/first", "a//b", "a\nb", "rec/r/x"]


@pytest.mark.parametrize("protocol", ["httptools", "h11"])
@pytest.mark.parametrize("path", BASES)
def test_below_the_path_of_the_base_and_where_a_proxy_has_taken_it_away(
    path: str, protocol: Literal["httptools", "h11"]
) -> None:
    with site(protocol, path=path) as made:
        for key in KEYS:
            whole = made.book.permalinks.write(key).removeprefix(made.url)
            assert whole.startswith(f"{path.rstrip('/')}/r/")
            slash = f"/r/{quote(key, safe='')}?sig={signature(key, SECRETS[1])}"
            for target in (whole, whole.removeprefix(path.rstrip("/")), slash):
                for method in ("GET", "HEAD"):
                    answer = made.ask(target, method)
                    assert (answer.status, answer.body) == (302, b"")
                    assert made.signer.asked.pop() == (key, LIFE, method)
                assert made.ask(f"{target}0").status == 403
                assert made.ask(target, "POST").status == 405


def test_no_other_path_is_served() -> None:
    with site(path="/rec") as made:
        (_, query) = made.book.permalinks.write(KEY).split("?")
        for path in (
            "/rec",
            "/rec/",
            "/rec/x/r",
            "/recr",
            "/rec/rec/r",
            "/x/rec/r",
            "/x/r",
            "/REC/r",
        ):
            assert made.ask(f"{path}/{KEY}?{query}").status == 404, path
        for path in ("/rec/r", "/r/rec/r", "/r/r", "/rec/r/r"):
            expected = 302 if path == "/rec/r" else 403
            assert made.ask(f"{path}/{KEY}?{query}").status == expected, path
        assert [asked[0] for asked in made.signer.asked] == [KEY]


def test_a_mounted_app_is_reached_with_the_path_of_the_mount_only() -> None:
    with site(below="/calls") as made:
        query = made.book.permalinks.write(KEY).split("?")[1]
        assert made.ask(f"/calls/r/{KEY}?{query}").status == 302
        assert made.ask(f"/r/{KEY}?{query}").status == 404


@pytest.mark.parametrize("style", ["presigned", "object"])
def test_those_that_are_out_work_whatever_is_written_now(style: str) -> None:
    with site(style=style) as made:
        assert httpx.get(made.book.permalinks.write("outside/the/prefix")).status_code == 302


@pytest.mark.parametrize(("secret", "status"), [*zip(SECRETS, (302, 302), strict=True), ("x", 403)])
def test_every_secret_is_accepted_until_it_is_taken_out(
    permalinks: Site, secret: str, status: int
) -> None:
    target = f"/r/{quote(KEY)}?sig={signature(KEY, secret)}"
    assert permalinks.ask(target).status == status


VALID = signature(KEY, SECRETS[0])


@pytest.mark.parametrize(
    "query",
    [
        *("", "?", "?sig", "?sig=", "?sig=0", "?sig=%00", "?sig=%FF", "?sig=%C3%A9", "?sig=a;b"),
        *("?sig=" + "0" * 64, "?sig=" + "f" * 60_000, f"?SIG={VALID}", f"?sig={VALID.upper()}"),
        *(f"?sig={VALID}0", f"?sig={VALID[:-1]}", f"?sig=+{VALID}", f"?sig={VALID}%0A"),
        *(f"?sig={VALID}&sig={VALID}", f"?sig={VALID}&sig=", f"?sig=&sig={VALID}"),
        *(f"?x=sig={VALID}", f"?sig[]={VALID}", f"?sig%5B0%5D={VALID}", "?" + "&" * 1000),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_signed_is_refused_without_a_word(
    permalinks: Site, method: str, query: str
) -> None:
    answer = permalinks.ask(f"/r/{KEY}{query}", method)
    assert (answer.status, answer.body) == (403, b"")
    assert permalinks.signer.asked == []
    assert not re.search(f"{BUCKET}|secret|{VALID}", answer.headers)


def test_the_signature_is_of_the_whole_key_and_of_no_other(permalinks: Site) -> None:
    wrong = ["", "/", KEY.upper(), f"{KEY}/", f"/{KEY}", f"{KEY}%00", f"{KEY}%0A", KEY[:-1]]
    assert {permalinks.ask(f"/r/{key}?sig={VALID}").status for key in wrong} == {403}
    assert permalinks.ask(f"/r/{quote(KEY, safe='')}?sig={VALID}").status == 302  # the same key
    assert permalinks.ask(f"/r/{quote(quote(KEY, safe=''))}?sig={VALID}").status == 403


@pytest.mark.parametrize(
    "path",
    [
        *("/r", "/r/", "/r//", "/r/.", "/r/..", "/r/../..", "/r/%2e%2e/%2e%2e/etc/passwd"),
        *("/r/%", "/r/%zz", "/r/%FF%FE", "/r/%ED%A0%80", "/r/%00", "/r/a%0Ab", "/r/a%0D%0AX:%20y"),
        *("/r/" + "k" * 30_000, "/r/" + "/" * 5000, "/r/" + "%2F" * 5000, "/r/https://evil/"),
        *("/r/x;y=z", "/r/x#y", "//r/x", "/R/x", "/r%2Fx", "*", "http://evil.example.com/r/x"),
    ],
)
def test_no_path_is_an_error_of_the_server(permalinks: Site, path: str) -> None:
    for target in (path, f"{path}?sig=", f"{path}?sig={VALID}"):
        assert permalinks.ask(target).status in {307, 400, 403, 404}, target
    assert permalinks.signer.asked == []


@pytest.mark.parametrize("raw", [b"/r/\xff", b"/r/\xc3\xbc?sig=\xff", b"/r/a\0b", b"/r/a b"])
def test_nor_are_bytes_that_no_client_would_send(permalinks: Site, raw: bytes) -> None:
    address = urlsplit(permalinks.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 20) as wire:
        wire.sendall(b"GET " + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        status = wire.recv(1000).split(b" ")[1]
    assert status in {b"400", b"403", b"404"}
    assert permalinks.signer.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_only_get_and_head(permalinks: Site, method: str) -> None:
    answer = httpx.request(method, permalinks.book.permalinks.write(KEY))
    assert answer.status_code == 405
    assert permalinks.signer.asked == []


def test_without_a_secret_there_are_none() -> None:
    with site(secrets=()) as made:
        for query in ("", "?sig=", f"?sig={signature(KEY, '')}"):
            answer = httpx.get(f"{made.url}/r/{KEY}{query}")
            assert (answer.status_code, answer.content) == (404, b"")
        assert made.signer.asked == []


def test_a_signer_that_fails_is_asked_again_later_and_not_repeated() -> None:
    with site() as made:
        made.signer.failure = Failure(
            Service.S3, FailureKind.DENIED, "NoCredentialsError", "no login for s3://calls/k"
        )
        answer = httpx.get(made.book.permalinks.write(KEY))
        assert (answer.status_code, answer.content) == (503, b"")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"
        assert "s3" not in str(answer.headers).lower()
        made.signer.failure = None
        assert httpx.get(made.book.permalinks.write(KEY)).status_code == 302


def test_a_signer_that_waits_for_credentials_holds_nobody_else_up() -> None:
    with site() as made:
        made.signer.gate = threading.Event()
        answers: list[int] = []

        def wait_long() -> None:
            answers.append(httpx.get(made.book.permalinks.write(KEY), timeout=30).status_code)

        slow = threading.Thread(target=wait_long)
        slow.start()
        assert made.signer.arrived.wait(20)
        assert httpx.get(f"{made.url}/r/x?sig=", timeout=10).status_code == 403
        assert answers == []
        made.signer.gate.set()
        slow.join(20)
        assert answers == [302]
