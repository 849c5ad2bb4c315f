"""Which region is asked, and what proves that a recording is deleted."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import FailureKind
from reccli.core.model import Recording, Ref
from reccli.flow.listing import fetch
from reccli.flow.services import Services

from .samples import (
    ACCOUNT,
    BAD_ANSWER,
    HTML,
    PATH,
    RECORDING,
    TOKENS,
    delete,
    download,
    resource,
    sid,
    verdict_of,
)
from .scripted import Reply, Seen, Server, always, as_json, by_method


def find(adapter: TwilioAdapter, number: int = 1) -> Recording:
    """Fetch from whatever region has it, as the flow does."""
    once = SimpleNamespace(
        twilio=adapter, retry_in=lambda _region: lambda _of, call, *how: call(*how)
    )
    return fetch(Ref(sid(number), ACCOUNT), cast("Services", once))


@pytest.mark.parametrize(
    ("statuses", "kind", "code"),
    [
        ((404, 404), FailureKind.PERMANENT, "not_found"),
        ((503, 404), FailureKind.OUTAGE, "http_503"),
        ((404, 401), FailureKind.DENIED, "http_401"),
    ],
)
def test_not_found_means_that_every_region_said_so(
    server: Server,
    other: Server,
    twilio_adapter: Callable[..., TwilioAdapter],
    *,
    statuses: tuple[int, int],
    kind: FailureKind,
    code: str,
) -> None:
    server.answer, other.answer = (always(Reply(status)) for status in statuses)
    adapter = twilio_adapter(server, other)
    assert verdict_of(lambda: find(adapter)) == (kind, code)
    assert [seen.auth for seen in server.seen] == [f"{ACCOUNT}:{TOKENS['us1']}"]
    assert [seen.auth for seen in other.seen] == [f"{ACCOUNT}:{TOKENS['au1']}"]


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_404_that_another_wrote_outweighs_twilios_own(
    server: Server, other: Server, twilio_adapter: Callable[..., TwilioAdapter], first: str
) -> None:
    """Where a proxy or a wrong address answers for one region, the recording may be there."""
    one, two = (server, other) if first == "ours" else (other, server)
    one.answer, two.answer = always(NOT_THERE), always(Reply(404))
    adapter = twilio_adapter(server, other)
    wanted = (FailureKind.PERMANENT, "not_found")
    assert verdict_of(lambda: find(adapter)) == wanted
    two.answer = always(NOT_THERE)
    wanted = (FailureKind.GONE, "not_found")
    assert verdict_of(lambda: find(adapter)) == wanted


def test_a_region_that_has_it_outweighs_one_that_is_down(
    server: Server, other: Server, twilio_adapter: Callable[..., TwilioAdapter]
) -> None:
    server.answer, other.answer = always(Reply(503)), always(as_json(resource()))
    assert find(twilio_adapter(server, other)).region == "au1"


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        (Ref("../../Accounts", ACCOUNT, "us1"), "bad_sid"),
        (Ref(f"{sid(1)}\n", ACCOUNT, "us1"), "bad_sid"),
        (Ref(sid(1), "AC" + "f" * 32, "us1"), "other_account"),
        (Ref(sid(1), ACCOUNT, "ie1"), "unknown_region"),
    ],
)
def test_what_names_no_recording_of_ours_is_not_asked_for(
    server: Server, adapter: TwilioAdapter, ref: Ref, code: str
) -> None:
    recording = Recording(ref.sid, ref.account_sid, ref.region or "", "completed")
    for call in (
        lambda: adapter.fetch(ref),
        lambda: delete(adapter, recording),
        lambda: download(adapter, recording),
    ):
        assert verdict_of(call) == (FailureKind.PERMANENT, code)
    assert server.seen == []


NOT_THERE = as_json({"code": 20404, "message": "was not found", "status": 404}, 404)
UNCONFIRMED = (FailureKind.BUSY, "delete_unconfirmed")


@pytest.mark.parametrize(
    ("answer", "after", "verdict"),
    [
        (Reply(204), as_json(resource()), UNCONFIRMED),
        (Reply(204), as_json(resource(status="processing")), UNCONFIRMED),
        (Reply(204), Reply(404), UNCONFIRMED),
        (Reply(204), Reply(404, HTML.body, HTML.headers), UNCONFIRMED),
        (Reply(204), Reply(404, b"<Code>20404</Code><Message>gone</Message>"), UNCONFIRMED),
        (Reply(204), Reply(404, b"[" * 100_000), UNCONFIRMED),
        (Reply(204), as_json([20404], 404), UNCONFIRMED),
        (Reply(204), as_json({"code": 20403}, 404), UNCONFIRMED),
        (Reply(204), as_json({"message": "20404"}, 404), UNCONFIRMED),
        (Reply(204), Reply(404, NOT_THERE.body, cut=20), (FailureKind.OUTAGE, "connection")),
        (Reply(204), as_json({"code": 20404}, 400), (FailureKind.PERMANENT, "20404")),
        (Reply(204), as_json({"code": 20404}), BAD_ANSWER),
        (Reply(204), as_json({"code": 20404}, 403), (FailureKind.DENIED, "20404")),
        (Reply(204), Reply(503), (FailureKind.OUTAGE, "http_503")),
        (Reply(404), as_json(resource()), UNCONFIRMED),
        (Reply(404), Reply(404), (FailureKind.PERMANENT, "not_found")),
        (NOT_THERE, NOT_THERE, (FailureKind.GONE, "not_found")),
        (Reply(400), NOT_THERE, (FailureKind.PERMANENT, "http_400")),
        (Reply(200, b"{}"), NOT_THERE, BAD_ANSWER),
        (Reply(503), NOT_THERE, (FailureKind.OUTAGE, "http_503")),
        (Reply(drop=True), NOT_THERE, (FailureKind.OUTAGE, "connection")),
        (Reply(400), as_json(resource()), (FailureKind.PERMANENT, "http_400")),
        (Reply(400), Reply(404), (FailureKind.PERMANENT, "http_400")),
        (Reply(400), Reply(503), (FailureKind.OUTAGE, "http_503")),
    ],
)
def test_a_delete_without_proof_is_an_error(
    server: Server,
    adapter: TwilioAdapter,
    *,
    answer: Reply,
    after: Reply,
    verdict: tuple[FailureKind, str],
) -> None:
    server.answer = by_method(DELETE=answer, GET=after)
    assert verdict_of(lambda: delete(adapter, RECORDING)) == verdict


@pytest.mark.parametrize("after", [NOT_THERE, as_json(resource(status="deleted"))])
def test_a_204_and_then_twilios_own_word_is_a_delete(
    server: Server, adapter: TwilioAdapter, after: Reply
) -> None:
    """An account that is not shown what was deleted says that there is no such recording."""
    server.answer = by_method(DELETE=Reply(204), GET=after)
    delete(adapter, RECORDING)
    assert [seen.method for seen in server.seen] == ["DELETE", "GET"]
    assert server.seen[1].query == {"IncludeSoftDeleted": "true"}


@pytest.mark.parametrize("refusal", [Reply(404), Reply(400), Reply(410)])
def test_however_a_second_delete_is_refused_the_proof_counts(
    server: Server, adapter: TwilioAdapter, refusal: Reply
) -> None:
    server.answer = by_method(DELETE=refusal, GET=as_json(resource(status="deleted")))
    delete(adapter, RECORDING)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Reply(200, HTML.body), *BAD_ANSWER),
        (Reply(202, b"{}"), *BAD_ANSWER),
        (as_json({"code": 16114}, 400), FailureKind.BUSY, "16114"),
        (Reply(409), FailureKind.BUSY, "http_409"),
        (Reply(429), FailureKind.BUSY, "http_429"),
        (Reply(403), FailureKind.DENIED, "http_403"),
        (Reply(drop=True), FailureKind.OUTAGE, "connection"),
    ],
)
def test_only_a_204_is_a_delete(
    server: Server, adapter: TwilioAdapter, answer: Reply, kind: FailureKind, code: str
) -> None:
    server.answer = by_method(DELETE=answer)
    assert verdict_of(lambda: delete(adapter, RECORDING)) == (kind, code)
    assert [seen.method for seen in server.seen] == ["DELETE"]


def test_requests_are_shaped_as_the_spec_says(server: Server, adapter: TwilioAdapter) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(204) if seen.method == "DELETE" else as_json(resource(status="deleted"))

    server.answer = answer
    delete(adapter, RECORDING)
    assert [(seen.method, seen.path, seen.query) for seen in server.seen] == [
        ("DELETE", f"{PATH}.json", {}),
        ("GET", f"{PATH}.json", {"IncludeSoftDeleted": "true"}),
    ]
    assert "content-length" not in server.seen[1].headers
