"""Whose key signs the links, and whether it lasts; and what is missing where access is denied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from reccli.adapters.s3 import S3Options
from reccli.adapters.s3.client import connect
from reccli.core.errors import FailureKind, ServiceError
from reccli.core.links import ObjectLink
from tests.adapters.s3_fakes import (
    AUDIO,
    KEY,
    SID,
    Reply,
    ScriptedS3,
    Seen,
    adapter,
    body,
    failure_in,
    head_of,
    provenance,
    refusal,
)
from tests.adapters.seaweed_store import options
from tests.core.samples import make_book

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.adapters.seaweed_store import Store

DENIED = FailureKind.DENIED
NO_KEY: dict[str, Any] = {"access_key_id": "", "secret_access_key": ""}
SIGNING: dict[str, Any] = {
    "signing_access_key_id": "AKIASIGNING",
    "signing_secret_access_key": "made-up-too",
}


def signed_by(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIATEMPORARY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made-up-token")


@pytest.mark.parametrize("bucket", ["calls", "our.calls", "Our_Calls", "our_calls", "OUR-CALLS"])
@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2"])
def test_a_signed_link_into_any_bucket_is_read_as_ours(bucket: str, region: str) -> None:
    book = make_book(bucket=bucket, s3_region=region)
    with adapter(bucket=bucket, region=region, endpoint_url="") as s3:
        link = book.parse(s3.presign(KEY))
    assert isinstance(link, ObjectLink)
    assert (link.sid, link.key, link.style) == (SID, KEY, "presigned")


@pytest.mark.usefixtures("temporary")
def test_a_session_token_makes_links_temporary() -> None:
    with adapter(**NO_KEY) as s3:
        assert s3.signs_temporarily() is True
        assert "X-Amz-Security-Token" in s3.presign(KEY)
    with adapter() as s3:  # a configured key outweighs what the environment has
        assert s3.signs_temporarily() is False
        assert "X-Amz-Security-Token" not in s3.presign(KEY)


@pytest.mark.usefixtures("temporary")
def test_a_signing_key_signs_links_and_nothing_else() -> None:
    assert "made-up-too" not in repr(S3Options("rec", **SIGNING))
    with (
        ScriptedS3(lambda _: head_of()) as server,
        adapter(endpoint_url=server.endpoint_url, **NO_KEY, **SIGNING) as s3,
    ):
        assert s3.signs_temporarily() is False
        links = s3.presign(KEY), s3.presign(KEY, life=timedelta(minutes=5), method="HEAD")
        for link in links:
            assert signed_by(link) == "AKIASIGNING"
            assert "X-Amz-Security-Token" not in link
            assert link.startswith(f"{server.endpoint_url}/rec/{KEY}?")
        s3.observe(KEY, SID, read_back=False)
    assert "Credential=ASIATEMPORARY/" in server.seen[0].headers["authorization"]


def test_a_link_by_the_signing_key_has_the_same_host_and_region() -> None:
    with adapter() as plain, adapter(**SIGNING) as s3:
        ours, theirs = urlsplit(s3.presign(KEY)), urlsplit(plain.presign(KEY))
    assert (ours.netloc, ours.path) == (theirs.netloc, theirs.path)
    scopes = [parse_qs(url.query)["X-Amz-Credential"][0].split("/")[2:] for url in (ours, theirs)]
    assert scopes[0] == scopes[1]


def test_a_link_by_a_signing_key_opens(seaweed: Store, key: str) -> None:
    reader = {
        "signing_access_key_id": seaweed.server.reader_access_key,
        "signing_secret_access_key": seaweed.server.reader_secret_key,
    }
    with adapter(**options(seaweed, **reader)) as s3:
        s3.put(key, body(), provenance())
        link = s3.presign(key)
    assert signed_by(link) == seaweed.server.reader_access_key
    assert httpx.get(link).content == AUDIO


def test_both_clients_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, closed = connect(S3Options("rec", region="us-east-1", **SIGNING)), []
    monkeypatch.setattr(made.client, "close", lambda: closed.append("client"))
    monkeypatch.setattr(made.signer, "close", lambda: closed.append("signer"))
    made.close()
    assert closed == ["client", "signer"]


@pytest.mark.parametrize("half", SIGNING)
def test_half_a_signing_key_is_a_mistake_of_the_configuration(half: str) -> None:
    with pytest.raises(ServiceError) as caught, adapter(**{**SIGNING, half: ""}):
        pass
    assert caught.value.failure.kind is FailureKind.CONFIG
    assert "s3.signing_access_key_id" in caught.value.failure.message


def test_no_credentials_sign_nothing_and_so_nothing_temporary() -> None:
    with adapter(**NO_KEY) as s3:
        assert s3.signs_temporarily() is False


def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let boto3 have a role's credentials from a program, as from an instance profile."""
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


