"""Threads, connections, the environment and the log."""

import logging
import threading
from collections.abc import Callable

import httpx
import pytest

from reccli.adapters.twilio import Origin, TwilioAdapter
from reccli.adapters.twilio.session import Session
from reccli.core.errors import FailureKind
from reccli.core.model import Ref

from .samples import ACCOUNT, LIST, REF, TOKENS, download, failure_of, resource, sid, verdict_of
from .scripted import Reply, Server, always, as_json, to


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_each_thread_has_its_own_connections(server: Server, adapter: TwilioAdapter) -> None:
    server.answer = always(as_json(resource()))

    def fetch_twice() -> None:
        adapter.fetch(REF)
        adapter.fetch(REF)

    in_thread(fetch_twice)
    in_thread(fetch_twice)
    first, again, second, once_more = (seen.connection for seen in server.seen)
    assert first == again
    assert second == once_more
    assert first != second


def test_many_threads_get_their_own_answers(server: Server, adapter: TwilioAdapter) -> None:
    server.answer = lambda seen: as_json(resource(int(seen.path.split("/")[-1][2:-5], 16)))
    right: list[bool] = []

    def fetch_many(first: int) -> None:
        right.extend(
            adapter.fetch(Ref(sid(number), ACCOUNT, "us1")).sid == sid(number)
            for number in range(first, first + 20)
        )

    threads = [threading.Thread(target=fetch_many, args=(n * 20,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 160


def test_closing_ends_the_connections_of_every_thread(
    server: Server, adapter: TwilioAdapter
) -> None:
    server.answer = always(as_json(resource()))
    fetched, closed = threading.Event(), threading.Event()
    errors: list[str] = []

    def work() -> None:
        adapter.fetch(REF)
        fetched.set()
        closed.wait(10)
        try:
            adapter.fetch(REF)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    fetched.wait(10)
    adapter.close()
    closed.set()
    thread.join()
    assert "closed" in errors[0]
    assert len(server.seen) == 1


def test_the_shell_rewrites_neither_host_nor_credentials(
    server: Server,
    twilio_adapter: Callable[..., TwilioAdapter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "TWILIO_REGION": "ie1",
        "TWILIO_EDGE": "dublin",
        "TWILIO_ACCOUNT_SID": "AC" + "f" * 32,
        "TWILIO_AUTH_TOKEN": "another",
    }.items():
        monkeypatch.setenv(name, value)
    server.answer = always(as_json(resource()))
    assert twilio_adapter(server).fetch(REF).sid == sid(1)
    assert server.seen[0].auth == f"{ACCOUNT}:{TOKENS['us1']}"


def test_a_server_that_is_not_there_is_an_outage(
    twilio_adapter: Callable[..., TwilioAdapter],
) -> None:
    with Server().running() as server:
        adapter = twilio_adapter(server)
    failure = failure_of(lambda: adapter.fetch(REF))
    assert (failure.kind, failure.code) == (FailureKind.OUTAGE, "connection")
    assert "refused" in failure.message


def test_nothing_is_logged(
    server: Server, other: Server, adapter: TwilioAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda seen: (
        to(f"{other.url}/x?Signature=abc") if seen.path.endswith("wav") else as_json(resource())
    )
    other.answer = always(Reply(200, b"RIFF"))
    adapter.fetch(REF)
    download(adapter)
    server.answer = always(Reply(401))
    assert verdict_of(lambda: adapter.fetch(REF))[0] is FailureKind.DENIED
    assert caplog.messages == []


@pytest.mark.parametrize(
    "base",
    ["{other}", "{server}.evil.example", "{server}@evil.example", "https://127.0.0.1", "//["],
)
def test_the_sdk_itself_is_held_back_from_other_origins(
    server: Server, other: Server, base: str
) -> None:
    origin = Origin("us1", ACCOUNT, server.url, ACCOUNT, TOKENS["us1"])
    url = base.format(server=server.url, other=other.url) + LIST
    with httpx.Client() as http:
        session = Session(origin, http)
        failure = failure_of(lambda: session.recordings.get_page(url))
    assert failure.code in {"foreign_origin", "bad_answer"}
    assert server.seen == other.seen == []


def test_an_origin_does_not_show_its_secret() -> None:
    assert "hidden" not in repr(Origin("us1", ACCOUNT, "https://api.twilio.com", ACCOUNT, "hidden"))


def test_an_adapter_needs_a_region() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TwilioAdapter([])
