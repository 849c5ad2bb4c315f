"""Made-up SIDs, times and makers that the tests of the core share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from reccli.core.links import Bucket, LinkBook, ObjectLinks, Permalinks, TwilioLinks
from reccli.core.model import Recording, Ref, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "AC" + "a1" * 16
OTHER_ACCOUNT = "AC" + "b2" * 16
RE1, RE2, RE3 = ("RE" + digit * 32 for digit in "123")
CA1, CA2 = ("CA" + digit * 32 for digit in "12")
CF1, CF2 = ("CF" + digit * 32 for digit in "12")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BUCKET = "calls"
KEY = f"call-recordings/{CA1}/{RE1}.mp3"
MAIN, TRANSFER = "Recording URL (Twilio/S3)", "Transfer Recording URL"
APIS = {"us1": "https://api.twilio.com", "au1": "https://api.sydney.au1.twilio.com"}


def make_book(
    *,
    apis: Mapping[str, str] | None = None,
    bucket: str = BUCKET,
    s3_region: str = "ap-southeast-2",
    endpoint_url: str = "",
    style: str = "presigned",
    base_url: str = "",
    secrets: tuple[str, ...] = (),
    former: tuple[str, ...] = (),
    refresh_before: timedelta = timedelta(hours=48),
) -> LinkBook:
    """Make the links of an installation on AWS with one more Twilio region."""
    return LinkBook(
        TwilioLinks(ACCOUNT, APIS if apis is None else apis),
        Permalinks(base_url, secrets, current=style == "permalink"),
        ObjectLinks(Bucket(bucket, s3_region, endpoint_url), style, base_url, former),
        refresh_before,
    )


def make_recording(**changes: Any) -> Recording:  # noqa: ANN401  # any field of Recording
    """Make a completed recording of a call."""
    settings: dict[str, Any] = {
        "sid": RE1,
        "account_sid": ACCOUNT,
        "region": "us1",
        "status": "completed",
        "call_sid": CA1,
        "created": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    }
    return Recording(**(settings | changes))


def make_ref(sid: str = RE1, call: str | None = CA1, conference: str | None = None) -> Ref:
    """Name a recording by its SIDs."""
    return Ref(sid, ACCOUNT, "us1", call, conference)


def make_row(
    *cells: str,
    row_id: str = "rec1",
    call: str = CA1,
    fields: Mapping[str, str | None] | None = None,
    conference: str = "",
    call_cell: str = "",
) -> Row:
    """Make a row whose link fields hold these cells, in order; those not given are empty."""
    texts = (*cells, "", "")[: max(2, len(cells))]
    names = (MAIN, TRANSFER, *(f"More {n}" for n in range(len(cells))))
    links = dict(zip(names, texts, strict=False))
    return Row(row_id, call, links, fields or {}, conference, call_cell)


def twilio_cell(sid: str, extension: str = ".mp3", account: str = ACCOUNT) -> str:
    """Write a fallback link as the first version did."""
    return f"https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{sid}{extension}"


def presigned(address: str, *, date: str = "20261122T000000Z", seconds: str = "604800") -> str:
    """Write a SigV4 link as boto3 does."""
    return (
        f"{address}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261122%2Fx"
        f"&X-Amz-Date={date}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host&X-Amz-Signature=ab12"
    )
