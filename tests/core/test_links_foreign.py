"""Whatever is not provably ours is somebody else's, and no text makes the parser stumble."""

from __future__ import annotations

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reccli.core.links import ForeignLink, ObjectLink, TwilioLink

from .samples import (
    ACCOUNT,
    BUCKET,
    CA1,
    KEY,
    NOW,
    OTHER_ACCOUNT,
    RE1,
    RE2,
    make_book,
    presigned,
    twilio_cell,
)

MEDIA = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RE1}.mp3"
LONG_AGO = datetime.min.replace(tzinfo=UTC)
BOOK = make_book()

NOT_TWILIO = {
    "host suffix": f"https://api.twilio.com.evil.example{MEDIA}",
    "host prefix": f"https://evilapi.twilio.com{MEDIA}",
    "host ending": f"https://eviltwilio.com{MEDIA}",
    "other subdomain": f"https://www.twilio.com{MEDIA}",
    "subdomain of the host": f"https://evil.api.twilio.com{MEDIA}",
    "no subdomain": f"https://twilio.com{MEDIA}",
    "unheard-of edge": f"https://api.evil.us1.twilio.com{MEDIA}",
    "unheard-of region": f"https://api.dublin.xx1.twilio.com{MEDIA}",
    "unconfigured region": f"https://api.dublin.ie1.twilio.com{MEDIA}",
    "region before edge": f"https://api.au1.sydney.twilio.com{MEDIA}",
    "trailing dot": f"https://api.twilio.com.{MEDIA}",
    "userinfo": f"https://api.twilio.com@evil.example{MEDIA}",
    "userinfo of the right host": f"https://user:pass@api.twilio.com{MEDIA}",
    "empty userinfo": f"https://@api.twilio.com{MEDIA}",
    "port": f"https://api.twilio.com:8443{MEDIA}",
    "port of the other scheme": f"https://api.twilio.com:80{MEDIA}",
    "port zero": f"https://api.twilio.com:0{MEDIA}",
    "port of no number": f"https://api.twilio.com:https{MEDIA}",
    "port too large": f"https://api.twilio.com:99999{MEDIA}",
    "in a query": f"https://evil.example/?u=https://api.twilio.com{MEDIA}",
    "in a fragment": f"https://evil.example/#https://api.twilio.com{MEDIA}",
    "in a path": f"https://evil.example/https://api.twilio.com{MEDIA}",
    "below another path": f"https://api.twilio.com/proxy{MEDIA}",
    "above another path": f"https://api.twilio.com{MEDIA}/Transcriptions",
    "homograph": f"https://api.twi\u0456io.com{MEDIA}",
    "wide letters": f"https://api.t\uff57ilio.com{MEDIA}",
    "wide dot": f"https://api\uff0etwilio.com{MEDIA}",
    "punycode": f"https://api.xn--twiio-q4e.com{MEDIA}",
    "digits of another script": f"https://api.twilio.com{MEDIA.replace('1', chr(0x661))}",
    "backslash for the host": f"https://evil.example\\@api.twilio.com{MEDIA}",
    "backslashes": f"https:\\\\api.twilio.com{MEDIA}",
    "space": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT} /Recordings/{RE1}",
    "tab in the host": f"https://api.twi\tlio.com{MEDIA}",
    "line break": f"https://api.twilio.com{MEDIA[:40]}\n{MEDIA[40:]}",
    "null": f"https://api.twilio.com{MEDIA}\0",
    "no-break space": f"https://api.twilio.com{MEDIA[:40]}\xa0{MEDIA[40:]}",
    "two links": f"{twilio_cell(RE1)},{twilio_cell(RE2)}",
    "markdown": f"[call]({twilio_cell(RE1)})",
    "double slash": f"https://api.twilio.com/{MEDIA}",
    "double slash inside": f"https://api.twilio.com{MEDIA.replace('/Recordings', '//Recordings')}",
    "dot segments": f"https://api.twilio.com/x/..{MEDIA}",
    "encoded slash": f"https://api.twilio.com{MEDIA.replace('/Recordings', '%2FRecordings')}",
    "encoded letter": f"https://api.twilio.com{MEDIA.replace('/Rec', '/%52ec')}",
    "encoded host": f"https://api%2Etwilio.com{MEDIA}",
    "path parameters": f"https://api.twilio.com{MEDIA};v=1",
    "trailing slash": f"https://api.twilio.com{MEDIA}/",
    "other suffix": twilio_cell(RE1, ".ogg"),
    "old version": f"https://api.twilio.com{MEDIA.replace('2010-04-01', '2008-08-01')}",
    "lower-case path": f"https://api.twilio.com{MEDIA.lower()}",
    "other account": twilio_cell(RE1, account=OTHER_ACCOUNT),
    "account of no SID": twilio_cell(RE1, account="ACme"),
    "SID too long": twilio_cell(RE1 + "0"),
    "SID too short": twilio_cell(RE1[:-1]),
    "SID of a call": twilio_cell(CA1),
    "no scheme": f"api.twilio.com{MEDIA}",
    "no scheme but slashes": f"//api.twilio.com{MEDIA}",
    "one slash": f"https:/api.twilio.com{MEDIA}",
    "other scheme": f"ftp://api.twilio.com{MEDIA}",
    "script": f"javascript://api.twilio.com{MEDIA}",
    "twilio in an S3 scheme": f"s3://api.twilio.com{MEDIA}",
    "no host": f"https://{MEDIA}",
    "broken brackets": f"https://[api.twilio.com{MEDIA}",
}

