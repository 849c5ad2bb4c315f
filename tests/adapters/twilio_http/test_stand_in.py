"""The adapter against the local Twilio: listing, fetching, copying, deleting as it really goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import FailureKind
from reccli.core.model import Recording, Ref
from reccli.flow.ports import Listing
from reccli.sandbox.audio import wav
from reccli.sandbox.recordings import ENCRYPTION_DETAILS
from reccli.sandbox.standin import Fault, FaultKind, stopped
from reccli.sandbox.twilio_api import TwilioStandIn

from .samples import ACCOUNT, CALL, delete, download, failure_of, seen, sid, verdict_of

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def adapter(twilio: TwilioStandIn, twilio_adapter: Callable[..., TwilioAdapter]) -> TwilioAdapter:
    return twilio_adapter(twilio, read_timeout=5)


def listed(adapter: TwilioAdapter, listing: Listing) -> list[Recording]:
    found: list[Recording] = []
    cursor = None
    while True:
        page = adapter.page(listing, cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


def fill(twilio: TwilioStandIn, count: int) -> list[str]:
    """Add recordings, and tell their SIDs, the newest first."""
    for number in range(count):
        twilio.add(sid=sid(number), created=NOON + timedelta(seconds=number))
    return [sid(number) for number in reversed(range(count))]


def test_a_listing_walks_all_pages(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    sids = fill(twilio, 2500)
    assert [item.sid for item in listed(adapter, Listing("us1"))] == sids
    assert len(twilio.requests) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, FailureKind.DENIED), (429, FailureKind.BUSY), (503, FailureKind.OUTAGE)],
)
def test_a_listing_whose_third_page_fails_fails_with_its_status(
    twilio: TwilioStandIn, adapter: TwilioAdapter, status: int, kind: FailureKind
) -> None:
    fill(twilio, 2500)
    twilio.faults.add(Fault(FaultKind.STATUS, after=2, status=status))
    assert verdict_of(lambda: listed(adapter, Listing("us1"))) == (kind, f"http_{status}")


@pytest.mark.parametrize("whole_days", [True, False])
def test_bounds_hold_to_the_second_whatever_twilio_makes_of_them(
    twilio: TwilioStandIn, adapter: TwilioAdapter, *, whole_days: bool
) -> None:
    twilio.whole_days = whole_days
    for hours in range(-36, 37):
        twilio.add(created=NOON + timedelta(hours=hours))
    since, until = NOON - timedelta(hours=20), NOON + timedelta(hours=5)
    found = listed(adapter, Listing("us1", since, until))
    assert {item.created for item in found} == {
        NOON + timedelta(hours=hours) for hours in range(-20, 6)
    }
    assert twilio.requests[0].query == {
        "DateCreated>": ["2026-11-02"],
        "DateCreated<": ["2026-11-04"],
        "PageSize": ["1000"],
    }


def test_bounds_are_days_of_utc(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    """Where it is the next day already, the recording of the night would be left out."""
    sydney = timezone(timedelta(hours=11))
    made = twilio.add(created=NOON.replace(hour=14))
    since = NOON.replace(hour=13, minute=30).astimezone(sydney)
    assert since.date() > NOON.date()
    (found,) = listed(adapter, Listing("us1", since))
    assert found.created == made.created
    assert twilio.requests[0].query["DateCreated>"] == [f"{NOON:%Y-%m-%d}"]


def test_the_recordings_of_one_call(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    mine = [twilio.add(CALL, created=NOON), twilio.add(CALL, created=NOON + timedelta(1))]
    twilio.add()
    assert listed(adapter, Listing("us1", call_sid=CALL)) == [seen(mine[1]), seen(mine[0])]


@pytest.mark.parametrize("status", ["completed", "processing", "deleted", "absent", "failed"])
def test_fetch_tells_every_state(
    twilio: TwilioStandIn, adapter: TwilioAdapter, status: str
) -> None:
    fake = twilio.add(CALL, channels=2, encryption_details=ENCRYPTION_DETAILS)
    fake.status = status
    found = adapter.fetch(Ref(fake.sid, ACCOUNT, "us1"))
    known = status in {"completed", "deleted"}
    assert found == seen(fake, duration=fake.duration if known else None)


def test_what_is_not_there_is_a_404(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    wanted = (FailureKind.GONE, "not_found")
    assert verdict_of(lambda: adapter.fetch(Ref(sid(1), ACCOUNT, "us1"))) == wanted


def test_a_recording_of_another_region_is_found_with_that_regions_token(
    twilio: TwilioStandIn, au1: TwilioStandIn, twilio_adapter: Callable[..., TwilioAdapter]
) -> None:
    adapter = twilio_adapter(twilio, au1)
    fake = au1.add()
    found = adapter.fetch(Ref(fake.sid, ACCOUNT, "au1"))
    assert found.region == "au1"
    assert download(adapter, found) == wav(fake.sid, fake.duration)
    delete(adapter, found)
    assert [gone.sid for gone in au1.deletions] == [fake.sid]
    assert not twilio.requests


def test_an_answer_of_html_is_an_outage(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    ref = Ref(twilio.add().sid, ACCOUNT, "us1")
    twilio.faults.add(Fault(FaultKind.HTML))
    failure = failure_of(lambda: adapter.fetch(ref))
    assert (failure.kind, failure.code) == (FailureKind.OUTAGE, "bad_answer")
    assert "a page of HTML" in failure.message


def test_a_wrong_token_is_denied(
    au1: TwilioStandIn, twilio_adapter: Callable[..., TwilioAdapter]
) -> None:
    adapter = twilio_adapter(au1)  # speaks with the token of us1
    recording = seen(au1.add())
    for call in (
        lambda: adapter.fetch(recording.ref),
        lambda: adapter.page(Listing("us1"), None),
        lambda: delete(adapter, recording),
        lambda: download(adapter, recording),
    ):
        failure = failure_of(call)
        assert (failure.kind, failure.code) == (FailureKind.DENIED, "20003")
        assert f"valid for account {ACCOUNT} in region us1" in failure.hint
        assert "twilio.auth_token" in failure.hint


def test_too_many_requests_are_busy(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    recording = seen(twilio.add())
    twilio.max_concurrent = 0
    assert verdict_of(lambda: delete(adapter, recording)) == (FailureKind.BUSY, "20429")
    assert verdict_of(lambda: download(adapter, recording)) == (FailureKind.BUSY, "20429")


def test_a_stopped_twilio_is_an_outage(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    recording = seen(twilio.add())
    with stopped(twilio):
        assert verdict_of(lambda: delete(adapter, recording)) == (FailureKind.OUTAGE, "connection")
    delete(adapter, recording)


def test_a_delete_is_confirmed(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    fake = twilio.add()
    delete(adapter, seen(fake))
    assert [(request.method, request.status) for request in twilio.requests] == [
        ("DELETE", 204),
        ("GET", 200),
    ]
    assert adapter.fetch(seen(fake).ref).status == "deleted"


def test_a_second_delete_is_as_good(twilio: TwilioStandIn, adapter: TwilioAdapter) -> None:
    recording = seen(twilio.add())
    delete(adapter, recording)
    delete(adapter, recording)
    assert [request.status for request in twilio.requests] == [204, 200, 404, 200]


def test_a_delete_whose_answer_is_lost_converges_on_the_next_try(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    recording = seen(twilio.add())
    twilio.faults.add(Fault(FaultKind.LOST_RESPONSE, method="DELETE"))
    assert verdict_of(lambda: delete(adapter, recording)) == (FailureKind.OUTAGE, "connection")
    delete(adapter, recording)
    assert len(twilio.deletions) == 1


def test_a_delete_answered_with_html_did_not_happen(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    recording = seen(twilio.add())
    twilio.faults.add(Fault(FaultKind.HTML, method="DELETE"))
    assert verdict_of(lambda: delete(adapter, recording)) == (FailureKind.OUTAGE, "bad_answer")
    assert twilio.deletions == []


def test_a_recording_in_progress_cannot_be_deleted(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    recording = seen(twilio.add(status="processing"))
    assert verdict_of(lambda: delete(adapter, recording)) == (FailureKind.PERMANENT, "20009")


def test_forty_days_after_a_delete_there_is_no_proof_left(
    twilio: TwilioStandIn, adapter: TwilioAdapter
) -> None:
    fake = twilio.add()
    twilio.delete(fake.sid)
    fake.deleted_at = datetime.now(UTC) - timedelta(days=41)
    assert verdict_of(lambda: delete(adapter, seen(fake))) == (FailureKind.GONE, "not_found")
