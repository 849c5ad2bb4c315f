"""Temporary credentials for SeaweedFS, which knows none: what they signed is signed anew.

It answers any session token with 403 InvalidAccessKeyId, even beside an access key it knows.
What the client signed is not verified; only when a presigned URL ends is.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

from reccli.sandbox.s3_messages import S3Answer, S3Request
from reccli.sandbox.seaweed import SeaweedFS

SIGNED = ("authorization", "x-amz-security-token", "x-amz-date", "x-amz-content-sha256")
PRESIGNED = {
    *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires"),
    *("x-amz-security-token", "x-amz-signedheaders", "x-amz-signature"),
}


def has_session(request: S3Request) -> bool:
    """Return whether a session token came, in the head or in the query."""
    in_head = request.head.get("x-amz-security-token")
    return bool(in_head or "x-amz-security-token" in request.query)


def expired(request: S3Request) -> S3Answer | None:
    """Refuse a presigned URL whose time is over."""
    query = request.query
    if "x-amz-expires" not in query:
        return None
    made = datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if datetime.now(UTC) < made + timedelta(seconds=int(query["x-amz-expires"])):
        return None
    return S3Answer.error(403, "AccessDenied", "Request has expired", method=request.method)


def sign_anew(request: S3Request, store: SeaweedFS) -> None:
    """Sign as the store's administrator, in place of whoever had signed."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    head = request.head
    for name in SIGNED:
        head.drop(name)
    path, _, query = request.target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name.lower() not in PRESIGNED]
    target = f"{path}?{urlencode(kept, quote_via=quote)}" if kept else path
    version = head.first.split()[2]
    head.first = f"{request.method} {target} {version}"
    host = head.get("host")
    signed = AWSRequest(
        request.method,
        f"http://{host}{target}",
        headers={name: value for name, value in head.headers if name.lower().startswith("x-amz-")},
        data=request.body,
    )
    signed.headers["Host"] = host
    credentials = Credentials(store.access_key, store.secret_key)
    S3SigV4Auth(credentials, "s3", store.region).add_auth(signed)
    for name in ("X-Amz-Date", "X-Amz-Content-SHA256", "Authorization"):
        head.put(name, signed.headers[name])
