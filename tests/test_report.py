"""The report: what could not be observed is never nought; and numbers in keys stay private."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reccli.core.errors import Failure, FailureKind, Service, ServiceError
from reccli.core.model import LinkState, Reason, Recording, S3State, Step, StepKind, TwilioState
from reccli.flow.commands import PROCESS, Asked
from reccli.flow.outages import Outage
from reccli.flow.outcome import Outcome
from reccli.flow.result import Exit, Result
from reccli.watch.document import document, error_entries, reason
from reccli.watch.logs import HIDDEN, redact
from reccli.watch.report import report_on
from reccli.watch.text import report_lines, result_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RUN = Asked(PROCESS, "r0123456789a", NOW)
WINDOW = (NOW - timedelta(days=1), NOW)
SID, CALL, ACCOUNT = "RE" + "0a" * 16, "CA" + "0b" * 16, "AC" + "0c" * 16
UUID = "123e4567-e89b-12d3-a456-426614174000"
FROM_TWILIO = {
    *("at_risk", "oldest_waiting_hours", "preserved_recordings", "preserved_minutes"),
    *("monthly_cost_usd", "nothing_recorded"),
}
FROM_HISTORY = {
    *("s3_success_rate", "fallback_rate", "airtable_update_failures", "callbacks_pending"),
    "callbacks",
}


FALLBACKS = {"rec1": {"RE4", "RE9"}, "rec2": {"RE4"}, "rec3": {"RE8"}}


class History:
    """Has seen three copies, and two fallbacks of which one was healed, unless it is broken."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def count_events(
        self, names: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, int]:
        self.callbacks_pending()
        return dict.fromkeys(names, 5)

    def recordings_with(self, name: str, since: datetime, until: datetime) -> set[str]:
        self.callbacks_pending()
        assert (since, until) == WINDOW
        return {
            "recording_s3_upload_success": {"RE1", "RE2", "RE3"},
            "recording_s3_fallback_to_twilio": {"RE3", "RE4"},
        }[name]

    def callbacks_pending(self) -> int:
        if self.broken:
            raise ServiceError(Failure(Service.LEDGER, FailureKind.PERMANENT, "corrupt", "no"))
        return 2

    def count_callbacks(self, since: datetime, until: datetime) -> Mapping[str, int]:
        self.callbacks_pending()
        return {"completed": 4, "absent": 1, "stopped MZ1": 1, "stopped MZ2": 1}


def kept(key: str | None = None) -> Outcome:
    recording = Recording(
        SID, ACCOUNT, "us1", "completed", CALL, None, 61, 1, NOW - timedelta(hours=2)
    )
    step = Step(StepKind.HOLD, Reason.S3_UNREACHABLE)
    return Outcome(
        SID,
        CALL,
        step,
        key=key,
        twilio=TwilioState.COMPLETED,
        s3=S3State.UNKNOWN,
        recording=recording,
    )


def failure(service: Service) -> Failure:
    return Failure(service, FailureKind.OUTAGE, "down", "is down")


def test_all_that_was_observed_is_told() -> None:
    result = Result(asked=RUN)
    result.add(kept())
    report = report_on(result, FALLBACKS, History(), WINDOW)
    told = report.as_json()
    assert told["fallback_rows"] == 3
    assert (told["at_risk"], told["oldest_waiting_hours"], told["lost"]) == (1, 2.0, None)
    assert (told["preserved_recordings"], told["preserved_minutes"]) == (1, 2)
    assert (told["monthly_cost_usd"], told["nothing_recorded"]) == (0, 0)
    assert (told["s3_success_rate"], told["fallback_rate"]) == (0.5, 0.25)
    assert (told["airtable_update_failures"], told["callbacks_pending"]) == (5, 2)
    assert told["callbacks"] == {"absent": 1, "completed": 4, "stopped": 2}
    lines = list(report_lines(report, result))
    assert any("1 absent, 4 completed, 2 stopped" in line for line in lines)


