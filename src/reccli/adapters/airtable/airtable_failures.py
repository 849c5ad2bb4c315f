"""Translates what can go wrong with a request to Airtable into the one vocabulary of failure.

The errors are those of the Web API reference; the plural shape of body was seen in the wild.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.exceptions import HTTPError, RequestException, Timeout, TooManyRedirects

from reccli import network
from reccli.core.errors import Failure, FailureKind, Service

if TYPE_CHECKING:
    from collections.abc import Collection

    from requests import Response

RATE_LIMITED = "rate_limited"
ITERATOR_EXPIRED = "iterator_expired"
ODD_ANSWER = "odd_answer"

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{1,60}")
_ITERATOR = {"LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"}
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


_HINTS = dict.fromkeys(("UNKNOWN_FIELD_NAME", "INVALID_FILTER_BY_FORMULA"), _FIELD_HINT)
_LOCKED_HINT = (
    "in Airtable, let the user of airtable.api_key edit {}: the field's own permissions say who may"
)
_NO_LINKS_HINT = (
    "{} takes no links: make it a single line text, a long text or a URL, or name another field"
)
_TOO_LARGE_HINT = (
    "a proxy on the way to airtable.endpoint_url may bound the size of requests: let 32 kB pass"
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


def failure_of(error: RequestException, fields: Collection[str] = ()) -> Failure:
    """Say what a failed request means, that was to write into these fields."""
    if isinstance(error, HTTPError) and error.response is not None:
        return _refused_cells(error.response, fields) or _refusal(error.response)
    url = error.request.url if error.request is not None else None
    host = urlsplit(url or "").hostname or "Airtable"
    if known := network.failure_on_the_way(error, Service.AIRTABLE, host):
        return known
    if isinstance(error, TooManyRedirects):
        code, text = "redirected", "answered with a redirect, which is not followed"
    elif isinstance(error, Timeout):
        code, text = "timeout", "did not answer in time"
    else:
        code, text = "unreachable", f"did not answer: {_cause(error)}"
    return Failure(Service.AIRTABLE, FailureKind.OUTAGE, code, text)


def _refused_cells(response: Response, fields: Collection[str]) -> Failure | None:
    """Say which of the fields is refused, if one is: whoever asks, and whatever the link.

    A value that is not accepted may be that of one row alone; the others are about the field.
    """
    status = response.status_code
    kind, message = _error(response)
    name = next((name for name in fields if _is_named(name, message)), None)
    if name is None:
        return None
    here = f"{name!r} of airtable.link_fields"
    whole: str | None = name
    if status == HTTPStatus.FORBIDDEN and kind == "INVALID_PERMISSIONS":
        hint = _LOCKED_HINT.format(here)
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY and kind == "UNKNOWN_FIELD_NAME":
        hint = _FIELD_HINT
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY:
        hint = _NO_LINKS_HINT.format(here)
        if kind != "INVALID_ATTACHMENT_OBJECT" and "computed" not in message:
            whole = None
    else:
        return None
    text = f"HTTP {status} {kind}: {message}"
    return Failure(Service.AIRTABLE, FailureKind.PERMANENT, kind.lower(), text, hint, field=whole)


def _is_named(name: str, message: str) -> bool:
    """Whether a message of the API names this field, in one of its three ways."""
    line = _line(name)
    return any(said in message for said in (f'"{line}"', f"field {line} (fld", f"field {line}:"))


def _refusal(response: Response) -> Failure:
    status, wait = response.status_code, network.retry_after(response.headers)
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
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            result = failure(FailureKind.TOO_LARGE, hint=_TOO_LARGE_HINT)
        case HTTPStatus.UNPROCESSABLE_ENTITY if kind == "ROW_DOES_NOT_EXIST":
            result = failure(FailureKind.GONE)
        case HTTPStatus.UNPROCESSABLE_ENTITY if kind in _ITERATOR:
            result = failure(FailureKind.ANEW, ITERATOR_EXPIRED)
        case HTTPStatus.REQUEST_TIMEOUT:
            result = failure(FailureKind.OUTAGE)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            result = failure(FailureKind.OUTAGE)
        case _:
            where = _NOT_FOUND_HINT if status == HTTPStatus.NOT_FOUND else ""
            result = failure(FailureKind.PERMANENT, hint=_HINTS.get(kind, where))
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


def _cause(error: RequestException) -> str:
    """Dig the reason out of urllib3's wrapping, which starts with the whole URL."""
    inner = error.args[0] if error.args else error
    return _line(str(getattr(inner, "reason", inner))) or type(error).__name__
