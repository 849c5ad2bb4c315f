"""The sections on reccli itself: what it keeps, how it runs and whom it alerts.

As `sections`, to be read beside config.example.toml.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field

from reccli.config.section import NotRead, Section
from reccli.config.validators import (
    NO_SECRET,
    DatabaseUrl,
    File,
    Fraction,
    Hours,
    PingUrl,
    Secret,
    SomeHours,
    Text,
    Url,
    like,
    min_length,
)


class LedgerSection(Section):
    """The local memory of callbacks, events and runs."""

    url: DatabaseUrl  # secret, as it may hold a password; `load` gives the default
    keep_days: Annotated[int, Field(ge=1, le=100_000), NotRead] = 400


class Engine(Section):
    """What carries the copies out."""

    kind: Literal["threads", "dask"] = "threads"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 32
    scheduler: Annotated[
        str, like(r"|[a-z]+://\S+", "an address such as tcp://host:8786"), NotRead
    ] = ""
    workers: Annotated[int, Field(ge=1, le=256), NotRead] = 2
    tls_ca: Annotated[File, NotRead] = ""
    tls_cert: Annotated[File, NotRead] = ""
    tls_key: Annotated[File, NotRead] = ""


class Safety(Section):
    """The guard against deleting many recordings at once."""

    max_deletes: Annotated[int, Field(ge=0)] = 5000
    max_delete_fraction: Fraction = 1.0  # off: a run deletes no more than it has listed


RECORDING_STATUS, STREAM = "/api/twilio/recording-status", "/stream"


def _without_route(url: str) -> str:
    """Return the base of a URL that may be the whole one that Twilio was given."""
    return url.removesuffix(RECORDING_STATUS).rstrip("/")


class Webhook(Section):
    """Where callbacks come in."""

    public_url: Annotated[Url, AfterValidator(_without_route)] = ""
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    password: Annotated[Secret, min_length(16, "openssl rand -hex 16"), NotRead] = NO_SECRET
    # Below what a load balancer waits, it would send requests into connections that we close.
    keep_alive: Annotated[int, Field(ge=1, le=3600)] = 75

    @property
    def path(self) -> str:
        """The path of the public URL, decoded as a server decodes what is asked for; or ""."""
        return unquote(urlsplit(self.public_url).path)

    @property
    def recording_status_url(self) -> str:
        """The URL that Twilio was given for the status of recordings, and that it signs."""
        return f"{self.public_url}{RECORDING_STATUS}"

    @property
    def stream_url(self) -> str:
        """The URL that Twilio was given for media streams, and that it signs."""
        return f"ws{self.public_url.removeprefix('http')}{STREAM}"


class Alerts(Section):
    """When and how people hear of trouble."""

    fallback_rate_above: Fraction = 0.05
    window_hours: SomeHours = 24
    oldest_waiting_hours_above: Annotated[SomeHours, NotRead] = 26
    no_success_hours: Annotated[Hours, NotRead] = 26
    airtable_calls_above: Annotated[Fraction, NotRead] = 0.9
    # Apprise URLs carry tokens, and whoever knows a ping URL can silence the dead-man alarm.
    notify: Annotated[tuple[Secret, ...], NotRead] = ()
    healthcheck_url: Annotated[PingUrl, NotRead] = NO_SECRET
    metrics_file: Annotated[File, NotRead] = ""
