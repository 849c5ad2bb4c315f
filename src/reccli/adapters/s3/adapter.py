"""`S3Port` on boto3: conditional writes, and reads that tell proven from claimed from unknown."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from botocore.exceptions import ClientError

from reccli.adapters.s3 import errors
from reccli.adapters.s3.client import connect
from reccli.adapters.s3.evidence import conflict, describe, facts_of, judge
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.model import S3State, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.response import StreamingBody
    from mypy_boto3_s3.literals import ServerSideEncryptionType, StorageClassType
    from mypy_boto3_s3.type_defs import (
        HeadObjectOutputTypeDef,
        PutObjectOutputTypeDef,
        PutObjectRequestTypeDef,
    )

    from reccli.adapters.s3.client import S3Options
    from reccli.adapters.s3.evidence import Facts
    from reccli.flow.ports import Provenance

_CHUNK = 1 << 20
_NOT_FOUND = 404


class S3Adapter:
    """One bucket. Safe to share between threads: the two flags below only ever flip once."""

    def __init__(self, options: S3Options) -> None:
        """Make the client; nothing is sent until the first call."""
        self._options = options
        self._bucket_seen = False
        self._checksums = True
        try:
            self._client = connect(options)
        except (*errors.SDK_ERRORS, ValueError) as error:
            failure = errors.failure_of(error, "prepare for", f"bucket {options.bucket}")
            raise ServiceError(failure) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def observe(self, key: str, sid: str, *, read_back: bool) -> StoredObject:
        """Say whether the object at `key` is the proven recording `sid`.

        Absent only when the key is missing from a bucket that is known to exist. Whatever else
        keeps S3 from telling raises `ServiceError`.
        """
        with self._translated("look at", key):
            head = self._head(key)
            if head is None:
                self._require_bucket()
                return StoredObject(S3State.ABSENT)
            facts = facts_of(head)
            stored = judge(facts, sid, self._place(key))
            if read_back and stored.state is S3State.VERIFIED and not stored.proven:
                return self._read_back(key, sid, facts)
            return stored

    def put(self, key: str, body: BinaryIO, provenance: Provenance) -> StoredObject:
        """Store unless the key is taken, and return only what is proven to stand there now.

        `body` must be seekable. If the key is taken, by an earlier try whose answer got lost or
        by another run, the object there is judged like any other.
        """
        digest = base64.b64encode(bytes.fromhex(provenance.sha256)).decode()
        request = self._request(key, body, provenance)
        with self._translated("store", key):
            try:
                answer = self._send(request, body, digest)
            except ClientError as error:
                if errors.code_of(error) != "PreconditionFailed":
                    raise
            else:
                if answer.get("ChecksumSHA256") == digest:
                    size, sha256 = provenance.size, provenance.sha256
                    return StoredObject(S3State.VERIFIED, timedelta(), size, sha256, proven=True)
        stored = self.observe(key, provenance.recording.sid, read_back=True)
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
        without being told, and some stores know no such parameters. Signed with temporary
        credentials, the link dies with them, whatever it says.
        """
        with self._translated("sign a link to", key):
            return self._client.generate_presigned_url(
                "head_object" if method == "HEAD" else "get_object",
                Params={"Bucket": self._options.bucket, "Key": key},
                ExpiresIn=int((life or self._options.link_ttl).total_seconds()),
            )

    def _request(self, key: str, body: BinaryIO, provenance: Provenance) -> PutObjectRequestTypeDef:
        size = body.seek(0, os.SEEK_END)
        if size != provenance.size:  # a short body would hang until S3 gives up waiting for it
            raise self._busy("IncompleteBody", key, f"{size} of {provenance.size} bytes are here")
        request: PutObjectRequestTypeDef = {
            "Bucket": self._options.bucket,
            "Key": key,
            "Body": body,
            "IfNoneMatch": "*",
            "ContentLength": size,
            "ContentType": provenance.content_type,
            "Metadata": describe(provenance),
        }
        if self._options.storage_class:
            request["StorageClass"] = cast("StorageClassType", self._options.storage_class)
        if self._options.server_side_encryption:
            request["ServerSideEncryption"] = cast(
                "ServerSideEncryptionType", self._options.server_side_encryption
            )
        if self._options.kms_key_id:
            request["SSEKMSKeyId"] = self._options.kms_key_id
        return request

    def _send(
        self, request: PutObjectRequestTypeDef, body: BinaryIO, digest: str
    ) -> PutObjectOutputTypeDef:
        """Put with the SHA-256 for S3 to check, or with an MD5 where the store knows no SHA-256."""
        body.seek(0)
        if self._checksums:
            try:
                checked: PutObjectRequestTypeDef = {**request, "ChecksumSHA256": digest}
                return self._client.put_object(**checked)
            except ClientError as error:
                if not errors.refuses_checksums(error):
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
        """Ask for the checksum too, unless the store turns out to refuse even that question.

        Backblaze B2 answers 400 to `x-amz-checksum-mode` (vatesfr/xen-orchestra#8358).
        """
        bucket = self._options.bucket
        try:
            if self._checksums:
                try:
                    return self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
                except ClientError as error:
                    if errors.code_of(error) not in {"BadRequest", "NotImplemented"}:
                        raise
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if errors.status_of(error) == _NOT_FOUND:
                return None
            raise
        self._checksums = False
        return answer

    def _require_bucket(self) -> None:
        """Tell a missing key from a missing bucket: a HEAD of either answers a bare 404."""
        if self._bucket_seen:
            return
        try:
            self._client.head_bucket(Bucket=self._options.bucket)
        except ClientError as error:
            if errors.status_of(error) == _NOT_FOUND:
                raise errors.missing_bucket(self._options.bucket) from error
            raise
        self._bucket_seen = True

    def _read_back(self, key: str, sid: str, head: Facts) -> StoredObject:
        """Judge the object by its bytes. The answer's own headers count: one look, one object."""
        try:
            answer = self._client.get_object(Bucket=self._options.bucket, Key=key)
        except ClientError as error:
            if errors.code_of(error) != "InvalidObjectState":
                raise
            return conflict(head, self._place(key), "Archived", "it is archived and unreadable")
        facts = facts_of(answer)
        return judge(facts, sid, self._place(key), self._hash(answer["Body"], key))

    def _hash(self, body: StreamingBody, key: str) -> str:
        sha256 = hashlib.sha256()
        with closing(body):
            try:
                for chunk in body.iter_chunks(_CHUNK):
                    sha256.update(chunk)
            except Exception as error:  # urllib3's own errors come through here, TLS ones too
                message = f"cannot read {self._place(key)} to its end: {type(error).__name__}"
                failure = errors.failure(FailureKind.OUTAGE, type(error).__name__, message)
                raise ServiceError(failure) from error
        return sha256.hexdigest()

    @contextmanager
    def _translated(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except errors.SDK_ERRORS as error:
            raise ServiceError(errors.failure_of(error, action, self._place(key))) from error
        except ValueError as error:  # a header that botocore or `facts_of` cannot read
            raise ServiceError(errors.unreadable(error, action, self._place(key))) from error

    def _busy(self, code: str, key: str, text: str) -> ServiceError:
        return ServiceError(errors.failure(FailureKind.BUSY, code, f"{self._place(key)}: {text}"))

    def _place(self, key: str) -> str:
        return f"s3://{self._options.bucket}/{key}"
