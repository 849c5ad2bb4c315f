"""A run's result for a person: one line that says what happened, then what needs a person."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reccli.core.model import LinkState, Reason, S3State, StepKind
from reccli.watch.document import error_entries, reason
from reccli.watch.logs import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reccli.flow.outcome import Outcome
    from reccli.flow.result import Result
    from reccli.watch.document import Run
    from reccli.watch.report import Report

_NAMED = 20
"""How many recordings of one cause are named; the JSON names them all."""
_UNSEEN = "could not observe"
_COUNTED = ("copied", "relinked", "fallback", "resigned", "deleted", "waiting", "held")


def result_lines(run: Run, result: Result, *, every: bool) -> Iterator[str]:
    """Tell a run; `every` recording, or only those that need somebody."""
    if run.dry_run or every:
        yield from (_route(outcome, dry_run=run.dry_run) for outcome in result.outcomes)
    yield summary_line(run, result)
    yield from _needs_a_person(result)


def summary_line(run: Run, result: Result) -> str:
    """Say in one line what happened."""
    counts = result.counts
    if run.dry_run:
        return f"dry run: {counts['seen']} recordings seen, nothing was changed"
    parts = [f"{counts['seen']} seen"]
    parts += [f"{counts[name]} {name}" for name in _COUNTED if counts[name]]
    if counts["copied"]:
        parts[parts.index(f"{counts['copied']} copied")] += f" ({_size(counts['bytes'])})"
    if counts["lost"]:
        parts.append(f"{counts['lost']} LOST")
    parts.append(f"{counts['failed']} failed")
    seconds = (run.finished_at - run.started_at).total_seconds()
    return f"{run.command}: {', '.join(parts)} in {_time(seconds)}"


def _route(outcome: Outcome, *, dry_run: bool) -> str:
    steps = " → ".join([*outcome.steps, outcome.step.kind])
    would = "would " if dry_run else ""
    return redact(f"{would}{outcome.sid or outcome.link}: {steps} ({reason(outcome)})")


def _needs_a_person(result: Result) -> Iterator[str]:
    """List failures by cause, each with its fix, then what is held without a failure."""
    causes: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in error_entries(result):
        causes[entry["code"], entry["hint"]].append(entry)
    for (code, hint), entries in causes.items():
        yield f"error: {entries[0]['message']} [{code}]"
        yield from _names([entry["sid"] for entry in entries if entry["sid"]])
        if hint:
            yield f"  fix: {hint}"
    held: dict[tuple[Reason, str], list[Outcome]] = defaultdict(list)
    for outcome in result.outcomes:
        if outcome.step.kind is StepKind.HOLD and not outcome.failures:
            held[outcome.step.reason, _cause(outcome)].append(outcome)
    for (why, _), those in held.items():
        yield f"held: {reason(those[0])}"
        yield from _names([one.sid or one.link or "" for one in those])
        hint = those[0].objection.hint if those[0].objection else ""
        yield f"  fix: {hint or _FIXES[why]}"
    yield from _dead_links(result)


def _cause(outcome: Outcome) -> str:
    """Tell apart what is held for one reason and needs one fix or another."""
    return outcome.objection.code if outcome.objection else ""


_FIXES = {
    Reason.ELSEWHERE: "see what the link in the row opens, and empty the cell; process fills it",
    Reason.UNFIT: "keep lifecycle rules off the prefix, and bring the object back to a readable "
    "class (copy it over itself); s3.accept_archive_class takes it as it is",
    Reason.LAST_COPY_UNFIT: "bring the object back to a readable class now, and keep lifecycle "
    "rules off the prefix: it is the last copy",
    Reason.KEY_UNKNOWN: "give the call's row back the fields that s3.key_template names",
    Reason.NO_LASTING_LINK: "see the error above: permalinks, or a long-lived key for signing",
    Reason.LENGTH_UNPROVEN: "listen to the recording at Twilio and to the copy; if nothing is "
    "missing from the copy, delete the recording in Twilio's console",
    Reason.CONFLICT: "compare the object at the key with the recording; move the object away",
    Reason.UNREFERENCED: "create the call's row, or empty one of its link fields",
    Reason.NOT_A_LINK: "correct the link in the row, or configure its account or region",
    Reason.NOT_OBSERVED: "run again; if it stays, look at the recording in Twilio",
    Reason.UNCOPIED: "see the error above; migrate-fallbacks copies it as soon as it can",
    Reason.NO_MEDIA: "was it completed just now, run again; else look into the account's external "
    "storage (an S3 bucket of your own), and copy the recording from there",
    Reason.S3_UNREACHABLE: "run migrate-fallbacks when S3 is back",
    Reason.UNSAFE: "nothing was deleted; see the error above",
    Reason.STOPPED: "run again: it goes on from what it finds",
    Reason.UNSETTLED: "look for another program that writes these rows",
}


def _dead_links(result: Result) -> Iterator[str]:
    """Tell which links open for nobody, or soon will not, and could not be renewed."""
    dead = [
        outcome.sid or ""
        for outcome in result.outcomes
        if outcome.rows is LinkState.S3_LINK_EXPIRING and outcome.s3 is not S3State.VERIFIED
    ]
    if dead:
        yield f"links that are dead or dying and could not be renewed: {len(dead)}"
        yield from _names(dead)
        yield "  fix: see what became of their objects; a place that changed goes to links.former"


def _names(sids: list[str]) -> Iterator[str]:
    yield from (f"  {sid}" for sid in sids[:_NAMED])
    if len(sids) > _NAMED:
        yield f"  and {len(sids) - _NAMED} more (--json names them all)"


def report_lines(report: Report, result: Result) -> Iterator[str]:
    """Tell the report as a table."""
    unread = report.airtable_update_failures is None
    nothing = _UNSEEN if unread else "nothing in this window"
    oldest = _UNSEEN if report.at_risk is None else "none"
    cost = report.monthly_cost_usd

    def share(value: float | None) -> str:
        return nothing if value is None else f"{value:.1%}"

    def number(value: float | None, unit: str = "", *, none: str = _UNSEEN) -> str:
        return none if value is None else f"{value:,}{unit}"

    rows = [
        ("at risk: on Twilio without a proven copy", number(report.at_risk)),
        ("oldest of them", number(report.oldest_waiting_hours, " h", none=oldest)),
        ("rows with a fallback link", number(report.fallback_rows)),
        ("recordings kept at Twilio", number(report.preserved_recordings)),
        ("their minutes", number(report.preserved_minutes)),
        ("their storage a month", _UNSEEN if cost is None else f"{cost:.2f} USD"),
        ("stored in S3", share(report.s3_success_rate)),
        ("fell back to a Twilio link", share(report.fallback_rate)),
        ("failed updates of Airtable", number(report.airtable_update_failures)),
        ("callbacks not finished", number(report.callbacks_pending)),
        ("callbacks in the window", _kinds(report.callbacks)),
        ("lost", number(report.lost)),
    ]
    width = max(len(name) for name, _ in rows)
    yield f"from {report.since[:16]} to {report.until[:16]} UTC"
    yield from (f"{name:<{width}}  {value}" for name, value in rows)
    yield from _needs_a_person(result)


def _kinds(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return _UNSEEN
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "none"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - decimal units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{seconds:.1f}s"
