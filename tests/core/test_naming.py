"""One key for each recording, of characters that every store takes, or none until it is certain."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.errors import FailureKind, ServiceError
from reccli.core.links import ObjectLink, recordings_in
from reccli.core.naming import MOST_BYTES, Naming, can_be, plain

from .samples import ACCOUNT, CA1, CF1, RE1, RE2, make_book, make_recording, make_row, presigned

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
            {"provider": "Acme", "employee": " \n\u00a0"},
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
            ("Zoë", "Zoe"),
            ("Zoe\u0308", "Zoe"),
            ("O\u2019Neil \u2013 Söhne™", "O-Neil-SohneTM"),
            ("42", "42"),
            ("\uff14\uff12", "42"),
            ("李雷", "xn--7qvw47h"),
            ("\uff14李", "xn--4-676b"),
            ("Ольга", "xn--q0a0bi5a4f"),
            ("Й", "xn--l0a"),
            ("И\u0306", "xn--l0a"),
            ("हिन्दी", "xn--j2bd4cyah0f"),
            ("🚀 Acme", "Acme"),
            ("a  b\nc", "a-b-c"),
            ("O'Neil (jr)!", "O'Neil-(jr)!"),
        ],
    )
    def test_they_are_made_plain(self, text: str, plain: str) -> None:
        row = make_row(fields={"provider": text, "employee": "x"})
        assert BY_FIELD.key(make_recording(), [row]) == f"{plain}/x/{RE1}.mp3"

    @pytest.mark.parametrize("odd", ["🚀", "../", "…", "\u2013", "\u200d", "\ud800", None])
    def test_what_can_be_no_part_of_a_key_is_an_error_that_names_row_and_field(
        self, odd: str | None
    ) -> None:
        row = make_row(fields={"provider": "Acme", "employee": odd}, row_id="rec7")
        with pytest.raises(ServiceError) as caught:
            BY_FIELD.key(make_recording(), [row])
        failure = caught.value.failure
        assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "no_key")
        assert "rec7" in failure.message
        assert "airtable.key_fields.employee" in failure.message
        with pytest.raises(ServiceError, match="in row rec7"):
            BY_FIELD.key(make_recording(), [row, make_row(fields={"employee": odd}, row_id="rec9")])
        better = make_row(fields={"employee": "Ann"}, row_id="rec8")
        assert BY_FIELD.key(make_recording(), [row, better]) == f"Acme/Ann/{RE1}.mp3"
        assert PLAIN.key(make_recording(), [row]) is not None
        unfilled = make_row(fields={"provider": "", "employee": odd}, row_id="rec7")
        with pytest.raises(ServiceError):  # to wait for the other field would be in vain
            BY_FIELD.key(make_recording(), [unfilled])

    @pytest.mark.parametrize("text", [RE2, f"x {RE2}", f"see {RE2}."])
    def test_the_sid_of_another_recording_can_be_no_part_of_a_key(self, text: str) -> None:
        row = make_row(fields={"provider": text, "employee": "Ann"})
        with pytest.raises(ServiceError, match="the SID of a recording"):
            BY_FIELD.key(make_recording(), [row])

    def test_a_key_is_as_long_as_s3_takes_it_and_no_longer(self) -> None:
        room = MOST_BYTES - len(f"/Ann/{RE1}.mp3")

        def key(text: str) -> str | None:
            row = make_row(fields={"provider": text, "employee": "Ann"})
            return BY_FIELD.key(make_recording(), [row])

        assert len(key("x" * room) or "") == MOST_BYTES
        for text in ("x" * (room + 1), "李" * 100_000):
            with pytest.raises(ServiceError, match=r"S3 takes 1024: .*key_fields\.provider makes"):
                key(text)
        plain = Naming("p" * 1000 + "/", PLAIN.template, "mp3")
        with pytest.raises(ServiceError, match=r"S3 takes 1024$"):
            plain.key(make_recording(), [])

    def test_which_fields_of_a_row_are_empty(self) -> None:
        row = make_row(fields={"provider": "", "employee": None})
        assert BY_FIELD.missing(row) == ("provider",)
        assert BY_FIELD.missing(make_row(fields={"employee": ""})) == ("employee",)
        assert PLAIN.missing(row) == ()

    def test_no_field_takes_the_place_of_a_fact_about_the_recording(self) -> None:
        row = make_row(fields={"recording_sid": "x", "ext": "exe", "call_sid": "y"})
        assert PLAIN.key(make_recording(), [row]) == f"call-recordings/{CA1}/{RE1}.mp3"


@given(text=st.text(st.characters(max_codepoint=127)))
def test_values_of_ascii_keep_the_form_that_keys_were_always_made_of(text: str) -> None:
    assert plain(text) == re.sub(r"[^A-Za-z0-9!_.*'()-]+", "-", text).strip("-.")


NAMES = st.text("李雷韩梅ab", min_size=1, max_size=6)


@given(one=NAMES, other=NAMES)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (plain(one) == plain(other)) is (one == other)


@given(provider=st.text(max_size=30), employee=st.text(max_size=30))
def test_whatever_a_row_holds_the_key_is_plain_and_stays_in_its_folder(
    provider: str, employee: str
) -> None:
    naming = Naming("calls/", "{provider}/{employee}/{recording_sid}.{ext}", "mp3")
    row = make_row(fields={"provider": provider, "employee": employee})
    try:
        key = naming.key(make_recording(), [row])
    except ServiceError:
        return
    if key is None:
        assert not (provider.strip() and employee.strip())
        return
    assert re.fullmatch(r"calls/[\w!.*'()-]+/[\w!.*'()-]+/RE1{32}\.mp3", key, re.ASCII)
    assert can_be(key)
    assert naming.is_audio(key)
    assert recordings_in(key) == {RE1}
    for style in ("object", "permalink"):
        book = make_book(style=style, base_url="https://calls.example.com", secrets=("s" * 32,))
        url = book.permalinks.write(key) if style == "permalink" else book.objects.write(key)
        assert book.parse(url) == ObjectLink(RE1, key, style)
    book = make_book()
    assert book.parse(presigned(book.objects.write(key))) == ObjectLink(
        RE1, key, "presigned", datetime(2026, 11, 29, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("key", "possible"),
    [
        ("a/b.mp3", True),
        ("x" * 1024, True),
        ("x" * 1025, False),
        ("é" * 512, True),
        ("é" * 513, False),
        ("", False),
        ("a/../b", False),
        ("./b", False),
        ("a/...", True),
        ("a/.b", True),
        ("a\0b", False),
        ("a\nb", False),
        ("\x7f", False),
        ("\ud800", False),
        ("a//b", True),
    ],
)
def test_what_can_be_a_key(key: str, *, possible: bool) -> None:
    assert can_be(key) is possible
