"""Settings on places that were left, and on fields that are named by their IDs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reccli import wiring
from reccli.config import ConfigError, Settings, load
from reccli.core.links import ForeignLink, ObjectLink
from tests.given import FILE, given

SID = "AC" + "0123456789abcdef" * 2
RE1 = "RE" + "1" * 32
FIELD = "fldA1b2C3d4E5f6G7"
ENV = {
    "TWILIO_ACCOUNT_SID": SID,
    "TWILIO_AUTH_TOKEN": "f00dfeed",
    "AWS_S3_BUCKET": "calls",
    "AIRTABLE_API_KEY": "patSecretSecret",
    "AIRTABLE_BASE_ID": "appBase",
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine is found by accident."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def made(**sections: dict[str, Any]) -> Settings:
    return given(ENV, **sections)


class TestFormer:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("s3://old-bucket", "s3://old-bucket"),
            ("s3://old-bucket/", "s3://old-bucket"),
            ("s3://Old_Bucket.x/a b/c", "s3://Old_Bucket.x/a b/c"),
            ("s3://old-bucket/a/b/", "s3://old-bucket/a/b"),
            ("https://old-cdn.example.com/", "https://old-cdn.example.com"),
            ("http://old.example.com:81/a/", "http://old.example.com:81/a"),
            ("s3://calls/older", "s3://calls/older"),
            ("s3://calls/call-recordings-old", "s3://calls/call-recordings-old"),
            ("s3://calls/call-recordings/old", "s3://calls/call-recordings/old"),
            ("s3://calls-old", "s3://calls-old"),
        ],
    )
    def test_taken(self, given: str, meant: str) -> None:
        assert made(links={"former": [given]}).links.former == (meant,)

    @pytest.mark.parametrize(
        ("place", "expected"),
        [
            ("", "must not be empty"),
            ("old-bucket", "must be an http(s) URL with a host"),
            ("ftp://old.example.com", "must be an http(s) URL with a host"),
            ("https://u:s3cr3t@old.example.com", "must not hold a user name or password"),
            ("https://old.example.com/?a=1", "must not have a query or a fragment"),
            ("https://old.example.com:port", "is not a URL"),
            *(
                (place, "must be s3://bucket, s3://bucket/prefix or an http(s) URL")
                for place in (
                    *("s3://", "s3:///a", "s3://b", "s3://-old", "s3:old", "S3://old-bucket"),
                    *("s3://old?versionId=1", "s3://old/a#b", "s3://old/a\\b", "s3://old/a\nb"),
                    *("s3://u@old", "s3://old:80", "s3://old//a"),
                )
            ),
        ],
    )
    def test_refused_by_number_and_without_its_value(self, place: str, expected: str) -> None:
        with pytest.raises(ConfigError) as caught:
            made(links={"former": ["s3://fine", place]})
        assert caught.value.problems == [f"links.former[1]: {expected} ({FILE})"]

    @pytest.mark.parametrize(
        ("place", "changes"),
        [
            ("s3://calls", {}),
            ("s3://calls/call-recordings/", {}),
            ("s3://calls/a", {"s3": {"prefix": "a/b"}}),
            ("s3://calls/call-recordings", {"s3": {"endpoint_url": "https://store.example"}}),
            ("https://store.example", {"s3": {"endpoint_url": "https://store.example"}}),
            ("https://store.example/calls", {"s3": {"endpoint_url": "https://store.example/"}}),
            ("https://calls.s3.ap-southeast-2.amazonaws.com", {}),
            ("https://cdn.example", {"links": {"base_url": "https://cdn.example/"}}),
            ("https://cdn.example", {"links": {"base_url": "https://cdn.example/v2"}}),
            (
                "https://cdn.example/call-recordings",
                {"links": {"base_url": "https://cdn.example", "style": "object"}},
            ),
            (
                "https://x.example/r/call-recordings",
                {
                    "links": {
                        "base_url": "https://x.example",
                        "style": "permalink",
                        "secret": "s" * 32,
                    }
                },
            ),
        ],
    )
    def test_what_is_in_use_has_not_been_left(
        self, place: str, changes: dict[str, dict[str, Any]]
    ) -> None:
        links = {**changes.get("links", {}), "former": ["s3://fine", place]}
        with pytest.raises(ConfigError) as caught:
            made(**{**changes, "links": links})
        (line,) = caught.value.problems
        assert line.startswith("links.former[1]: holds the place where recordings are kept or")

    @pytest.mark.parametrize(
        ("place", "changes"),
        [
            ("s3://calls", {"s3": {"endpoint_url": "https://store.example"}}),
            ("https://cdn.example/v1", {"links": {"base_url": "https://cdn.example/v2"}}),
            ("https://cdn.example/v", {"links": {"base_url": "https://cdn.example/v2"}}),
        ],
    )
    def test_what_only_looks_like_it_has(
        self, place: str, changes: dict[str, dict[str, Any]]
    ) -> None:
        links = {**changes.get("links", {}), "former": [place]}
        assert made(**{**changes, "links": links}).links.former == (place,)

    def test_a_list_in_the_environment(self) -> None:
        for text in (
            "s3://old\nhttps://old.example/",
            json.dumps(["s3://old", "https://old.example"]),
        ):
            settings = load(None, env={**ENV, "RECCLI_LINKS__FORMER": text})
            assert settings.links.former == ("s3://old", "https://old.example")

    def test_the_book_knows_them(self) -> None:
        text = f"https://old.s3.amazonaws.com/{RE1}.mp3"
        assert wiring.link_book(made()).parse(text) == ForeignLink()
        link = wiring.link_book(made(links={"former": ["s3://old"]})).parse(text)
        assert isinstance(link, ObjectLink)
        assert link.style == "former"


class TestFieldIds:
    def test_they_are_told_with_their_keys(self) -> None:
        fields = {
            "call_sid_field": FIELD,
            "conference_sid_field": FIELD.replace("A", "B"),
            "link_fields": ["Recording", FIELD.replace("A", "C")],
            "key_fields": {"agent": FIELD.replace("A", "D"), "office": "Office"},
        }
        assert made(airtable=fields).airtable.field_ids == (
            ("airtable.call_sid_field", FIELD),
            ("airtable.conference_sid_field", FIELD.replace("A", "B")),
            ("airtable.link_fields[1]", FIELD.replace("A", "C")),
            ("airtable.key_fields.agent", FIELD.replace("A", "D")),
        )

    @pytest.mark.parametrize("name", [FIELD[:-1], f"{FIELD}x", FIELD.upper(), f"{FIELD[:-1]}-"])
    def test_a_name_is_none(self, name: str) -> None:
        assert made(airtable={"call_sid_field": name}).airtable.field_ids == ()

    def test_nor_are_the_defaults(self) -> None:
        settings = made()
        assert settings.airtable.field_ids == ()
        assert settings.airtable.conference_sid_field == ""


def test_the_brake_on_fractions_is_off_and_nothing_of_an_archive_counts() -> None:
    settings = made()
    assert settings.safety.max_delete_fraction == 1.0
    assert not settings.s3.accept_archive_class
    assert not settings.s3.verifies_checksums
