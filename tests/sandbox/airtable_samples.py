"""What the tests of the local Airtable share."""

from typing import Any

import pytest
import requests

BASE = "appBase0000000001"
LINK = "Recording URL (Twilio/S3)"
FIELDS = ["CallSid", LINK, "Minutes"]
TWILIO = "https://api.twilio.com/"


def error(caught: pytest.ExceptionInfo[requests.HTTPError]) -> tuple[int, Any]:
    body = caught.value.response.json()
    found = body["error"]
    return caught.value.response.status_code, found if isinstance(found, str) else found["type"]


def refused(call: Any, *args: Any, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
    with pytest.raises(requests.HTTPError) as caught:
        call(*args, **options)
    return error(caught)
