"""One sandbox for a worker of the test run, made clean for each test."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from reccli.sandbox.faults import Faults
from reccli.sandbox.running import Sandbox
from tests.e2e.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that two workers end together."""
    items.sort(key=lambda item: "e2e/test_stories" not in item.nodeid)


@pytest.fixture(scope="session")
def services() -> Iterator[tuple[Sandbox, S3Client]]:
    with Sandbox(penalty_s=0.2) as sandbox:
        client: S3Client = boto3.Session(
            sandbox.s3.access_key, sandbox.s3.secret_key, region_name=sandbox.s3.region
        ).client(
            "s3",
            endpoint_url=sandbox.s3.endpoint_url,
            config=Config(s3={"addressing_style": "path"}),
        )
        yield sandbox, client
        client.close()
        if sandbox.s3.pid:  # so many buckets take it long to put away, and nobody needs them
            os.kill(sandbox.s3.pid, signal.SIGKILL)


@pytest.fixture
def lab(services: tuple[Sandbox, S3Client], tmp_path: Path) -> Iterator[Lab]:
    sandbox, client = services
    twilio, airtable = sandbox.twilio, sandbox.airtable
    twilio.recordings.clear()
    twilio.deletions.clear()
    twilio.max_concurrent = None
    twilio.reset_pages()
    airtable.rows.clear()
    airtable.refuse.clear()
    airtable.ignore_writes.clear()
    # Runs follow one another faster here than cron would start them; pacing has its own tests.
    airtable.requests_per_second = None
    airtable.monthly_cap = None
    airtable.read_only = False
    airtable.reset_fields()
    for service in (twilio, twilio.media, airtable):
        service.faults = Faults()
        service.clear_requests()
        service.latency = 0.0
        service.down = False
        service.on_request = None
    sandbox.s3_proxy.reset()
    home = tmp_path / "reccli"
    home.mkdir()
    sandbox.home = home
    bucket = f"b{uuid4().hex[:20]}"
    client.create_bucket(Bucket=bucket)
    made = Lab(sandbox, client, sandbox.s3_proxy, bucket, home)
    yield made
    made.check_nothing_lost()
    # Redirects lead to the media origin: credentials are not for it.
    assert all(request.authorization is None for request in twilio.media.requests)