@pytest.mark.parametrize("service", [Service.TWILIO, Service.RECCLI])
def test_a_listing_that_broke_off_has_no_figures(service: Service) -> None:
    result = Result(asked=RUN, failures=[failure(service)])
    result.add(kept())
    report = report_on(result, FALLBACKS, History(), WINDOW)
    unseen_figures = {name for name, value in report.as_json().items() if value is None}
    assert unseen_figures == FROM_TWILIO | {"lost"}
    lines = list(report_lines(report, result))
    unseen = [line for line in lines if line.endswith("  could not observe")]
    assert len(unseen) == 5  # recordings that never were one have no line
    assert not any(line.endswith(("  0", " none", "0.00 USD")) for line in lines[1:9])


def test_an_interrupted_run_has_not_seen_everything() -> None:
    report = report_on(Result(asked=RUN, interrupted=True), {}, History(), WINDOW)
    unseen_figures = {name for name, value in report.as_json().items() if value is None}
    assert unseen_figures == FROM_TWILIO | {"lost"}


def test_a_run_that_was_cut_short_gives_no_totals() -> None:
    result = Result(asked=RUN)
    result.add(kept())
    report = report_on(result, FALLBACKS, History(), WINDOW, complete=False)
    unseen_figures = {name for name, value in report.as_json().items() if value is None}
    assert unseen_figures == FROM_TWILIO | {"lost"}


def test_a_scan_that_broke_off_takes_nothing_else_along() -> None:
    result = Result(asked=RUN, failures=[failure(Service.AIRTABLE)])
    report = report_on(result, None, History(), WINDOW)
    assert report.fallback_rows is None
    assert (report.fallback_rate, report.s3_success_rate) == (None, 0.5)
    assert (report.at_risk, report.preserved_recordings, report.lost) == (0, 0, None)
    lines = list(report_lines(report, result))
    unseen = [line for line in lines if line.endswith("could not observe")]
    assert [line[: line.index("  ")] for line in unseen] == [
        "rows with a fallback link",
        "on a fallback link still",
    ]
    assert any("oldest" in line and line.endswith(" none") for line in lines)


@pytest.mark.parametrize("history", [None, History(broken=True)], ids=["none", "broken"])
def test_without_a_history_the_rest_is_told(history: History | None) -> None:
    report = report_on(Result(asked=RUN), {}, history, WINDOW)
    unknown = {name for name, value in report.as_json().items() if value is None}
    assert unknown == FROM_HISTORY | {"oldest_waiting_hours", "lost"}
    assert report.breach(0.0) is None
    lines = list(report_lines(report, Result(asked=RUN)))
    assert sum(line.endswith("could not observe") for line in lines) == 5


# --- what needs a person

DEAD = "links that are dead or dying and could not be renewed"


def said(*outcomes: Outcome) -> list[str]:
    result = Result(asked=RUN)
    for outcome in outcomes:
        result.add(outcome)
    return list(result_lines(result, every=False))


def held(why: Reason, **how: Any) -> Outcome:  # noqa: ANN401 - any field of Outcome
    return Outcome(SID, CALL, Step(StepKind.HOLD, why), **how)


@pytest.mark.parametrize("why", Reason)
def test_whatever_is_held_has_a_fix(why: Reason) -> None:
    if why in NEVER_HELD:
        return
    lines = said(held(why))
    assert len(lines) == 2
    assert lines[1].startswith(f"held: {why.value}; 1 recording: {SID}; fix: ")


NEVER_HELD = {
    Reason.OVERDUE,
    *(Reason.NOT_COMPLETED, Reason.NO_COPY, Reason.NEEDS_ROW, Reason.FALLBACK, Reason.REACHABLE),
    *(Reason.NAME_OBJECT, Reason.LINK_WOULD_DIE, Reason.IN_RETENTION, Reason.PROVEN),
    *(Reason.CONVERGED, Reason.LOST, Reason.NOTHING_RECORDED),
    *(Reason.STOPPED, Reason.DECLINED, Reason.UNHEARD_OF),
}


