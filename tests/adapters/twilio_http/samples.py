"""Names, documents and shorthands that the tests of the Twilio adapter share."""

from collections.abc import Callable
from typing import Protocol

import pytest

from reccli.adapters.twilio import TwilioAdapter
from reccli.core.errors import Failure, FailureKind, ServiceError
from reccli.core.model import Recording, Ref
from reccli.sandbox.recordings import FakeRecording

from .scripted import Reply, as_json

ACCOUNT = "AC" + "a" * 32
CALL = "CA" + "b" * 32
TOKENS = {"us1": "s3cr3t-of-us1", "au1": "s3cr3t-of-au1"}
HTML = Reply(
    200, b"<!DOCTYPE html><html>Hotel WiFi, token=abc</html>", {"Content-Type": "text/html"}
)


BAD_ANSWER = (FailureKind.OUTAGE, "bad_answer")


class HasUrl(Protocol):
    """A server of some kind."""

    @property
    def url(self) -> str: ...


def sid(number: int) -> str:
    """Make the SID of a recording."""
    return f"RE{number:032x}"


REF = Ref(sid(1), ACCOUNT, "us1")
RECORDING = Recording(sid(1), ACCOUNT, "us1", "completed", channels=1)
LIST = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings.json"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid(1)}"


def resource(number: int = 1, **changes: object) -> dict[str, object]:
    """Word a recording as the example in twilio-oai does."""
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "call_sid": CALL,
        "conference_sid": None,
        "channels": 2,
        "date_created": "Fri, 14 Oct 2016 21:56:34 +0000",
        "date_updated": "Fri, 14 Oct 2016 21:56:38 +0000",
        "start_time": "Fri, 14 Oct 2016 21:56:34 +0000",
        "price": "-0.00250",
        "price_unit": "USD",
        "duration": "4",
        "sid": sid(number),
        "source": "DialVerb",
        "status": "completed",
        "error_code": None,
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid(number)}.json",
        "subresource_uris": {},
        "encryption_details": None,
        "media_url": f"http://api.twilio.com{PATH}",
        **changes,
    }


def listing_page(*items: object, following: object = None) -> Reply:
    """Word one page of a list."""
    return as_json({"page": 0, "recordings": items, "next_page_uri": following, "uri": LIST})


def failure_of(call: Callable[[], object]) -> Failure:
    """Let a call fail, and see to it that no secret is in what it says."""
    with pytest.raises(ServiceError) as caught:
        call()
    shown = repr(caught.value) + repr(caught.value.failure)
    for secret in (*TOKENS.values(), "token=", "Signature", "PageToken", "Hotel"):
        assert secret not in shown
    return caught.value.failure


def verdict_of(call: Callable[[], object]) -> tuple[FailureKind, str]:
    """Tell kind and code of the failure."""
    failure = failure_of(call)
    return failure.kind, failure.code


def download(adapter: TwilioAdapter, recording: Recording = RECORDING, form: str = "wav") -> bytes:
    """Read the whole audio."""
    with adapter.media(recording, form) as media:
        return b"".join(media.chunks)


def delete(adapter: TwilioAdapter, recording: Recording) -> None:
    """Ask for it to be deleted, and for the proof, as a run does."""
    adapter.prove_deleted(recording, adapter.delete(recording))


def seen(fake: FakeRecording, **changes: object) -> Recording:
    """Tell what the adapter makes of a recording of the stand-in."""
    facts = {
        "status": fake.status,
        "call_sid": fake.call_sid,
        "conference_sid": fake.conference_sid,
        "duration": fake.duration,
        "channels": fake.channels,
        "created": fake.created.replace(microsecond=0),
        "source": fake.source,
        "encryption": dict(fake.encryption_details or {}),
    }
    return Recording(fake.sid, ACCOUNT, "us1", **(facts | changes))  # type: ignore[arg-type]
