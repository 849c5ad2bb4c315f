"""The app against its description: whatever is sent, there is no 500."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from twilio.request_validator import RequestValidator

from reccli.sandbox.running import AUTH_TOKEN
from tests.intake.app import PUBLIC_URL, Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = 60
schema = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("ledger")) as server:
        yield server


def signature_of(case: schemathesis.Case[Any]) -> dict[str, str]:
    """Sign as Twilio would, so that the test gets past the door."""
    form = case.body if isinstance(case.body, dict) else {}
    texts = {str(name): str(value) for name, value in form.items()}
    url = PUBLIC_URL + case.formatted_path
    return {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, texts)}


@pytest.mark.parametrize("signed", [False, True])
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_there_is_no_500(case: schemathesis.Case[Any], app: Running, *, signed: bool) -> None:
    answer = case.call(base_url=app.url, headers=signature_of(case) if signed else None)
    if answer.status_code != 503:  # which is an answer of ours, and described
        case.validate_response(answer, checks=[not_a_server_error])
