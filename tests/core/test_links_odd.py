"""What a cell that has to do with Twilio holds when it is no link, and what is a word."""

from __future__ import annotations

import pytest

from reccli.core.links import ForeignLink, ObjectLink, Oddity, TwilioLink, Word

from .samples import (
    ACCOUNT,
    BUCKET,
    CA1,
    OTHER_ACCOUNT,
    RE1,
    RE2,
    make_book,
    presigned,
    twilio_cell,
)

BOOK = make_book()
MEDIA = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RE1}.mp3"
OF_CALL = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CA1}/Recordings/{RE1}"


class TestWithoutAHost:
    @pytest.mark.parametrize("text", [RE1, f"{RE1}.mp3", f" {RE1}.wav\n", f"{RE1}.json", MEDIA])
    def test_a_sid_or_a_path_is_a_link_into_whichever_region(self, text: str) -> None:
        assert BOOK.parse(text) == TwilioLink(RE1, ACCOUNT, None)

    def test_a_path_tells_the_call(self) -> None:
        assert BOOK.parse(OF_CALL) == TwilioLink(RE1, ACCOUNT, None, CA1)

    @pytest.mark.parametrize(
        "text",
        [
            MEDIA.replace(ACCOUNT, OTHER_ACCOUNT),
            MEDIA.replace("2010-04-01", "2008-08-01"),
            MEDIA.removeprefix("/"),
            f"/{MEDIA}",
            f"{MEDIA}/",
            f"/{RE1}",
            f"{RE1}0",
            f"{RE1}.ogg",
            f"{RE1} {RE1}",
            f"x{RE1}",
        ],
    )
    def test_nothing_else_is(self, text: str) -> None:
        assert not isinstance(BOOK.parse(text), TwilioLink | ObjectLink)


ODD = [
    (f"https://{ACCOUNT}:some-token@api.twilio.com{MEDIA}", Oddity.SECRET),
    (f"see https://user:some-token@api.twilio.com{MEDIA}", Oddity.SECRET),
    (f"https://user@api.twilio.com{MEDIA}", Oddity.UNREAD),
    (f"[call]({twilio_cell(RE1)})", Oddity.MARKUP),
    (f"<{twilio_cell(RE1)}>", Oddity.MARKUP),
    (f"{twilio_cell(RE1)} {twilio_cell(RE2)}", Oddity.SEVERAL),
    (f"{twilio_cell(RE1)},{twilio_cell(RE1)}", Oddity.SEVERAL),
    (f"{RE1} {RE2}"[:44], Oddity.TEXT),
    (f"{MEDIA}\n/{RE2}", Oddity.SEVERAL),
    (f"{twilio_cell(RE1)} (main)", Oddity.TEXT),
    (f"see {RE1}", Oddity.TEXT),
    (f"call:{RE1}", Oddity.TEXT),
    (twilio_cell(RE1).replace("2010-04-01", "2008-08-01"), Oddity.OLD_VERSION),
    (MEDIA.replace("2010-04-01", "2008-08-01"), Oddity.OLD_VERSION),
    (twilio_cell(RE1, account=OTHER_ACCOUNT), Oddity.OTHER_ACCOUNT),
    (MEDIA.replace(ACCOUNT, OTHER_ACCOUNT), Oddity.OTHER_ACCOUNT),
    (f"https://api.dublin.ie1.twilio.com{MEDIA}", Oddity.OTHER_REGION),
    (f"api.twilio.com{MEDIA}", Oddity.NO_SCHEME),
    (f"https://api.twilio.com.evil.example{MEDIA}", Oddity.OTHER_HOST),
    (f"https://files.example.org{MEDIA}", Oddity.OTHER_HOST),
    ("https://console.twilio.com/", Oddity.OTHER_HOST),
    (f"https://api.twilio.com{MEDIA}/", Oddity.UNREAD),
    (f"{MEDIA}/", Oddity.UNREAD),
    ("ask somebody at Twilio.com", Oddity.TEXT),
]


@pytest.mark.parametrize(("text", "what"), ODD)
def test_what_is_wrong_with_it(text: str, what: Oddity) -> None:
    for dressed in (text, f"\n{text}\u200b "):
        assert BOOK.twilio.oddity(dressed) is what
        assert not isinstance(BOOK.parse(dressed), TwilioLink | ObjectLink | None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pending",
        "https://files.example.org/x.mp3",
        f"https://files.example.org/{RE1}.mp3",  # somebody's, and no address of Twilio's
        presigned(f"https://{BUCKET}.s3.amazonaws.com/{RE1}.mp3"),
        f"see {RE1}{'.' * 8}",
    ],
)
def test_what_has_nothing_to_do_with_twilio(text: str) -> None:
    assert BOOK.twilio.oddity(text) is None


def test_a_stand_in_is_known_by_its_host() -> None:
    book = make_book(apis={"us1": "http://Localhost:4010"})
    assert book.twilio.oddity("http://localhost:4010/console") is Oddity.UNREAD
    assert BOOK.twilio.oddity("http://localhost:4010/console") is None


class TestWords:
    @pytest.mark.parametrize(
        "text",
        [
            *("pending", "N/A", "-", "tbd", "in progress", "see the drive", "12", "\U0001f3a7"),
            *("call bob@example.org", "+61 400 000 000", "true", "note: ask Ann", "and/or"),
        ],
    )
    def test_a_word_leads_nowhere(self, text: str) -> None:
        assert BOOK.parse(text) == Word()

    @pytest.mark.parametrize(
        "text",
        [
            *("https://x.org", "ftp://x/y", "mailto:/x", "www.example.org", "example.org/a?b"),
            *("/calls/1.wav", "//x/y", "\\\\server\\share", "C:\\calls\\1.wav", "see http://x"),
            *("example.org:81", f"see {RE1}", '[{"url": "https://dl.example.org/a"}]'),
        ],
    )
    def test_an_address_or_a_sid_is_somebodys(self, text: str) -> None:
        assert BOOK.parse(text) == ForeignLink()

    @pytest.mark.parametrize("text", [" ", "\n", "\xa0", "\u200b\ufeff \u200e", "\u2060"])
    def test_white_space_is_nothing_seen_or_not(self, text: str) -> None:
        assert BOOK.parse(text) is None
