"""Every form of address of a recording at Twilio is read to its SID, and ours is read back."""

from __future__ import annotations

import pytest

from reccli.core.links import TwilioLink
from reccli.core.model import Ref

from .samples import ACCOUNT, CA1, CF1, RE1, make_book

ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"
MEDIA = f"{ROOT}/Recordings/{RE1}"
DEAD = ("ie1", "au1", "br1", "de1", "jp1", "sg1", "us2")


class TestTwilio:
    @pytest.mark.parametrize(
        ("host", "region"),
        [
            ("api.twilio.com", "us1"),
            ("api.us1.twilio.com", "us1"),
            ("api.ashburn.us1.twilio.com", "us1"),
            ("api.dublin.us1.twilio.com", "us1"),
            ("api.san-jose-ix.us1.twilio.com", "us1"),
            ("api.sydney.au1.twilio.com", "au1"),
            ("api.singapore-ix.au1.twilio.com", "au1"),
            # Dead since 2026-04-28, and always served from US1.
            *((f"api.{old}.twilio.com", "us1") for old in DEAD),
            ("API.Twilio.COM", "us1"),
        ],
    )
    @pytest.mark.parametrize("scheme", ["https", "http", "HTTPS"])
    def test_hosts(self, scheme: str, host: str, region: str) -> None:
        link = make_book().parse(f"{scheme}://{host}{MEDIA}.mp3")
        assert link == TwilioLink(RE1, ACCOUNT, region)

    @pytest.mark.parametrize(
        ("path", "call"),
        [
            (MEDIA, None),
            (f"{MEDIA}.mp3", None),
            (f"{MEDIA}.wav", None),
            (f"{MEDIA}.json", None),
            (f"{MEDIA}.mp3?RequestedChannels=2&Download=false", None),
            (f"{MEDIA}#t=10", None),
            (f"{ROOT}/Calls/{CA1}/Recordings/{RE1}", CA1),
            (f"{ROOT}/Calls/{CA1}/Recordings/{RE1}.wav", CA1),
            (f"{ROOT}/Conferences/{CF1}/Recordings/{RE1}.json", None),
        ],
    )
    def test_paths(self, path: str, call: str | None) -> None:
        link = make_book().parse(f"https://api.twilio.com{path}")
        assert link == TwilioLink(RE1, ACCOUNT, "us1", call)

    @pytest.mark.parametrize("text", ["https://api.twilio.com:443", "http://api.twilio.com:80"])
    def test_the_port_of_the_scheme(self, text: str) -> None:
        assert isinstance(make_book().parse(text + MEDIA), TwilioLink)

    def test_space_around_it(self) -> None:
        assert isinstance(make_book().parse(f"\n https://api.twilio.com{MEDIA}\t"), TwilioLink)

    def test_a_stand_in_is_read_by_its_exact_origin(self) -> None:
        book = make_book(apis={"us1": "http://127.0.0.1:4010", "au1": "http://127.0.0.1:4011/tw/"})
        assert book.parse(f"http://127.0.0.1:4010{MEDIA}") == TwilioLink(RE1, ACCOUNT, "us1")
        assert book.parse(f"http://127.0.0.1:4011/tw{MEDIA}") == TwilioLink(RE1, ACCOUNT, "au1")

    @pytest.mark.parametrize("region", ["us1", "au1", None])
    @pytest.mark.parametrize("au1", ["https://api.sydney.au1.twilio.com", "http://proxy:81/au/"])
    def test_what_is_minted_is_read_back(self, region: str | None, au1: str) -> None:
        book = make_book(apis={"us1": "https://api.twilio.com/", "au1": au1})
        url = book.twilio.write(Ref(RE1, ACCOUNT, region, CA1), "mp3")
        assert book.parse(url) == TwilioLink(RE1, ACCOUNT, region or "us1")

    def test_what_a_search_for_fallback_links_looks_for(self) -> None:
        """Whose host is Twilio's, whose is configured, and whose path is that of the API."""
        apis = {"us1": "http://Localhost:4010", "au1": "https://api.sydney.au1.twilio.com"}
        needles = make_book(apis=apis).twilio.needles
        assert needles == ("twilio.com", "localhost:4010", "-01/accounts/ac")
