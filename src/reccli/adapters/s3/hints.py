"""What an engineer on call can do about a failure of S3, by its code.

The grants are those that the S3 API reference names for each operation.
"""

from __future__ import annotations

import re

CREDENTIALS = "set s3.access_key_id and s3.secret_access_key, or give boto3's own chain a login"
_HINTS = {
    "AccessDenied": "grant s3:GetObject, s3:PutObject and s3:ListBucket, and GenerateDataKey and "
    "Decrypt of the KMS key if there is one",
    "AccessDenied open": "grant s3:GetObject on the objects of the bucket",
    "AccessDenied list": "grant s3:ListBucket on the bucket",
    "AuthorizationHeaderMalformed": "set s3.region to the bucket's region",
    "403": "S3 gives a HEAD no reason: check the credentials, this machine's clock, s3:GetObject, "
    "s3:ListBucket (without it a missing key answers 403), and kms:Decrypt if there is a KMS key",
    "BadRequest": "renew the session token if there is one; else check s3.region",
    "EndpointConnectionError": "check the network, s3.endpoint_url and s3.region",
    "ExpiredToken": "renew the session token",
    "InvalidAccessKeyId": CREDENTIALS,
    "InvalidObjectState": "the object is archived: restore it, and keep lifecycle rules off it",
    "InvalidStorageClass": "set s3.storage_class to one that this store has",
    "MetadataTooLarge": "S3 takes 2 KB of metadata",
    "NoSuchBucket": "create the bucket, or correct s3.bucket",
    "NotImplemented": "the store must take If-None-Match on PutObject (Backblaze B2 does not): "
    "reccli writes nothing without it",
    "RequestTimeTooSkewed": "set this machine's clock (NTP)",
    "SSLError": "check s3.endpoint_url, the certificate and this machine's clock",
    "SignatureDoesNotMatch": "correct s3.secret_access_key",
}
_KMS_GRANT = re.compile(r"\bkms:[A-Za-z]+")


def hint_for(code: str, action: str = "", said: str = "") -> str:
    """Return what helps; empty where nobody knows. `said` are the store's own words.

    S3 passes on what KMS refused as an AccessDenied that names the action of KMS (AWS re:Post,
    s3-large-file-encryption-kms-key).
    """
    if code.startswith("KMS."):
        return "enable the key that s3.kms_key_id names, or name another"
    if code == "AccessDenied" and (grant := _KMS_GRANT.search(said)):
        return f"grant {grant[0]} on the KMS key, in its key policy too: S3 itself did not refuse"
    return _HINTS.get(f"{code} {action}") or _HINTS.get(code, "")
