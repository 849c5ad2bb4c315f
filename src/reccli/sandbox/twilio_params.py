"""What a request to Twilio's API asks for, and the errors that it earns."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from reccli.core.sids import CALL, CONFERENCE, is_sid
from reccli.sandbox.standin import Request, Response, rest_exception

API = "/2010-04-01/Accounts/"
DATE_FILTERS = {"DateCreated", "DateCreated<", "DateCreated>"}


class TwilioError(Exception):
    """An error that the API answers with; `as_media` in XML, as media URLs do."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self, *, as_media: bool) -> Response:
        """Return it as a response."""
        if as_media:
            return rest_exception(self.status, self.code, self.message)
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return Response.json(
            self.status,
            {"code": self.code, "message": self.message, "more_info": more, "status": self.status},
        )


def not_found(request: Request) -> TwilioError:
    """Return the error of a 404."""
    return TwilioError(404, 20404, f"The requested resource {request.path} was not found")


def flat_query(request: Request, known: set[str]) -> dict[str, str]:
    """Parse the parameters, each once, refusing unknown ones: that is how requests prove right."""
    for name, values in request.query.items():
        if name not in known or len(values) != 1:
            raise TwilioError(400, 20001, f"Unknown parameter {name}")
        kind = {"CallSid": CALL, "ConferenceSid": CONFERENCE}.get(name)
        if kind and not is_sid(values[0], kind):
            raise TwilioError(400, 20001, f"Invalid {name}")
    return {name: values[0] for name, values in request.query.items()}


def whole_number(query: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    """Parse a whole number in its range."""
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) not in allowed:
        raise TwilioError(400, 20001, f"Invalid {name}: {text}")
    return int(text)


def date_limit(name: str, value: str, *, whole_days: bool) -> Callable[[datetime], bool]:
    """Make a filter of a date or a time: `DateCreated<` and `DateCreated>` include their limit."""
    try:
        limit = datetime.fromisoformat(value)
    except ValueError as error:
        raise TwilioError(400, 20001, f"Invalid {name}: {value}") from error
    limit = limit.replace(tzinfo=limit.tzinfo or UTC)
    whole_days = whole_days or "T" not in value
    if whole_days:
        limit = limit.replace(hour=0, minute=0, second=0, microsecond=0)
    until = limit + (timedelta(days=1) if whole_days else timedelta(seconds=1))
    match name:
        case "DateCreated<":
            return lambda created: created <= limit
        case "DateCreated>":
            return lambda created: created >= limit
    return lambda created: limit <= created < until