@pytest.mark.parametrize(
    ("rows", "s3", "dead"),
    [
        (LinkState.S3_LINK_EXPIRING, S3State.ABSENT, True),
        (LinkState.S3_LINK_EXPIRING, S3State.UNKNOWN, True),
        (LinkState.S3_LINK_EXPIRING, S3State.VERIFIED, False),
        (LinkState.S3_LINK, S3State.ABSENT, False),
        (LinkState.TWILIO_LINK, S3State.UNKNOWN, False),
    ],
)
def test_links_that_could_not_be_renewed_are_named(
    rows: LinkState, s3: S3State, *, dead: bool
) -> None:
    lines = said(held(Reason.NOT_OBSERVED, rows=rows, s3=s3))
    assert len(lines) == 2
    assert lines[1].startswith(f"held: {DEAD}; 1 recording: {SID}; fix: ") is dead
    assert ("links.former" in lines[1]) is dead


@pytest.mark.parametrize(
    ("why", "explained"),
    [(Reason.UNFIT, True), (Reason.LAST_COPY_UNFIT, True), (Reason.CONFLICT, False)],
)
def test_why_a_copy_is_unfit_is_told(why: Reason, *, explained: bool) -> None:
    objection = Failure(Service.S3, FailureKind.PERMANENT, "x", "in GLACIER, of 61-400-111-222")
    told = f"{why}: in GLACIER, of {HIDDEN}" if explained else why.value
    assert reason(held(why, objection=objection)) == told
    assert reason(held(why)) == why.value


# --- one cause is one error

AWAY = Failure(Service.S3, FailureKind.OUTAGE, "ReadTimeout", "no answer", "is it up?")
NOT_ASKED = Failure(Service.S3, FailureKind.OUTAGE, "circuit_open", "not asked", "is it up?")
BROKEN = Failure(Service.S3, FailureKind.PERMANENT, "odd", "an odd answer", "look at it")
DOWN = Outage(Service.S3, NOW, AWAY)


def failing(sid: str, *failures: Failure) -> Outcome:
    return replace(held(Reason.NOT_OBSERVED, failures=failures), sid=sid)


def test_what_failed_twice_for_one_cause_is_told_once() -> None:
    again = replace(BROKEN, retry_after=3.0)
    result = Result(asked=RUN, failures=[failure(Service.AIRTABLE), failure(Service.AIRTABLE)])
    result.add(failing("RE1", BROKEN, again, BROKEN))
    result.add(failing("RE2", again))
    told = [(entry["code"], entry["sid"]) for entry in error_entries(result)]
    assert told == [("down", None), ("odd", "RE1"), ("odd", "RE2")]
    lines = list(result_lines(result, every=False))
    assert lines[1:] == [
        "error: airtable: is down [down]",
        "error: s3: an odd answer [odd]; 2 recordings: RE1, RE2; fix: look at it",
    ]


def test_what_fails_because_a_service_is_down_is_one_line_with_it() -> None:
    result = Result(asked=RUN, outages=(DOWN,))
    for number, cause in enumerate((AWAY, NOT_ASKED, NOT_ASKED, NOT_ASKED)):
        result.add(failing(f"RE{number}", cause))
    result.add(failing("RE9", BROKEN))
    lines = list(result_lines(result, every=False))
    assert lines[1:] == [
        (
            "error: s3 has failed since 2026-11-22 09:30:00 UTC: no answer [service_down]; "
            "4 recordings: RE0, RE1, RE2 and 1 more, see --json; fix: is it up?"
        ),
        "error: s3: an odd answer [odd]; 1 recording: RE9; fix: look at it",
    ]


def test_an_outage_that_nothing_came_of_is_no_error() -> None:
    result = Result(asked=RUN, outages=(DOWN,))
    assert (list(error_entries(result)), result.exit_code) == ([], Exit.OK)
    result.add(failing("RE1", BROKEN))
    assert [entry["code"] for entry in error_entries(result)] == ["odd"]


def test_what_the_brake_holds_is_told_with_its_refusal() -> None:
    result = Result(asked=RUN, refusal="2 deletes are due")
    for sid in ("RE1", "RE2"):
        result.add(replace(held(Reason.UNSAFE), sid=sid))
    lines = list(result_lines(result, every=False))
    assert lines[1:] == [
        (
            "error: 2 deletes are due [unsafe]; 2 recordings: RE1, RE2; "
            "fix: see what --dry-run tells; nothing was deleted"
        )
    ]