def test_a_role_that_has_to_be_refreshed_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiry = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    answer = (
        '{"Version": 1, "AccessKeyId": "ASIAROLE", "SecretAccessKey": "made-up",'
        f' "SessionToken": "made-up", "Expiration": "{expiry}"}}'
    )
    role(tmp_path, monkeypatch, f"echo '{answer}'")
    with adapter(**NO_KEY) as s3:
        assert s3.signs_temporarily() is True
        assert signed_by(s3.presign(KEY)) == "ASIAROLE"


@pytest.mark.parametrize("dead", [False, True])
def test_a_role_that_cannot_be_refreshed_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, dead: bool
) -> None:
    again = tmp_path / "again"
    expired = (
        '{"Version": 1, "AccessKeyId": "ASIAROLE", "SecretAccessKey": "made-up",'
        ' "SessionToken": "made-up", "Expiration": "2020-01-01T00:00:00Z"}'
    )
    then = f"echo '{expired}'" if dead else "exit 1"
    role(
        tmp_path,
        monkeypatch,
        f"if [ -e {again} ]; then {then}; else touch {again}; echo '{expired}'; fi",
    )
    expected = (DENIED, "ExpiredToken" if dead else "CredentialRetrievalError")
    with adapter(**NO_KEY) as s3:
        assert failure_in(s3.signs_temporarily) == expected
        assert failure_in(lambda: s3.presign(KEY)) == expected


KMS = (
    "User: arn:aws:iam::123456789012:user/reccli is not authorized to perform: {} on resource: "
    "arn:aws:kms:ap-southeast-2:123456789012:key/0000 because no identity-based policy allows it"
)


def hint_in(script_said: str, action: str) -> str:
    def script(request: Seen) -> Reply:
        head = request.method == "HEAD"
        return head_of() if head else refusal(403, "AccessDenied", script_said)

    with (
        ScriptedS3(script) as server,
        adapter(endpoint_url=server.endpoint_url) as s3,
    ):
        calls: dict[str, Callable[[], object]] = {
            "put": lambda: s3.put(KEY, body(), provenance()),
            "get": lambda: s3.observe(KEY, SID, read_back=True),
        }
        with pytest.raises(ServiceError) as caught:
            calls[action]()
    failure = caught.value.failure
    assert (failure.kind, failure.code) == (DENIED, "AccessDenied")
    verb = "store" if action == "put" else "open"
    assert failure.message.startswith(f"cannot {verb} s3://rec/{KEY}: ")
    return failure.hint


@pytest.mark.parametrize("action", ["put", "get"])
@pytest.mark.parametrize("grant", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_a_key_that_kms_withholds_is_named(action: str, grant: str) -> None:
    hint = hint_in(("x" * 300 if action == "get" else "") + " " + KMS.format(grant), action)
    assert hint.startswith(f"grant {grant} on the KMS key")


def test_an_object_that_may_not_be_opened_needs_one_grant() -> None:
    assert hint_in("Access Denied", "get") == "grant s3:GetObject on the objects of the bucket"
    assert "s3:PutObject" in hint_in("Access Denied", "put")
