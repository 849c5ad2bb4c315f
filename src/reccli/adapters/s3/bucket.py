"""What concerns the bucket as a whole: that it is there, and which keys it holds."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from reccli.adapters.s3 import s3_errors
from reccli.flow.ports import Key, Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef

ABSENT_FOR = timedelta(seconds=60)
"""How long "there is no such bucket" is not asked again: somebody may create it meanwhile."""

_PAGE = 1000
_FORBIDDEN = 403
_NOT_FOUND = 404


class WholeBucket:
    """One bucket. Safe to share between threads: those that ask at once send one request."""

    def __init__(self, client: S3Client, name: str, now: Callable[[], datetime]) -> None:
        """Nothing is sent until the first question."""
        self._client = client
        self._name = name
        self._now = now
        self._lock = threading.Lock()
        self._asking: Future[None] | None = None
        self._seen = False
        self._hidden = False
        self._absent_at: datetime | None = None

    def require(self) -> None:
        """Raise a CONFIG failure if the bucket is surely absent, else the SDK's error.

        Who may not ask (403) has to believe that it is there: a write shows it soon enough.
        """
        if self._hidden:
            return
        try:
            self.require_seen()
        except ClientError as error:
            if s3_errors.status_of(error) != _FORBIDDEN:
                raise
            self._hidden = True

    def require_seen(self) -> None:
        """Return only if the bucket is known to exist; a 403 raises like any other failure.

        It parts a missing key from a missing bucket: a HEAD of either answers a bare 404.
        """
        with self._lock:
            if self._seen:
                return
            if self._absent_at and abs(self._now() - self._absent_at) < ABSENT_FOR:
                raise s3_errors.missing_bucket(self._name)
            asking, mine = self._asking or Future[None](), self._asking is None
            self._asking = asking
        if mine:
            self._answer(asking)
        asking.result()

    def keys(self, prefix: str, cursor: str | None) -> Page[Key]:
        """List one page of keys, or raise the SDK's error.

        botocore asks for keys in URL encoding and decodes them, so that no character is lost in
        XML. ValueError where the answer is no whole listing: an empty page must mean no keys.
        """
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._name,
            "Prefix": prefix,
            "MaxKeys": _PAGE,
        }
        if cursor is not None:
            request["ContinuationToken"] = cursor
        answer = self._client.list_objects_v2(**request)
        if "IsTruncated" not in answer:
            raise ValueError("it is no listing")
        following = answer.get("NextContinuationToken") if answer["IsTruncated"] else None
        if answer["IsTruncated"] and following in {None, "", cursor}:
            raise ValueError("the listing goes on, and does not say where")
        found = answer.get("Contents", [])
        keys = [Key(name, one.get("LastModified")) for one in found if (name := one.get("Key"))]
        if len(keys) < len(found):
            raise ValueError("the listing has an entry without a key")
        return Page(keys, following)

    def _answer(self, asking: Future[None]) -> None:
        """Send one request for all threads that wait: in an outage they would time out in turn."""
        try:
            self._ask()
        except BaseException as error:  # noqa: BLE001 - `result` raises it, here and in the others
            asking.set_exception(error)
        else:
            asking.set_result(None)
        finally:
            with self._lock:
                self._asking = None

    def _ask(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._name)
        except ClientError as error:
            if s3_errors.status_of(error) != _NOT_FOUND:
                raise
            self._absent_at = self._now()
            raise s3_errors.missing_bucket(self._name) from error
        self._seen = True
