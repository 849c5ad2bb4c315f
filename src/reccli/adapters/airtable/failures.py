"""Translates what can go wrong with a request to Airtable into the one vocabulary of failure.

The errors are those of the Web API reference; the plural shape of body was seen in the wild.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from requests.exceptions import HTTPError, RequestException, Timeout, TooManyRedirects

from reccli.core.errors import Failure, FailureKind, Service

if TYPE_CHECKING:
    from requests import Response

RATE_LIMITED = "rate_limited"
ITERATOR_EXPIRED = "iterator_expired"
ODD_ANSWER = "odd_answer"

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{1,60}")
_ITERATOR = {"LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"}
_FIELDS = {"UNKNOWN_FIELD_NAME", "INVALID_FILTER_BY_FORMULA"}
_CAP = "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
_CAP_MESSAGE = (
    "the workspace has used up its API calls of this month: Airtable refuses all of them until "
    "the month ends or the plan is raised"
)
_DENIED_HINT = (
    "check airtable.api_key: scopes data.records:read and data.records:write, the base added to "
    "the token; then airtable.base_id and airtable.table"
)
_NOT_FOUND_HINT = "check airtable.table and airtable.base_id"
_FIELD_HINT = (
    "check that the table has the fields of airtable.call_sid_field, airtable.link_fields and "
    "airtable.key_fields"
)


def odd_answer(what: str) -> Failure:
    """Describe a success that is none: a login page, half a document, another document."""
    return Failure(
        Service.AIRTABLE,
        FailureKind.OUTAGE,
        ODD_ANSWER,
        f"a success whose body is {what}",
        "if it stays: is a proxy or another service answering at airtable.endpoint_url?",
    )


def failure_of(error: RequestException) -> Failure:
    """Say what a failed request means."""
    if isinstance(error, HTTPError) and error.response is not None:
        return _refusal(error.response)
    if isinstance(error, TooManyRedirects):
        code, text = "redirected", "answered with a redirect, which is not followed"
    elif isinstance(error, Timeout):
        code, text = "timeout", "did not answer in time"
    else:
        code, text = "unreachable", f"did not answer: {_cause(error)}"
    return Failure(Service.AIRTABLE, FailureKind.OUTAGE, code, text)


def _refusal(response: Response) -> Failure:
    status, wait = response.status_code, _retry_after(response)
    kind, message = _error(response)
    code = kind.lower() or f"http_{status}"
    text = f"HTTP {status} {kind}".rstrip() + (f": {message}" if message else "")

    def failure(means: FailureKind, code: str = code, hint: str = "") -> Failure:
        return Failure(Service.AIRTABLE, means, code, text, hint, wait)

    match HTTPStatus(status) if status in _KNOWN else None:
        case HTTPStatus.TOO_MANY_REQUESTS if kind == _CAP:
            result = Failure(
                Service.AIRTABLE, FailureKind.FATAL, "airtable_monthly_cap", _CAP_MESSAGE
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            result = failure(FailureKind.BUSY, RATE_LIMITED)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            result = failure(FailureKind.DENIED, hint=_DENIED_HINT)
        case HTTPStatus.NOT_FOUND:
            result = failure(FailureKind.PERMANENT, hint=_NOT_FOUND_HINT)
        case HTTPStatus.UNPROCESSABLE_ENTITY if kind in _ITERATOR:
            result = failure(FailureKind.ANEW, ITERATOR_EXPIRED)
        case HTTPStatus.UNPROCESSABLE_ENTITY if kind in _FIELDS:
            result = failure(FailureKind.PERMANENT, hint=_FIELD_HINT)
        case HTTPStatus.REQUEST_TIMEOUT:
            result = failure(FailureKind.OUTAGE)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            result = failure(FailureKind.OUTAGE)
        case _:
            result = failure(FailureKind.PERMANENT)
    return result


_KNOWN = frozenset(status.value for status in HTTPStatus)


def _error(response: Response) -> tuple[str, str]:
    """Read Airtable's type and message out of either shape of body; empty where there is none."""
    try:
        body = response.json()
    except (ValueError, RequestException):  # no JSON, or the body broke off
        return "", ""
    error = body.get("error", body.get("errors")) if isinstance(body, dict) else None
    if isinstance(error, list):
        error = error[0] if error else None
    if not isinstance(error, dict):
        error = {"type": error}
    kind, message = error.get("type") or error.get("error"), error.get("message")
    known = isinstance(kind, str) and _TYPE.fullmatch(kind)
    return str(kind) if known else "", _line(message) if isinstance(message, str) else ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _retry_after(response: Response) -> float | None:
    """Read how many seconds Airtable asks to wait; an odd value asks for nothing."""
    text = response.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) else None


def _cause(error: RequestException) -> str:
    """Dig the reason out of urllib3's wrapping, which starts with the whole URL."""
    inner = error.args[0] if error.args else error
    return _line(str(getattr(inner, "reason", inner))) or type(error).__name__
