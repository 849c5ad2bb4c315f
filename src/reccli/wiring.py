"""From settings to what each part is given, and to the services of a run.

Half of the composition root: for `app`, which runs commands, and for `intake`, which serves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from reccli.adapters.airtable import AirtableAdapter, AirtableOptions
from reccli.adapters.opener import Opener
from reccli.adapters.s3 import MAX_LINK_TTL, S3Adapter, S3Options
from reccli.adapters.twilio import Origin, Signatures, TwilioAdapter
from reccli.core.asked import Policy
from reccli.core.errors import Service
from reccli.core.links import (
    DATED,
    MAIN_REGION,
    Bucket,
    LinkBook,
    ObjectLinks,
    Permalinks,
    TwilioLinks,
)
from reccli.core.naming import Naming, placeholders
from reccli.flow.checks import Checks
from reccli.flow.outcome import Rules
from reccli.flow.pacer import Pacer
from reccli.flow.ports import Listing
from reccli.flow.retry import Retry
from reccli.flow.services import Services

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import ExitStack

    from reccli.config import Settings
    from reccli.flow.commands import Asked


_NO_CALL, _NOBODY = "CA" + "0" * 32, "RE" + "0" * 32
"""What there is not: that a service says so needs the same rights as to look for what there is."""

S3_READ_TIMEOUT = 20.0
"""Seconds without a byte from S3."""


def services(
    settings: Settings, concurrency: int, stop: threading.Event, stack: ExitStack
) -> Services:
    """Make the adapters, which `stack` closes; `stop` ends every waiting for a retry."""

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    book = link_book(settings)
    links = Opener()
    stack.callback(links.close)
    twilio = TwilioAdapter(origins(settings))
    stack.callback(twilio.close)
    s3 = S3Adapter(s3_options(settings, concurrency))
    stack.callback(s3.close)
    airtable = AirtableAdapter(
        airtable_options(settings, book), Pacer(settings.airtable.requests_per_second)
    )
    stack.callback(airtable.close)
    nobody = f"{settings.s3.prefix}{_NOBODY}"
    empty = {region: Listing(region, call_sid=_NO_CALL) for region in twilio.regions}
    probes: dict[str, Callable[[], object]] = {
        **{f"{Service.TWILIO} {r}": partial(twilio.page, empty[r], None) for r in empty},
        Service.TWILIO: partial(twilio.page, empty[MAIN_REGION], None),
        Service.S3: partial(s3.observe, nobody, _NOBODY, read_back=False),
        Service.AIRTABLE: airtable.probe,
    }
    retry = Retry(probes=probes, sleep=sleep)
    checks = Checks(s3, links, book, retry, _now, airtable=airtable)
    return Services(twilio, s3, airtable, book, retry, _now, checks)


def _now() -> datetime:
    return datetime.now(UTC)


def rules(settings: Settings, asked: Asked, book: LinkBook, *, lasting_links: bool = True) -> Rules:
    """Return what a command brings to every case; a retention that was asked for comes first."""
    retention = asked.retention
    if retention is None:
        retention = timedelta(hours=settings.twilio.retention_hours)
    return Rules(
        asked,
        Policy(retention, lasting_links),
        book,
        Naming(settings.s3.prefix, settings.s3.key_template, settings.twilio.media_format),
        conference_sid_field=settings.airtable.conference_sid_field,
    )


def link_book(settings: Settings) -> LinkBook:
    """Gather what reading and writing links needs."""
    s3, links = settings.s3, settings.links
    apis = {origin.region: origin.api_base for origin in origins(settings)}
    bucket = Bucket(s3.bucket, s3.region, s3.endpoint_url)
    return LinkBook(
        TwilioLinks(settings.twilio.account_sid, apis),
        Permalinks(links.base_url, links.secrets, current=links.style == "permalink"),
        ObjectLinks(bucket, links.style, links.base_url, links.former),
        refresh_before=timedelta(hours=links.refresh_before_hours),
        ttl=timedelta(hours=links.ttl_hours),
    )


def origins(settings: Settings) -> tuple[Origin, ...]:
    """Return where credentials may go, and which: the main region first."""
    twilio = settings.twilio
    if twilio.api_key_sid:
        username, password = twilio.api_key_sid, twilio.api_key_secret.get_secret_value()
    else:
        username, password = twilio.account_sid, twilio.auth_tokens[0]
    main = Origin(MAIN_REGION, twilio.account_sid, twilio.api_base, username, password)
    regional = (
        Origin(
            region.region,
            twilio.account_sid,
            region.api_base or f"https://api.{region.edge}.{region.region}.twilio.com",
            twilio.account_sid,
            region.auth_tokens[0],
        )
        for region in twilio.regions
    )
    return (main, *regional)


def signatures(settings: Settings) -> Signatures:
    """Gather every token that may have signed a callback: each region signs with its own."""
    twilio = settings.twilio
    holders = [("twilio.auth_token", twilio.auth_tokens)]
    holders += [(f"auth_token of region {one.region}", one.auth_tokens) for one in twilio.regions]
    return Signatures(
        {
            name if number == 1 else f"{name}, number {number}": token
            for name, tokens in holders
            for number, token in enumerate(tokens, 1)
        }
    )


def s3_options(settings: Settings, concurrency: int) -> S3Options:
    """Gather what the S3 adapter needs; presigned links live 7 days at most, by S3's rule."""
    s3 = settings.s3
    return S3Options(
        bucket=s3.bucket,
        region=s3.region,
        endpoint_url=s3.endpoint_url,
        access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key.get_secret_value(),
        storage_class=s3.storage_class,
        server_side_encryption=s3.server_side_encryption,
        kms_key_id=s3.kms_key_id,
        verifies_checksums=s3.verifies_checksums,
        accept_archive_class=s3.accept_archive_class,
        signing_access_key_id=s3.signing_access_key_id,
        signing_secret_access_key=s3.signing_secret_access_key.get_secret_value(),
        link_ttl=min(timedelta(hours=settings.links.ttl_hours), MAX_LINK_TTL),
        connections=concurrency,
        read_timeout=S3_READ_TIMEOUT,
    )


def airtable_options(settings: Settings, book: LinkBook) -> AirtableOptions:
    """Gather what the Airtable adapter needs; only columns that keys are made of are read."""
    airtable = settings.airtable
    wanted = placeholders(settings.s3.key_template)
    return AirtableOptions(
        api_key=airtable.api_key.get_secret_value(),
        base_id=airtable.base_id,
        table=airtable.table,
        endpoint_url=airtable.endpoint_url,
        call_sid_field=airtable.call_sid_field,
        link_fields=airtable.link_fields,
        key_fields={name: field for name, field in airtable.key_fields.items() if name in wanted},
        conference_sid_field=airtable.conference_sid_field,
        needles=book.twilio.needles,
        dated=DATED,
    )
