"""`S3Port` on boto3: conditional writes, and reads that part proven from claimed from unknown."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Literal

from botocore.exceptions import ClientError

from reccli.adapters.s3 import s3_errors
from reccli.adapters.s3.bucket import WholeBucket
from reccli.adapters.s3.client import connect
from reccli.adapters.s3.evidence import facts_of, judge
from reccli.adapters.s3.refused_puts import refused, refuses_checksums
from reccli.adapters.s3.writing import facts_put, request_of
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State, StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import timedelta

    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import (
        HeadObjectOutputTypeDef,
        PutObjectOutputTypeDef,
        PutObjectRequestTypeDef,
    )

    from reccli.adapters.s3.client import S3Options
    from reccli.adapters.s3.evidence import Facts
    from reccli.flow.ports import Key, Page, Provenance

_CHUNK = 1 << 20
_NOT_FOUND = 404


def _utc() -> datetime:
    return datetime.now(UTC)


class S3Adapter:
    """One bucket. Safe to share between threads: the flag below only ever flips once."""

    def __init__(self, options: S3Options, now: Callable[[], datetime] = _utc) -> None:
        """Make the clients; nothing is sent until the first call. `now` is our clock."""
        self._options = options
        self._now = now
        self._checksums = True
        try:
            self._connection = connect(options)
        except (*s3_errors.SDK_ERRORS, ValueError) as error:
            failure = s3_errors.sdk_failure(error, "prepare for", f"bucket {options.bucket}")
            raise ServiceError(failure) from error
        self._client = self._connection.client
        self._bucket = WholeBucket(self._client, options.bucket, now)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def observe(self, key: str, sid: str, *, read_back: bool) -> StoredObject:
        """Return the object at `key`, and whether it is the proven recording `sid`.

        Absent only when the key is missing from a bucket that is known to exist. Whatever else
        keeps S3 from answering raises `ServiceError`. Only what would else count as verified is
        read back: nothing is deleted for the rest.
        """
        with self._translated("look at", key):
            head = self._head(key)
            if head is None:
                self._bucket.require_seen()
                return StoredObject(S3State.ABSENT)
            facts = facts_of(head, self._now())
        stored = judge(facts, sid, self._place(key), self._options)
        if read_back and stored.state is S3State.VERIFIED and not stored.proven:
            return self._read_back(key, sid, facts)
        return stored

    def require_bucket(self) -> None:
        """Raise a CONFIG failure if there is no such bucket; a request at the first call only."""
        with s3_errors.translated("look at", f"bucket {self._options.bucket}"):
            self._bucket.require()

    def keys(self, prefix: str, cursor: str | None) -> Page[Key]:
        """List one page of the keys that begin with `prefix`."""
        with self._translated("list", prefix):
            return self._bucket.keys(prefix, cursor)

    def put(self, key: str, body: BinaryIO, provenance: Provenance) -> StoredObject:
        """Store unless the key is taken, and return what stands there now; never reads it back.

        `body` must be seekable. If the key is taken, by an earlier try whose answer got lost or
        by another run, the object there is judged like any other.
        """
        size = body.seek(0, os.SEEK_END)
        if size != provenance.size:  # a short body would hang until S3 gives up waiting for it
            raise self._busy("IncompleteBody", key, f"{size} of {provenance.size} bytes are here")
        sid = provenance.recording.sid
        request = request_of(self._options, key, body, provenance)
        with self._translated("store", key):
            try:
                answer = self._send(request, body, provenance.sha256)
            except ClientError as error:
                if s3_errors.code_of(error) != "PreconditionFailed":
                    raise ServiceError(refused(error, request, self._place(key))) from error
            else:
                facts = facts_put(request, answer, self._now())
                if facts.sha256 or not self._options.believed:
                    return judge(facts, sid, self._place(key), self._options)
        stored = self.observe(key, sid, read_back=False)
        if stored.state is S3State.ABSENT:
            raise self._busy("Vanished", key, "it was there a moment ago, and is not any more")
        return stored

    def presign(
        self,
        key: str,
        *,
        life: timedelta | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str:
        """Sign a link to the object, for the configured time unless a `life` is given.

        Nothing is sent, unless a role's credentials have to be fetched. The signature covers the
        method: a link for GET answers a HEAD with 403, and the other way round.

        No `response-…` parameters: the content type is on the object, browsers play it inline
        without it, and some stores know no such parameters. Signed with temporary
        credentials, the link dies with them, whatever it says.
        """
        with self._translated("sign a link to", key):
            return self._connection.signer.generate_presigned_url(
                "head_object" if method == "HEAD" else "get_object",
                Params={"Bucket": self._options.bucket, "Key": key},
                ExpiresIn=int((life or self._options.link_ttl).total_seconds()),
            )

    def signs_temporarily(self) -> bool:
        """Whether links die with temporary credentials; False where there are none to sign with.

        Nothing is sent, unless a role's credentials have to be fetched.
        """
        with s3_errors.translated("sign links into", f"bucket {self._options.bucket}"):
            credentials = self._connection.signing.get_credentials()
            return bool(credentials and credentials.get_frozen_credentials().token)

    def _send(
        self, request: PutObjectRequestTypeDef, body: BinaryIO, sha256: str
    ) -> PutObjectOutputTypeDef:
        """Send with the SHA-256 for S3 to check, or with an MD5 where the store knows none."""
        body.seek(0)
        if self._checksums:
            digest = base64.b64encode(bytes.fromhex(sha256)).decode()
            try:
                checked: PutObjectRequestTypeDef = {**request, "ChecksumSHA256": digest}
                return self._client.put_object(**checked)
            except ClientError as error:
                if not refuses_checksums(error):
                    raise
        body.seek(0)
        md5 = hashlib.md5(usedforsecurity=False)
        while chunk := body.read(_CHUNK):
            md5.update(chunk)
        body.seek(0)
        request["ContentMD5"] = base64.b64encode(md5.digest()).decode()
        answer = self._client.put_object(**request)
        self._checksums = False
        return answer

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        """Return the HEAD, with its checksum unless the store refuses to be asked; None for a 404.

        Backblaze B2 answers 400 to `x-amz-checksum-mode` (vatesfr/xen-orchestra#8358).
        """
        bucket = self._options.bucket
        try:
            if self._checksums:
                try:
                    return self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
                except ClientError as error:
                    if s3_errors.code_of(error) not in {"BadRequest", "NotImplemented"}:
                        raise
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if s3_errors.status_of(error) == _NOT_FOUND:
                return None
            raise
        self._checksums = False
        return answer

    def _read_back(self, key: str, sid: str, head: Facts) -> StoredObject:
        """Judge the object by its bytes. The answer's own headers count: one look, one object.

        One that turns out to be archived is judged as such, by what the HEAD said of it.
        """
        place = self._place(key)
        with self._translated("open", key):
            try:
                answer = self._client.get_object(Bucket=self._options.bucket, Key=key)
            except ClientError as error:
                if s3_errors.code_of(error) != "InvalidObjectState":
                    raise
                return judge(head.archived(), sid, place, self._options)
            sha256 = self._hash(answer["Body"], key)
            facts = facts_of(answer, self._now())
        return judge(facts, sid, place, self._options, sha256)

    def _hash(self, body: StreamingBody, key: str) -> str:
        sha256 = hashlib.sha256()
        with closing(body):
            try:
                for chunk in body.iter_chunks(_CHUNK):
                    sha256.update(chunk)
            except Exception as error:  # urllib3's own errors come through here, TLS ones too
                message = f"cannot read {self._place(key)} to its end: {type(error).__name__}"
                failure = s3_errors.failure(FailureKind.OUTAGE, type(error).__name__, message)
                raise ServiceError(failure) from error
        return sha256.hexdigest()

    def _translated(self, action: str, key: str) -> AbstractContextManager[None]:
        return s3_errors.translated(action, self._place(key))

    def _busy(self, code: str, key: str, text: str) -> ServiceError:
        return ServiceError(
            s3_errors.failure(FailureKind.BUSY, code, f"{self._place(key)}: {text}")
        )

    def _place(self, key: str) -> str:
        return f"s3://{self._options.bucket}/{key}"
