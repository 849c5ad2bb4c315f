"""The stand-ins that these tests talk to, and clients of them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pyairtable import Api, Table
from twilio.rest import Client

from reccli.sandbox.airtable_api import AirtableStandIn
from reccli.sandbox.s3_proxy import S3Proxy
from reccli.sandbox.seaweed import SeaweedFS
from reccli.sandbox.twilio_api import TwilioStandIn
from tests.sandbox.airtable_samples import BASE, FIELDS, LINK
from tests.sandbox.s3_samples import BUCKET
from tests.sandbox.s3_samples import connect as connect_s3
from tests.sandbox.samples import ACCOUNT, KEY, Clock

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twilio(clock: Clock) -> Iterator[TwilioStandIn]:
    with TwilioStandIn(ACCOUNT, "token", api_keys={KEY: "secret"}, clock=clock) as service:
        yield service


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5) as client:
        yield client


@pytest.fixture
def connect(twilio: TwilioStandIn) -> Iterator[Callable[..., Any]]:
    clients: list[Any] = []

    def make(user: str = ACCOUNT, word: str = "token") -> Any:  # noqa: ANN401 - twilio has no types
        client = Client(user, word, ACCOUNT)
        client.api.base_url = twilio.url
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.http_client.session.close()


@pytest.fixture
def sdk(connect: Callable[..., Any]) -> Any:  # noqa: ANN401
    return connect()


@pytest.fixture
def airtable() -> Iterator[AirtableStandIn]:
    with AirtableStandIn(
        "pat.key",
        BASE,
        "Call Logs",
        fields=FIELDS,
        types={LINK: "url", "Minutes": "number"},
        requests_per_second=None,
        clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC),
    ) as service:
        yield service


@pytest.fixture
def api(airtable: AirtableStandIn) -> Iterator[Api]:
    api = Api("pat.key", endpoint_url=airtable.url, retry_strategy=None, timeout=(5, 5))
    yield api
    api.session.close()


@pytest.fixture
def table(api: Api) -> Table:
    return api.table(BASE, "Call Logs")


@pytest.fixture(scope="session")
def store() -> Iterator[SeaweedFS]:
    with SeaweedFS() as store:
        store.create_bucket(BUCKET)
        yield store


@pytest.fixture(scope="session")
def proxy(store: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(store) as proxy:
        yield proxy


@pytest.fixture
def direct(store: SeaweedFS) -> Iterator["S3Client"]:
    client = connect_s3(store)
    yield client
    client.close()


@pytest.fixture
def s3(store: SeaweedFS, proxy: S3Proxy) -> Iterator["S3Client"]:
    """Through the proxy."""
    client = connect_s3(store, url=proxy.url)
    yield client
    client.close()
