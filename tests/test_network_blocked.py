"""The tests can't services another machine, whatever way they try, and can services this one."""

import asyncio
import http.server
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator

import httpx
import pytest

AWAY = "192.0.2.1"  # TEST-NET-1: documentation only, routed nowhere


@pytest.fixture
def local_port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def by_connect() -> None:
    socket.create_connection((AWAY, 80), timeout=1)


def by_connect_ex() -> None:
    with socket.socket() as away:
        away.settimeout(1)
        away.connect_ex((AWAY, 80))


def by_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as away:
        away.sendto(b"hello", (AWAY, 53))


def by_name() -> None:
    socket.getaddrinfo("api.twilio.com", 443)


def by_httpx() -> None:
    httpx.get(f"http://{AWAY}/", timeout=1)


def by_urllib() -> None:
    urllib.request.urlopen(f"http://{AWAY}/", timeout=1)


def by_asyncio() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(AWAY, 80), timeout=1))


@pytest.mark.parametrize(
    "attempt",
    [by_connect, by_connect_ex, by_datagram, by_name, by_httpx, by_urllib, by_asyncio],
)
def test_another_machine_is_out_of_reach(attempt: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.1|api\.twilio\.com"):
        attempt()


def test_a_thread_is_blocked_as_well() -> None:
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            by_connect()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(errors) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_reachable(local_port: int, host: str) -> None:
    assert httpx.get(f"http://{host}:{local_port}/absent").status_code == httpx.codes.NOT_FOUND


def test_unix_sockets_are_allowed() -> None:
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        near.sendall(b"hello")
        assert far.recv(5) == b"hello"
