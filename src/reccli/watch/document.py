"""The one JSON document of a run, and what went wrong in it. Made of the result alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reccli.core.model import Reason, StepKind
from reccli.flow.result import COUNTS, Exit
from reccli.watch.logs import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reccli.core.errors import Failure
    from reccli.flow.commands import Asked
    from reccli.flow.outages import Outage
    from reccli.flow.outcome import Outcome
    from reccli.flow.result import Result
    from reccli.watch.report import Report

SCHEMA = 1
_LOST_HINT = (
    "older versions of the key may still hold it, if the bucket keeps versions, or a backup; "
    "the Twilio copy is gone"
)
_EXPLAINED = frozenset(
    {
        *(Reason.UNFIT, Reason.LAST_COPY_UNFIT, Reason.LENGTH_UNPROVEN, Reason.NOT_OBSERVED),
        *(Reason.NOT_A_LINK, Reason.ELSEWHERE, Reason.WORD, Reason.OVERDUE),
        *(Reason.UNREFERENCED, Reason.FULL_TWIN, Reason.CALL_UNREAD, Reason.NEEDS_ROW),
    }
)
"""Reasons that stand for several causes: the objection says which, where there is one."""


def document(result: Result, report: Report | None = None) -> dict[str, Any]:
    """Return the document of the contract."""
    made = bare_document(result.asked, result.exit_code, list(error_entries(result)))
    made["summary"] = result.summary
    made["recordings"] = [_recording(outcome) for outcome in result.outcomes]
    if report is not None:
        made["report"] = report.as_json()
    return made


def bare_document(asked: Asked, code: Exit, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the document of a command that never began, or that looks at no recording."""
    return {
        "schema": SCHEMA,
        "command": asked.command.name,
        "run_id": asked.run_id,
        "dry_run": asked.dry_run,
        "ok": code is Exit.OK,
        "exit_code": int(code),
        "started_at": asked.started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "summary": dict.fromkeys(COUNTS, 0),
        "recordings": [],
        "errors": errors,
    }


def error(code: str, message: str, hint: str = "", sid: str | None = None) -> dict[str, Any]:
    """Return one entry of `errors`, fit to be shown."""
    return {"code": code, "message": redact(message), "hint": redact(hint), "sid": sid}


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with the run, or with one recording; the same `cause` comes once."""

    code: str
    message: str
    hint: str = ""
    sid: str | None = None
    cause: str = ""


def _recording(outcome: Outcome) -> dict[str, Any]:
    failure = outcome.failures[-1] if outcome.failures else outcome.objection
    return {
        "sid": outcome.sid,
        "call_sid": outcome.call_sid,
        "steps": [kind.value for kind in outcome.steps],
        "step": outcome.step.kind.value,
        "reason": reason(outcome),
        "link": outcome.link and redact(outcome.link),
        "key": outcome.key and redact(outcome.key),
        "error": redact(failure.message) if failure else None,
    }


def reason(outcome: Outcome) -> str:
    """Return why, and until when where that is known."""
    step = outcome.step
    if step.until:
        return f"{step.reason} until {step.until:%Y-%m-%d %H:%M} UTC"
    if step.reason in _EXPLAINED and outcome.objection:
        return f"{step.reason}: {redact(outcome.objection.message)}"
    return step.reason.value


def error_entries(result: Result) -> Iterator[dict[str, Any]]:
    """Yield what went wrong: with the run itself first, then with each recording."""
    for one in problems(result):
        yield error(one.code, one.message, one.hint, one.sid)


def problems(result: Result) -> Iterator[Problem]:
    """Yield what went wrong; one that failed twice for the same cause comes once."""
    failures = list(dict.fromkeys(_failures(result)))
    outages = {(outage.service, outage.failure.kind): outage for outage in result.outages}
    felt = {(failure.service, failure.kind) for _, failure in failures}
    for key in outages.keys() & felt:  # else nothing came of it
        yield _outage(outages[key])
    if result.refusal:
        yield Problem("unsafe", result.refusal, "see what --dry-run tells; nothing was deleted")
    if result.breach:
        yield Problem("threshold", result.breach)
    for sid, failure in failures:
        outage = outages.get((failure.service, failure.kind))
        message = f"{failure.service}: {failure.message}"
        cause = _outage(outage).cause if outage else ""
        yield Problem(failure.code, message, failure.hint, sid, cause)
    for outcome in result.outcomes:
        if outcome.step.kind is StepKind.LOST:
            yield Problem("lost", outcome.step.reason.value, _LOST_HINT, outcome.sid)


def _failures(result: Result) -> Iterator[tuple[str | None, Failure]]:
    for failure in result.failures:
        yield None, _plain(failure)
    for outcome in result.outcomes:
        for failure in outcome.failures:
            yield outcome.sid, _plain(failure)


def _plain(failure: Failure) -> Failure:
    """Remove what differs between two failures of one cause."""
    return replace(failure, retry_after=None)


def _outage(outage: Outage) -> Problem:
    since = f"{outage.since:%Y-%m-%d %H:%M:%S} UTC"
    message = f"{outage.service} has failed since {since}: {outage.failure.message}"
    return Problem("service_down", message, outage.failure.hint, cause=f"{outage.service} is down")
