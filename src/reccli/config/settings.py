"""The whole of the settings, and what its keys are called outside the file.

The one class that the rest of reccli is handed. For the rest of this package, which exports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from reccli.config import own_sections as own
from reccli.config import service_sections as services
from reccli.config.section import Section
from reccli.core.links.objects import Bucket
from reccli.core.naming import placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

PREFIX = "RECCLI_"
WELL_KNOWN = {  # of two names for one key, the first wins
    "TWILIO_ACCOUNT_SID": ("twilio", "account_sid"),
    "TWILIO_AUTH_TOKEN": ("twilio", "auth_token"),
    "AWS_S3_BUCKET": ("s3", "bucket"),
    "S3_BUCKET": ("s3", "bucket"),
    "AWS_REGION": ("s3", "region"),
    "AWS_S3_RECORDINGS_PREFIX": ("s3", "prefix"),
    "AIRTABLE_API_KEY": ("airtable", "api_key"),
    "AIRTABLE_BASE_ID": ("airtable", "base_id"),
}


class Settings(Section):
    """Every setting of `reccli`, checked; made by `load`, which knows every section."""

    twilio: services.Twilio
    s3: services.S3
    airtable: services.Airtable
    links: services.Links
    ledger: own.LedgerSection
    engine: own.Engine
    safety: own.Safety
    webhook: own.Webhook
    alerts: own.Alerts

    _file: Path | None = PrivateAttr(default=None)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def file(self) -> Path | None:
        """The file that was read, if there was one."""
        return self._file

    @property
    def warnings(self) -> tuple[str, ...]:
        """What can be used, and is not what somebody meant; a line each, without secrets."""
        return self._warnings

    def origin(self, key: str) -> str:
        """Return where the value of a key came from, as `env AWS_S3_BUCKET`."""
        parts = key.split(".")
        longest = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
        return next((self._origins[name] for name in longest if name in self._origins), "default")

    def secret_keys(self) -> list[str]:
        """Return every key whose value is a secret, as `twilio.regions.0.auth_token`."""
        hidden = dict(_secrets_in(self))
        if not passwords(hidden["ledger.url"]):
            del hidden["ledger.url"]
        return [key for key, value in hidden.items() if value]

    def secret_values(self) -> list[str]:
        """Return every secret that is set, for the log redaction; never for anything else."""
        found = [text for _, text in _secrets_in(self)]
        found += [*self.links.secrets, *self.twilio.auth_tokens]
        found += [token for region in self.twilio.regions for token in region.auth_tokens]
        url = self.ledger.url.get_secret_value()
        found.remove(url)  # as a whole it is a path, which people need to see
        found += passwords(url)
        return [text for text in dict.fromkeys(found) if text]

    @field_validator("airtable")
    @classmethod
    def _template_is_known(
        cls, airtable: services.Airtable, info: ValidationInfo
    ) -> services.Airtable:
        if s3 := info.data.get("s3"):
            known = services.TEMPLATE_NAMES | set(airtable.key_fields)
            if odd := placeholders(s3.key_template) - known:
                names = {"odd": ", ".join(sorted(odd)), "known": ", ".join(sorted(known))}
                message = "unknown placeholder {odd}; known are {known}"
                raise PydanticCustomError("template", message, {"at": "s3.key_template", **names})
        return airtable

    @field_validator("links")
    @classmethod
    def _former_is_past(cls, links: services.Links, info: ValidationInfo) -> services.Links:
        # A link that is renewed to what has been left would be renewed on every run.
        if s3 := info.data.get("s3"):
            for number, place in enumerate(links.former):
                if any(f"{now}/".startswith(f"{place}/") for now in _kept_at(s3, links, place)):
                    message = "holds the place where recordings are kept or linked now"
                    raise PydanticCustomError("former", message, {"at": f"links.former.{number}"})
        return links


def _kept_at(s3: services.S3, links: services.Links, place: str) -> Iterator[str]:
    """Yield every address that a link of now may begin with."""
    # At AWS a bucket of the same name can have been left for a store of one's own.
    if place != f"s3://{s3.bucket}" or not s3.endpoint_url:
        yield f"s3://{s3.bucket}/{s3.prefix}"
    yield Bucket(s3.bucket, s3.region, s3.endpoint_url).url(s3.prefix)
    if links.base_url:
        yield f"{links.base_url}/{'r/' if links.style == 'permalink' else ''}{s3.prefix}"


def _secrets_in(value: object, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, SecretStr):
        yield at, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name), f"{at}.{name}" if at else name)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _secrets_in(item, f"{at}.{number}")


def passwords(url: str) -> list[str]:
    """Return the passwords in the URL of a database, as written and as meant."""
    split = urlsplit(url)
    found = [split.password, unquote(split.password)] if split.password else []
    return found + [text for name, text in parse_qsl(split.query) if "password" in name.lower()]


def fields(path: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """Return the keys of the section at a path; none where there is no such section."""
    model: Any = Settings
    for part in path:
        if isinstance(part, str):
            known = model.model_fields.get(part)
            model = known and known.annotation
            if get_origin(model) is tuple:
                model = get_args(model)[0]
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return {}
    found: Mapping[str, FieldInfo] = model.model_fields
    return found
