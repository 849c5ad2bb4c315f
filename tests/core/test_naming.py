"""One key for each recording, of characters that every store takes, or none until it is certain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.links import ObjectLink
from reccli.core.naming import Naming

from .samples import ACCOUNT, CA1, CF1, RE1, make_book, make_recording, make_row

PLAIN = Naming("call-recordings/", "{call_sid}/{recording_sid}.{ext}", "mp3")
BY_FIELD = Naming("", "{provider}/{employee}/{recording_sid}.{ext}", "mp3")
ENCRYPTED = {"encryption_cek": "…"}


@pytest.mark.parametrize(
    ("template", "recording", "key"),
    [
        (PLAIN.template, make_recording(), f"{CA1}/{RE1}.mp3"),
        (PLAIN.template, make_recording(call_sid=None, conference_sid=CF1), f"{CF1}/{RE1}.mp3"),
        (PLAIN.template, make_recording(conference_sid=CF1), f"{CA1}/{RE1}.mp3"),
        (PLAIN.template, make_recording(call_sid=None), f"no-call/{RE1}.mp3"),
        (PLAIN.template, make_recording(encryption=ENCRYPTED), f"{CA1}/{RE1}.wav"),
        ("{date}/{recording_sid}", make_recording(), f"2026-11-21/{RE1}"),
        ("{date}/{recording_sid}", make_recording(created=None), f"no-date/{RE1}"),
        ("{account_sid}/{recording_sid}", make_recording(), f"{ACCOUNT}/{RE1}"),
        ("{{x}}/{recording_sid}", make_recording(), f"{{x}}/{RE1}"),
    ],
)
def test_the_key_of_a_recording(template: str, recording: object, key: str) -> None:
    assert isinstance(recording, type(make_recording()))
    assert (
        Naming("call-recordings/", template, "mp3").key(recording, []) == f"call-recordings/{key}"
    )


@pytest.mark.parametrize("media_format", ["mp3", "wav"])
def test_twilio_cannot_transcode_what_is_encrypted(media_format: str) -> None:
    naming = Naming("", "{recording_sid}.{ext}", media_format)
    assert naming.extension(make_recording()) == media_format
    assert naming.extension(make_recording(encryption=ENCRYPTED)) == "wav"


class TestFieldsOfRows:
    def test_they_are_used(self) -> None:
        row = make_row(fields={"provider": "Acme", "employee": "Ann"})
        assert BY_FIELD.key(make_recording(), [row]) == f"Acme/Ann/{RE1}.mp3"

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"provider": "Acme"},
            {"provider": "Acme", "employee": ""},
            {"provider": "Acme", "employee": "  "},
            {"provider": "Acme", "employee": "日本"},
            {"provider": "Acme", "employee": "../"},
        ],
    )
    def test_until_they_are_there_the_recording_has_no_key(self, fields: dict[str, str]) -> None:
        assert BY_FIELD.key(make_recording(), [make_row(fields=fields)]) is None
        assert BY_FIELD.key(make_recording(), []) is None
        assert PLAIN.key(make_recording(), []) is not None

    def test_the_first_row_that_has_one_gives_it(self) -> None:
        rows = [
            make_row(fields={"provider": "", "employee": "Ann"}),
            make_row(fields={"provider": "Acme", "employee": "Bob"}, row_id="rec2"),
        ]
        assert BY_FIELD.key(make_recording(), rows) == f"Acme/Ann/{RE1}.mp3"

    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("Acme Ltd.", "Acme-Ltd"),
            ("a/b\\c", "a-b-c"),
            ("../../etc", "etc"),
            ("-x-", "x"),
            ("50% + {y} ?#&", "50-y"),
            ("Zoë", "Zo"),
            ("a  b\nc", "a-b-c"),
            ("O'Neil (jr)!", "O'Neil-(jr)!"),
        ],
    )
    def test_they_are_made_plain(self, text: str, plain: str) -> None:
        row = make_row(fields={"provider": text, "employee": "x"})
        assert BY_FIELD.key(make_recording(), [row]) == f"{plain}/x/{RE1}.mp3"

    def test_no_field_takes_the_place_of_a_fact_about_the_recording(self) -> None:
        row = make_row(fields={"recording_sid": "x", "ext": "exe", "call_sid": "y"})
        assert PLAIN.key(make_recording(), [row]) == f"call-recordings/{CA1}/{RE1}.mp3"


@given(provider=st.text(max_size=30), employee=st.text(max_size=30))
def test_whatever_a_row_holds_the_key_is_plain_and_stays_in_its_folder(
    provider: str, employee: str
) -> None:
    naming = Naming("calls/", "{provider}/{employee}/{recording_sid}.{ext}", "mp3")
    row = make_row(fields={"provider": provider, "employee": employee})
    key = naming.key(make_recording(), [row])
    if key is None:
        return
    assert re.fullmatch(r"calls/[\w!.*'()-]+/[\w!.*'()-]+/RE1{32}\.mp3", key, re.ASCII)
    assert not {"", ".", ".."} & set(key.split("/"))


@given(provider=st.text(min_size=1, max_size=30))
def test_the_key_is_read_back_from_its_link(provider: str) -> None:
    naming = Naming("calls/", "{provider}/{recording_sid}.{ext}", "mp3")
    key = naming.key(make_recording(), [make_row(fields={"provider": provider})])
    book = make_book(style="object")
    if key is not None:
        assert book.parse(book.object_url(key)) == ObjectLink(RE1, key, "object")
