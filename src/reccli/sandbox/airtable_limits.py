"""How a local Airtable holds its clients back: requests a second, and calls a month."""

from collections import deque

from reccli.sandbox.airtable_errors import AirtableError, failure
from reccli.sandbox.standin import Request, Response, StandIn, fingerprint

BILLING = (
    "API billing plan limit exceeded. You've reached the maximum number of requests allowed for "
    "this month"
)
RATE_LIMITED = "Rate limit exceeded. Please try again later"


class LimitedStandIn(StandIn):
    """Counts the requests of one token; strangers are refused elsewhere."""

    requests_per_second: float | None = None
    penalty_s = 30.0
    monthly_cap: int | None = None

    def __init__(self, api_key: str, *, port: int) -> None:
        super().__init__(port=port)
        self.plural_errors = False
        self.throttled = 0
        self.calls_this_month = 0
        self._arrived: deque[float] = deque()
        self._penalty_until = 0.0
        self._accepted = fingerprint(f"Bearer {api_key}")

    def admit(self, request: Request) -> Response | None:
        """Hold the rate limit over arrivals, and the monthly cap (which spares `meta`)."""
        segments = request.segments
        if request.authorization != self._accepted or segments[1:3] == ["meta", "whoami"]:
            return None
        with self.lock:
            if self._is_throttled(request.time):
                self.throttled += 1
                error = {"error": "RATE_LIMIT_REACHED", "message": RATE_LIMITED}
                if self.plural_errors:
                    return Response.json(429, {"errors": [error]})
                return failure(AirtableError(429, "RATE_LIMIT_REACHED", RATE_LIMITED))
            if segments[1:2] == ["meta"]:
                return None
            if self.monthly_cap is not None and self.calls_this_month >= self.monthly_cap:
                return failure(AirtableError(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED", BILLING))
            self.calls_this_month += 1
        return None

    def _is_throttled(self, now: float) -> bool:
        if self.requests_per_second is None:
            return False
        if now < self._penalty_until:
            return True
        while self._arrived and self._arrived[0] <= now - 1:
            self._arrived.popleft()
        if len(self._arrived) >= self.requests_per_second:
            self._penalty_until = now + self.penalty_s
            self._arrived.clear()
            return True
        self._arrived.append(now)
        return False
