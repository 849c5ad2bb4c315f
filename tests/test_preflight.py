"""What only the services can say of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reccli import preflight
from reccli.config import ConfigError, load
from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from reccli.config import Settings

ID = "fld" + "A1" * 7
SECRET = "0123456789abcdef0123456789abcdef"
DENIED = ServiceError(Failure(Service.AIRTABLE, FailureKind.DENIED, "http_403", "no"))


def settings(**changes: str) -> Settings:
    made = {
        "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
        "TWILIO_AUTH_TOKEN": "f00dfeedf00dfeedf00dfeedf00dfeed",
        "AWS_S3_BUCKET": "calls",
        "AIRTABLE_API_KEY": "patSecretSecret",
        "AIRTABLE_BASE_ID": "appBase",
    }
    return load(None, env={**made, **changes})


class Says:
    """A service that answers so."""

    def __init__(self, answer: Any) -> None:  # noqa: ANN401 - names, a truth or an error
        self.answer, self.asked = answer, 0

    def field_names(self) -> Any:  # noqa: ANN401
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    signs_temporarily = field_names


def test_names_need_no_question() -> None:
    airtable = Says({})
    preflight.check_fields(settings(), airtable)  # type: ignore[arg-type]
    assert airtable.asked == 0


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ({ID: "Recording"}, f'{ID} is "Recording"'),
        ({}, f"{ID} is an ID"),
        (DENIED, f"{ID} is an ID"),
    ],
)
def test_an_id_is_refused_with_its_name_if_that_may_be_known(answer: object, known: str) -> None:
    named = settings(RECCLI_AIRTABLE__LINK_FIELDS=f'["{ID}", "Transfer"]')
    with pytest.raises(ConfigError) as caught:
        preflight.check_fields(named, Says(answer))  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.startswith(f"airtable.link_fields[0]: {known}; name the field")


@pytest.mark.parametrize(
    ("style", "answer", "dying"),
    [
        ("presigned", True, True),
        ("presigned", False, False),
        ("presigned", DENIED, False),
        ("object", True, False),
        ("permalink", True, False),
    ],
)
def test_only_presigned_links_die_with_temporary_credentials(
    style: str, answer: object, *, dying: bool
) -> None:
    more = {"RECCLI_LINKS__BASE_URL": "https://x.example.com", "RECCLI_LINKS__SECRET": SECRET}
    made = settings(RECCLI_LINKS__STYLE=style, **(more if style == "permalink" else {}))
    failure = preflight.dying_links(made, Says(answer))  # type: ignore[arg-type]
    assert (failure is not None) is dying
    if failure:
        assert (failure.service, failure.kind) == (Service.S3, FailureKind.CONFIG)
        assert failure.code == "temporary_credentials"
        assert "signing_access_key_id" in failure.hint