def test_quiet_is_not_silent() -> None:
    def quiet(*outcomes: Outcome) -> list[str]:
        result = Result(asked=RUN)
        for outcome in outcomes:
            result.add(outcome)
        return list(result_lines(result, every=True, quiet=True))

    assert quiet(Outcome(SID, CALL, Step(StepKind.WAIT, Reason.UNHEARD_OF))) == []
    assert quiet(Outcome(SID, CALL, Step(StepKind.WAIT, Reason.DECLINED))) == []
    (line,) = quiet(held(Reason.CONFLICT))
    assert line.startswith("held: ")
    summary, line = quiet(failing(SID, BROKEN))
    assert (summary.startswith("process: 1 seen"), line.startswith("error: ")) == (True, True)


@pytest.mark.parametrize(
    ("step", "failures", "told"),
    [
        (Step(StepKind.LOST, Reason.LOST), (), ["error"]),
        (Step(StepKind.HOLD, Reason.STOPPED), (), []),
        (Step(StepKind.HOLD, Reason.NOT_OBSERVED), (BROKEN,), ["error", "held"]),
    ],
)
def test_a_dead_link_is_told_unless_it_is_lost_or_was_not_looked_at(
    step: Step, failures: tuple[Failure, ...], told: list[str]
) -> None:
    dying = {"rows": LinkState.S3_LINK_EXPIRING, "s3": S3State.ABSENT, "failures": failures}
    lines = said(replace(held(Reason.CONFLICT, **dying), step=step))
    assert [line.partition(":")[0] for line in lines[1:]] == told


# --- numbers in groups


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"calls/61-400-111-222/{SID}.mp3", f"calls/{HIDDEN}/{SID}.mp3"),
        ("calls/61-400111222/x", f"calls/{HIDDEN}/x"),
        ("calls/2026-11-22-61-400-111-222.mp3", f"calls/2026-11-22-{HIDDEN}.mp3"),
        (f"61-400-111-222_{SID}", f"{HIDDEN}_{SID}"),
        ("calls/Jane-0412-345-678/x", f"calls/Jane-{HIDDEN}/x"),
        ("calls/0412.345.678/x", f"calls/{HIDDEN}/x"),
        ("of 0412 345 678, (02) 9876 5432", f"of {HIDDEN}, {HIDDEN}"),
        ("1.415.555.0100", HIDDEN),
        ("61(400)111222", HIDDEN),
    ],
)
def test_a_phone_number_in_groups_is_hidden(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(SID, f"calls/{CALL}/{SID}.mp3", "RE" + "12345678" * 4, "r0123456789a", "r01234567890"),
        *(UUID, "12345678-1234-1234-1234-123456789012", f"v/{UUID}/k", "e89b-1234-5678-90ab"),
        *("2026-11-22", "calls/2026-11-22/x", "22-11-2026", "2026.11.22", "20261122-093000"),
        *("2026-11-22T09:30:00.123456+00:00", "2026-11-22T09:30:00Z", "20261122T093000Z"),
        *("until 2026-11-22 09:30 UTC", "2026-11-22 09:30:00,123", "2026-11-22-09-30-00"),
        *("09:30:00.123456", "1700000000.123456", "12345678.25"),
        *("192.168.100.100", "http://192.168.100.100:8080/b", "4.18.0-348.7.1", "1.43.12"),
        *("123-4567", "1234567890123456-1234", "HTTP 404: 20404", "12345678 B"),
    ],
)
def test_what_only_looks_like_one_is_kept(text: str) -> None:
    assert redact(text) == text


def test_the_document_shows_no_number_and_counts_bytes() -> None:
    result = Result(asked=RUN)
    result.add(kept(key=f"calls/61-400-111-222/{SID}.mp3"))
    result.counts["bytes"] = 61400111222
    made = document(result)
    assert made["recordings"][0]["key"] == f"calls/{HIDDEN}/{SID}.mp3"
    assert made["summary"]["bytes"] == 61400111222
