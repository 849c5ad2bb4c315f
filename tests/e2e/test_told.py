"""What needs a person is said, once, and nothing is said that nobody has seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from reccli.adapters.ledger import Callback, Ledger
from reccli.sandbox.faults import Fault, FaultKind
from reccli.sandbox.running import ACCOUNT_SID
from tests import prefork
from tests.ledger.samples import add_all

if TYPE_CHECKING:
    from reccli.sandbox.recordings import FakeRecording
from tests.e2e.lab import Lab


def causes(stdout: str, of: str) -> list[str]:
    return [line for line in stdout.splitlines() if line.startswith(f"{of}: ")]


def lose(lab: Lab, recording: FakeRecording) -> None:
    lab.sandbox.twilio.delete(recording.sid)
    lab.tampered.add(recording.sid)


def test_what_is_held_is_a_line_with_three_names_and_the_fix(lab: Lab) -> None:
    held = [lab.sandbox.twilio.add(duration=1) for _ in range(5)]  # their calls have no rows
    assert lab.json("process").summary == {"seen": 5, "copied": 5, "held": 5}
    quiet = lab.run("process", "-q")
    (line,) = quiet.stdout.splitlines()
    assert (quiet.code, quiet.stderr) == (0, "")
    assert line.startswith("held: archived, nothing refers to it yet; 5 recordings: RE")
    assert sum(one.sid in line for one in held) == 3
    assert " and 2 more, see --json; fix: create the call's row" in line
    doc = lab.json("process", "-q").doc
    assert {entry["sid"] for entry in doc["recordings"]} == {one.sid for one in held}
    assert {entry["step"] for entry in doc["recordings"]} == {"Hold"}


def test_what_is_lost_is_said_quietly_too(lab: Lab) -> None:
    lost = [lab.call(linked=True)[1] for _ in range(4)]
    for one in lost:
        lose(lab, one)
    quiet = lab.run("migrate-fallbacks", "-q")
    (line,) = causes(quiet.stdout, "error")
    assert quiet.code == 1
    assert "; 4 recordings: RE" in line
    assert sum(one.sid in line for one in lost) == 3
    assert "[lost]" in line
    assert "fix: older versions of the key" in line
    doc = lab.json("migrate-fallbacks", "-q").doc
    assert {entry["sid"] for entry in doc["errors"]} == {one.sid for one in lost}


def test_one_cause_is_one_error(lab: Lab) -> None:
    """Six copies fail for one reason, and from the fifth on S3 is not even asked."""
    for _ in range(6):
        lab.call(duration=1)
    words = lab.run("process", "--concurrency", "1", RECCLI_S3__SECRET_ACCESS_KEY="wrong-key")
    (line,) = causes(words.stdout, "error")
    assert words.code == 4
    assert "s3 has failed since" in line
    assert "; 6 recordings: RE" in line
    assert causes(words.stdout, "held") == []
    doc = lab.json("migrate-fallbacks", RECCLI_S3__SECRET_ACCESS_KEY="wrong-key").doc
    told = [(entry["sid"], entry["code"]) for entry in doc["errors"]]
    assert len(told) == len(set(told)) == 7
    assert [sid for sid, code in told if code == "service_down"] == [None]


def test_a_call_that_was_named_and_has_no_recording_is_an_error(lab: Lab) -> None:
    row, mine = lab.call()
    nobody = "CA" + "0f" * 16
    told = lab.json("process", nobody, str(row.fields["CallSid"]))
    assert (told.code, told.error_codes) == (1, {"no_recording"})
    assert nobody in told.doc["errors"][0]["message"]
    assert told.of(mine)["steps"] == ["Copy", "Relink"]
    lab.sandbox.twilio.faults.add(Fault(FaultKind.STATUS, times=None, status=503))
    assert "no_recording" not in lab.json("process", nobody).error_codes  # nobody knows


def test_a_missing_driver_is_a_mistake_of_configuration(lab: Lab) -> None:
    _, mine = lab.call()
    shadow = lab.home / "psycopg.py"  # found first, as the command is started here
    shadow.write_text('raise ModuleNotFoundError("no", name="psycopg")')
    secret = "postgresql+psycopg://me:sandbox-admin-secret@127.0.0.1/x"
    told = lab.start("process", "--json", anew=True, RECCLI_LEDGER__URL=secret).end()
    assert (told.code, told.error_codes) == (2, {"config"})
    assert "psycopg is not installed" in told.doc["errors"][0]["message"]
    assert "reccli[postgres]" in told.doc["errors"][0]["message"]
    assert lab.objects(mine) == []


def test_a_signed_test_callback_does_not_fail_process(lab: Lab) -> None:
    row, mine = lab.call()
    test = "RE" + "0" * 32
    url = f"sqlite:///{lab.home / 'ledger.sqlite3'}"
    with Ledger.open(url) as ledger:
        now = datetime.now(UTC)
        add_all(
            ledger,
            [
                Callback(test, "completed", ACCOUNT_SID, "CA" + "0" * 32, b"", now),
                Callback(mine.sid, "completed", ACCOUNT_SID, mine.call_sid, b"", now),
            ],
        )
    dry = lab.json("process", "-n", RECCLI_LEDGER__URL=url)
    told = lab.json("process", RECCLI_LEDGER__URL=url)
    for one in (dry, told):
        assert (one.code, one.doc["errors"]) == (0, [])
        assert one.summary == {"seen": 2, "copied": 1, "relinked": 1, "waiting": 2}
        (entry,) = [entry for entry in one.doc["recordings"] if entry["sid"] == test]
        assert entry["step"] == "Wait"
        assert entry["reason"] == "a callback told of it, and Twilio knows no such recording"
    assert lab.holds(row, mine) == "s3"
    words = lab.run("process", RECCLI_LEDGER__URL=url)
    assert f"Twilio knows no such recording; 1 recording: {test}; fix: " in words.stdout
    assert lab.run("process", "-q", RECCLI_LEDGER__URL=url).stdout == ""
    assert lab.json("process", test, RECCLI_LEDGER__URL=url).code == 1  # typed by a person
    assert lab.json("process", TWILIO_AUTH_TOKEN="wrong", RECCLI_LEDGER__URL=url).code == 4


# Dry runs


def test_a_dry_run_prints_no_step_of_another_command(lab: Lab) -> None:
    (_, new), (_, fallback) = lab.call(duration=61), lab.call(linked=True)
    purge = lab.run("purge-twilio", "-n", "--retention", "90m")
    assert purge.code == 0
    assert f"would {new.sid}: nothing (no copy yet)" in purge.stdout
    assert not any(step in purge.stdout for step in ("Copy", "Relink", "Delete"))
    process = lab.run("process", "-n")
    assert f"would {new.sid}: Copy → Relink → Wait (in retention until " in process.stdout
    assert "1 seen, 1 copied (2 min), 1 relinked, 1 waiting, 0 failed, and" in process.stdout
    assert "Delete" not in lab.run("process", "-n", "-v").stdout
    migrate = lab.run("migrate-fallbacks", "-n", "--retention", "0")
    assert f"would {fallback.sid}: Copy → Relink → Delete → Done (converged)" in migrate.stdout
    assert lab.writes() == []


def test_a_dry_run_tells_minutes_and_bytes_of_what_would_go(lab: Lab) -> None:
    sizes = [len(lab.call(duration=seconds)[1].media("mp3", 1)) for seconds in (1, 61)]
    lab.run("process")
    words = lab.run("purge-twilio", "-n", "--retention", "0h")
    told = f"2 seen, 2 deleted (3 min, {sum(sizes) / 1000:.1f} kB), 0 failed"
    assert f"purge-twilio would say: {told}, and end with exit code 0" in words.stdout


# The report


def test_a_report_with_a_limit_gives_no_totals(lab: Lab) -> None:
    for _ in range(3):
        lab.call(duration=61)
    totals = ("at_risk", "oldest_waiting_hours", "preserved_recordings", "preserved_minutes")
    part = lab.json("report", "--limit", "2")
    assert (part.code, part.summary["seen"]) == (0, 2)
    figures = part.doc["report"]
    assert {figures[name] for name in (*totals, "monthly_cost_usd", "lost")} == {None}
    assert figures["fallback_rows"] == 0
    whole = lab.json("report", "--limit", "3").doc["report"]
    assert (whole["at_risk"], whole["preserved_minutes"], whole["lost"]) == (3, 6, None)


def test_the_fallback_rate_is_what_is_on_fallback_still(lab: Lab) -> None:
    for _ in range(3):
        lab.call(duration=1)
    assert lab.json("process").code == 0
    _, fallen = lab.call(duration=1)
    lab.tap.cut = True
    for _ in range(2):  # however often it is tried, it is one recording
        assert lab.json("process", fallen.sid).code == 5
    lab.tap.cut = False
    report = lab.json("report")
    figures = report.doc["report"]
    assert (report.code, figures["fallback_rate"], figures["s3_success_rate"]) == (6, 0.25, 0.75)
    assert lab.json("migrate-fallbacks").summary["relinked"] == 1
    report = lab.json("report")
    figures = report.doc["report"]
    assert (report.code, figures["fallback_rate"], figures["s3_success_rate"]) == (0, 0.0, 0.75)


def test_a_report_until_then_is_of_the_hours_before(lab: Lab) -> None:
    figures = lab.json("report", "--until", "2026-11-22").doc["report"]
    assert (figures["since"][:10], figures["until"][:10]) == ("2026-11-21", "2026-11-22")


@pytest.mark.parametrize("command", ["process", "purge-twilio", "report"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "1d", "--until", "2d"), "is not before --until"),
        (("--since", "2026-11-22", "--until", "2026-11-22"), "is not before --until"),
        (("--since", "2999-01-01"), "is in the future"),
        (("--until", "0900-01-01"), "before there was anything to record"),
    ],
)
def test_windows_that_make_no_sense_are_refused(
    lab: Lab, command: str, words: tuple[str, ...], told: str
) -> None:
    check_usage(lab, (command, *words, "--json"), told)


def test_no_report_counts_ages_to_a_time_that_is_yet_to_come(lab: Lab) -> None:
    check_usage(lab, ("report", "--until", "2999-01-01", "--json"), "is in the future")


def check_usage(lab: Lab, typed: tuple[str, ...], told: str) -> None:
    refused = prefork.run(typed, lab.environment(), lab.home)
    (error,) = refused.document["errors"]
    assert (refused.exit_code, error["code"]) == (2, "usage")
    assert told in error["message"]