HOST = f"https://{BUCKET}.s3.ap-southeast-2.amazonaws.com"
NOT_OUR_OBJECT = {
    "other bucket": presigned(f"https://other.s3.amazonaws.com/{KEY}"),
    "other bucket by path": presigned(f"https://s3.amazonaws.com/other/{KEY}"),
    "bucket as a prefix": presigned(f"https://s3.amazonaws.com/{BUCKET}-old/{KEY}"),
    "our name in a longer bucket": presigned(f"https://evil.{BUCKET}.s3.amazonaws.com/{KEY}"),
    "our name and s3 in a bucket": presigned(f"https://{BUCKET}.s3.evil.s3.amazonaws.com/{KEY}"),
    "our bucket in a path of another": presigned(f"https://other.s3.amazonaws.com/{BUCKET}/{KEY}"),
    "host suffix": presigned(f"{HOST}.evil.example/{KEY}"),
    "host ending": presigned(f"https://{BUCKET}.s3.evilamazonaws.com/{KEY}"),
    "bucket of another partition": presigned(
        f"https://{BUCKET}.s3.cn-north-1.amazonaws.com.cn/{KEY}"
    ),
    "bucket of another partition by path": presigned(
        f"https://s3.cn-north-1.amazonaws.com.cn/{BUCKET}/{KEY}"
    ),
    "port": presigned(f"{HOST}:8443/{KEY}"),
    "port of the other scheme": presigned(f"{HOST}:80/{KEY}"),
    "userinfo": presigned(f"https://{BUCKET}.s3.amazonaws.com@evil.example/{KEY}"),
    "other bucket by URI": f"s3://other/{KEY}",
    "no SID in the key": presigned(f"{HOST}/call-recordings/hello.mp3"),
    "SID of a call alone": presigned(f"{HOST}/{CA1}.mp3"),
    "two SIDs in the key": presigned(f"{HOST}/{RE1}/{RE2}.mp3"),
    "SID inside a word": presigned(f"{HOST}/x{RE1}.mp3"),
    "SID too long": presigned(f"{HOST}/{RE1}0.mp3"),
    "SID in the query alone": presigned(f"{HOST}/call.mp3") + f"&sid={RE1}",
    "no key": f"{HOST}/",
    "no path": HOST,
}


@pytest.mark.parametrize("name", NOT_TWILIO)
def test_an_imitation_of_twilio_is_foreign(name: str) -> None:
    assert BOOK.parse(NOT_TWILIO[name]) == ForeignLink()


@pytest.mark.parametrize("name", NOT_OUR_OBJECT)
def test_another_object_is_foreign(name: str) -> None:
    assert BOOK.parse(NOT_OUR_OBJECT[name]) == ForeignLink()


def test_aws_is_foreign_to_an_installation_with_its_own_store() -> None:
    book = make_book(endpoint_url="https://s3.example.com")
    assert book.parse(presigned(f"{HOST}/{KEY}")) == ForeignLink()
    assert book.parse(presigned(f"http://s3.example.com/{BUCKET}/{KEY}")) == ForeignLink()
    assert book.parse(presigned(f"https://s3.example.com:444/{BUCKET}/{KEY}")) == ForeignLink()
    assert book.parse(presigned(f"https://s3.example.com/{BUCKET}x/{KEY}")) == ForeignLink()


