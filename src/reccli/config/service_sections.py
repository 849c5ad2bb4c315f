"""The sections: one class a table of the file, one line a key, with its default.

The services, and the links between them; reccli itself is in `own`. The list of what can be set,
to be read beside config.example.toml. For the rest of this package, and for whoever is handed one
section.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from reccli.config.section import NotRead, Section
from reccli.config.validators import (
    BUCKET,
    NO_SECRET,
    FieldNames,
    GivenUrl,
    Hours,
    Parts,
    Place,
    Plain,
    PlainUrl,
    Prefix,
    Secret,
    Secrets,
    SomeHours,
    StorageClass,
    Template,
    Text,
    Url,
    like,
    on_loopback,
    paired_with,
    several,
)
from reccli.core import sids

SIGV4_LIMIT_HOURS = 168
SECRET_LENGTH = 32
"""Characters of a secret that whoever has a permalink could try to guess."""
AIRTABLE_LIMIT = 5
"""Requests a second for one base; a stand-in on this machine may take more."""
_FIELD_ID = re.compile("fld[A-Za-z0-9]{14}")
KEY_FIELDS = {"provider": "Provider", "employee": "Employee"}
TEMPLATE_NAMES = frozenset({"call_sid", "recording_sid", "ext", "account_sid", "date"})


class Region(Section):
    """Recordings kept in another Twilio region, under that region's own token."""

    region: Annotated[str, like(r"[a-z]{2}[0-9]+", "a region such as au1")]
    api_base: Url = ""
    edge: Annotated[str, like(r"[a-z-]*", "an edge such as sydney")] = ""
    auth_token: Secrets = NO_SECRET

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Every token that verifies callbacks; the first one is used for requests."""
        return several(self.auth_token)

    @field_validator("edge")
    @classmethod
    def _has_host(cls, edge: str, info: ValidationInfo) -> str:
        # Without an edge Twilio's own SDK makes api.<region>.twilio.com: a dead host.
        if not edge and not info.data.get("api_base", "invalid"):
            raise ValueError("missing; a region needs its edge (such as sydney) or an api_base")
        return edge

    @field_validator("auth_token")
    @classmethod
    def _has_token(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        if not token:
            name = str(info.data.get("region", "<region>")).upper()
            raise ValueError(f"missing; set it in the file or in TWILIO_{name}_AUTH_TOKEN")
        return token


class Twilio(Section):
    """The account whose recordings are moved."""

    account_sid: Annotated[str, like(sids.pattern(sids.ACCOUNT), "AC and 32 hex digits")]
    api_key_sid: Annotated[
        str, like(f"({sids.pattern(sids.API_KEY)})?", "SK and 32 hex digits")
    ] = ""
    api_key_secret: Annotated[Secret, paired_with("api_key_sid")] = NO_SECRET
    auth_token: Secrets = NO_SECRET
    api_base: GivenUrl = "https://api.twilio.com"
    media_format: Literal["mp3", "wav"] = "mp3"
    retention_hours: Hours = 24
    minute_price: Annotated[float, Field(ge=0), NotRead] = 0.0005
    free_minutes: Annotated[int, Field(ge=0), NotRead] = 10_000
    regions: tuple[Region, ...] = ()

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Every token that verifies callbacks; the first one is used for requests."""
        return several(self.auth_token)

    @field_validator("auth_token")
    @classmethod
    def _has_credentials(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        if not token and not info.data.get("api_key_secret", "invalid"):
            raise ValueError(
                "missing; set it in the file or in TWILIO_AUTH_TOKEN, "
                "or give api_key_sid and api_key_secret"
            )
        return token

    @field_validator("regions")
    @classmethod
    def _are_distinct(cls, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        if len({region.region for region in regions}) != len(regions):
            raise ValueError("must not list a region twice")
        return regions


class S3(Section):
    """Where recordings end up, and how their objects are named and kept."""

    bucket: Annotated[str, like(BUCKET, "a bucket name")]
    region: Annotated[str, like(r"[a-z0-9-]+", "a region such as ap-southeast-2")] = (
        "ap-southeast-2"
    )
    prefix: Prefix = "call-recordings/"
    key_template: Template = "{call_sid}/{recording_sid}.{ext}"
    accept_archive_class: bool = False
    storage_class: StorageClass = "STANDARD_IA"
    server_side_encryption: Literal["AES256", "aws:kms", ""] = "AES256"
    kms_key_id: Plain = ""
    endpoint_url: PlainUrl = ""
    access_key_id: Plain = ""
    secret_access_key: Annotated[Secret, paired_with("access_key_id")] = NO_SECRET
    verifies_checksums: bool = False
    signing_access_key_id: Plain = ""
    signing_secret_access_key: Annotated[Secret, paired_with("signing_access_key_id")] = NO_SECRET

    @field_validator("kms_key_id")
    @classmethod
    def _is_for_kms(cls, key: str, info: ValidationInfo) -> str:
        if key and info.data.get("server_side_encryption", "aws:kms") != "aws:kms":
            raise ValueError('needs server_side_encryption = "aws:kms"')
        return key


class Airtable(Section):
    """The base whose rows link to the recordings."""

    api_key: Secret
    base_id: Annotated[str, like(r"[A-Za-z0-9_-]+", "a base id such as app…")]
    table: Text = "Call Logs"
    endpoint_url: GivenUrl = "https://api.airtable.com"
    requests_per_second: Annotated[float, Field(gt=0, le=50)] = 4.5
    call_sid_field: Text = "CallSid"
    conference_sid_field: str = ""
    monthly_calls: Annotated[int, Field(ge=0), NotRead] = 0
    link_fields: FieldNames = ("Recording URL (Twilio/S3)", "Transfer Recording URL")
    key_fields: dict[Annotated[str, like(r"[a-z][a-z0-9_]*", "a lower-case word")], Text] = (
        KEY_FIELDS
    )

    @property
    def field_ids(self) -> tuple[tuple[str, str], ...]:
        """The keys that hold the ID of a field, each with it: answers come by name alone."""
        named = {
            "call_sid_field": self.call_sid_field,
            "conference_sid_field": self.conference_sid_field,
            **{f"link_fields[{number}]": name for number, name in enumerate(self.link_fields)},
            **{f"key_fields.{key}": name for key, name in self.key_fields.items()},
        }
        ids = ((key, name) for key, name in named.items() if _FIELD_ID.fullmatch(name))
        return tuple((f"airtable.{key}", name) for key, name in ids)

    @field_validator("requests_per_second")
    @classmethod
    def _fits_airtable(cls, rate: float, info: ValidationInfo) -> float:
        url = info.data.get("endpoint_url")
        if rate > AIRTABLE_LIMIT and url and not on_loopback(url):
            raise ValueError(f"must be at most {AIRTABLE_LIMIT}: Airtable takes no more")
        return rate

    @field_validator("key_fields")
    @classmethod
    def _shadows_nothing(cls, fields: dict[str, str]) -> dict[str, str]:
        if taken := TEMPLATE_NAMES & set(fields):
            raise ValueError(f"must not redefine {', '.join(sorted(taken))}")
        return fields


class Links(Section):
    """What a row's link looks like, and how long it lives."""

    style: Literal["presigned", "permalink", "object"] = "presigned"
    ttl_hours: SomeHours = SIGV4_LIMIT_HOURS
    refresh_before_hours: Hours = 48
    base_url: Url = ""
    secret: Parts = NO_SECRET
    former: tuple[Place, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that verifies a permalink; the first one signs new ones."""
        return several(self.secret)

    @field_validator("ttl_hours")
    @classmethod
    def _fits_sigv4(cls, hours: float, info: ValidationInfo) -> float:
        if info.data.get("style") == "presigned" and hours > SIGV4_LIMIT_HOURS:
            raise ValueError(f"must be at most {SIGV4_LIMIT_HOURS}: S3 signs no link for longer")
        return hours

    @field_validator("refresh_before_hours")
    @classmethod
    def _leaves_a_life(cls, hours: float, info: ValidationInfo) -> float:
        # A link that is due from birth would be signed again on every run.
        if info.data.get("style") == "presigned" and hours >= info.data.get("ttl_hours", hours + 1):
            raise ValueError("must be less than links.ttl_hours")
        return hours

    @field_validator("base_url")
    @classmethod
    def _names_the_host(cls, url: str, info: ValidationInfo) -> str:
        if info.data.get("style") == "permalink" and not url:
            raise ValueError("missing; permalinks need the public URL of `reccli serve`")
        return url

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        first = (*several(secret), "")[0]  # the others verify what is out there, as it was made
        if info.data.get("style") == "permalink" and len(first) < SECRET_LENGTH:
            what = "its first part is too short" if secret else "missing"
            raise ValueError(
                f"{what}; permalinks are signed with at least {SECRET_LENGTH} random characters, "
                "such as `openssl rand -hex 32` prints"
            )
        return secret
