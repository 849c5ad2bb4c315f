"""Cells as people and Airtable leave them: found and put right, or found and told as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.sandbox.services import ACCOUNT_SID, LINK, TRANSFER

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

SECRET = "the-auth-token-of-the-account-1234"
API = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/"


def test_fallback_links_in_every_dress_are_found_and_moved(lab: Lab) -> None:
    dresses = {
        "host in any case": f"https://Api.Twilio.Com{API}%s",
        "dead host in any case": f"HTTPS://API.ie1.twilio.com{API}%s.mp3",
        "path": f"{API}%s",
        "path with white space": f"\n{API}%s.wav ",
        "SID": "%s",
        "SID with white space": " %s\u200b\n",
        "SID of a file": "%s.mp3",
    }
    calls = {name: lab.call() for name in dresses}
    for name, (row, mine) in calls.items():
        row.fields[TRANSFER if "white" in name else LINK] = dresses[name] % mine.sid
    assert lab.json("report").doc["report"]["fallback_rows"] == len(dresses)
    told = lab.json("migrate-fallbacks")
    assert (told.code, told.summary["relinked"]) == (0, len(dresses))
    for name, (row, mine) in calls.items():
        field, other = (TRANSFER, LINK) if "white" in name else (LINK, TRANSFER)
        assert (lab.holds(row, mine, field), lab.link(row, other)) == ("s3", ""), name
        assert lab.archived(mine)
    assert lab.json("migrate-fallbacks").summary == {}
    told = lab.json("purge-twilio", "--retention", "0")
    assert (told.code, lab.deleted()) == (0, {mine.sid for _, mine in calls.values()})


def test_what_is_no_link_is_told_as_what_it_is_and_no_secret_is_repeated(lab: Lab) -> None:
    mine, other = lab.sandbox.twilio.add(duration=2), lab.sandbox.twilio.add(duration=2)
    url = f"https://api.twilio.com{API}{mine.sid}"
    cells = {
        "cell_secret": url.replace("//", f"//{ACCOUNT_SID}:{SECRET}@"),
        "cell_markup": f"[listen]({url})",
        "cell_several": f"{url} {url.replace(mine.sid, other.sid)}",
        "cell_text": f"{mine.sid} (Ann)",
        "cell_old_version": url.replace("2010-04-01", "2008-08-01"),
        "cell_other_account": url.replace(ACCOUNT_SID, "AC" + "0" * 32),
        "cell_other_region": url.replace("api.", "api.dublin.ie1."),
        "cell_no_scheme": url.removeprefix("https://"),
        "cell_other_host": url.replace("twilio.com", "twilio.example"),
        "cell_unread": f"{url}/Transcriptions",
    }
    rows = {code: lab.row("", link=text) for code, text in cells.items()}
    told = lab.json("migrate-fallbacks")
    held = {entry["link"]: entry for entry in told.doc["recordings"]}
    assert (told.code, told.summary["held"]) == (0, len(cells))
    reasons = [held[f"row {row.id}"]["reason"] for row in rows.values()]
    assert len({reason.partition(" holds ")[2] for reason in reasons}) == len(cells)
    assert all(f"'{LINK}' of row rec" in reason for reason in reasons)
    assert {lab.link(row) for row in rows.values()} == set(cells.values())
    assert lab.keys() == []
    in_words = lab.run("migrate-fallbacks")
    for said in (told.stdout, told.stderr, in_words.stdout, in_words.stderr):
        assert SECRET not in said
    assert "a user name and a password in it" in in_words.stdout
    assert "auth token: make a new one in Twilio's console" in in_words.stdout
    assert in_words.stdout.count("fix: ") == len(cells)


def test_an_odd_cell_beside_a_good_link_is_told_as_well(lab: Lab) -> None:
    row, mine = lab.call(linked=True)
    row.fields[TRANSFER] = f"https://api.twilio.com{API.replace('2010-04', '2008-08')}{mine.sid}"
    told = lab.json("migrate-fallbacks")
    (odd,) = [entry for entry in told.doc["recordings"] if entry["sid"] is None]
    assert f"'{TRANSFER}' of row {row.id}" in odd["reason"]
    assert (lab.holds(row, mine), told.of(mine)["steps"]) == ("s3", ["Copy", "Relink"])