def test_a_permalink_of_another_host_is_ours_only_by_our_signature() -> None:
    book = make_book(style="permalink", base_url="https://calls.example.com/a", secrets=("s",))
    url = book.permalinks.write(KEY)
    assert isinstance(book.parse(url), ObjectLink)
    for other in (
        url.replace("https:", "http:"),
        url.replace("calls.example.com", "calls.example.org"),
        url.replace("calls.example.com", "calls.example.com:8080"),
        url.replace("/a/r/", "/ab/r/"),
        url.replace("/a/r/", "/r/"),
        url.replace("/a/r/", "/r/r/r/r/"),
    ):
        moved = book.parse(other)
        assert moved == ObjectLink(RE1, KEY, "permalink", LONG_AGO)
        assert isinstance(moved, ObjectLink)
        assert not book.usable(moved, NOW)
        assert book.parse(other[:-1]) == ForeignLink()
        assert book.parse(f"{other}0") == ForeignLink()
        assert book.parse(other.replace(RE1, RE2)) == ForeignLink()
        assert make_book(style="permalink", base_url="https://x.example").parse(other) == (
            ForeignLink()
        )
    assert book.parse(url.replace("calls.example.com/a", "x.example" + 5 * "/r")) == ForeignLink()


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_only_an_empty_cell_is_empty(text: str) -> None:
    assert BOOK.parse(text) is None


PIECES = [
    *("http://", "https://", "s3://", "//", "/", "/r/", "?", "&", "=", "#", "%", "%2F", "@", ":"),
    *("api.twilio.com", "api.sydney.au1.twilio.com", MEDIA, ACCOUNT, RE1, RE2, CA1, KEY, BUCKET),
    *(".s3.", "amazonaws.com", "calls.example.com", "X-Amz-Date=", "X-Amz-Expires=", "Expires="),
    *("AWSAccessKeyId=", "Signature=", "X-Amz-Security-Token=", "old", "old.s3.amazonaws.com"),
    *("X-Amz-Signature=", "sig=", "%C3%A9", "%FF", "443", "-1", "20261122T000000Z", "[", "]", "\\"),
]
SIGNED = ("sig", "Expires", "Signature", "AWSAccessKeyId")
SIGV4 = ("X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature", "X-Amz-Security-Token")
NEAR = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)
OUR_ADDRESS = st.tuples(
    st.sampled_from(
        [
            f"https://calls.example.com/r/{KEY}?",
            f"https://calls.example.com/{KEY}?",
            f"{HOST}/{KEY}?",
            f"https://old.s3.amazonaws.com/{KEY}?",
            f"https://old.example.com/{KEY}?",
            f"https://api.twilio.com{MEDIA}?",
        ]
    ),
    st.lists(
        st.tuples(
            st.sampled_from([*SIGNED, *SIGV4]),
            st.text(string.digits + "TZ%-+éEC&=;", max_size=12),
        ).map("=".join),
        max_size=4,
    ).map("&".join),
).map("".join)
BOOKS = [
    BOOK,
    make_book(endpoint_url="http://127.0.0.1:8333"),
    make_book(former=("s3://old", f"s3://{BUCKET}/call-recordings", "https://old.example.com")),
    make_book(former=("s3://old/x y",), endpoint_url="http://127.0.0.1:8333", style="object"),
    *(
        make_book(style=style, base_url="https://calls.example.com", secrets=("s", "é"))
        for style in ("presigned", "permalink", "object")
    ),
]


@given(text=st.text() | NEAR | OUR_ADDRESS)
def test_reading_never_raises_and_never_invents(text: str) -> None:
    for book in BOOKS:
        link = book.parse(text)
        assert (link is None) == (not text.strip())
        match link:
            case TwilioLink():
                assert link.account_sid == ACCOUNT
                assert link.sid in text
                assert link.region in {*book.twilio.apis, None}  # a bare SID or path names none
            case ObjectLink():
                assert link.sid in link.key
                assert isinstance(book.usable(link, link.expires or NOW), bool)
                if link.style in {"former", "sigv2"}:
                    assert not book.usable(link, NOW)
