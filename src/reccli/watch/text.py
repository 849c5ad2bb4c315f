"""A run's result for a person: one line that says what happened, then what needs a person."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reccli.core.model import LinkState, Reason, S3State, StepKind
from reccli.flow.result import end
from reccli.watch.document import problems, reason
from reccli.watch.logs import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reccli.core.guard import Due
    from reccli.flow.outcome import Outcome
    from reccli.flow.result import Result
    from reccli.watch.document import Problem
    from reccli.watch.report import Report

_NAMED = 3
"""How many recordings of one cause are named; the JSON names them all."""
OLDER_HINT = "the next runs take them, or one that takes all at once: reccli process --full"
_UNSEEN = "could not observe"
_COUNTED = ("copied", "relinked", "fallback", "resigned", "deleted", "waiting", "held", "done")
_SETTLED = frozenset({StepKind.WAIT, StepKind.HOLD, StepKind.DONE, StepKind.LOST})


def result_lines(result: Result, *, every: bool, quiet: bool = False) -> Iterator[str]:
    """Yield the lines about a run: on `every` recording, or on those that need somebody.

    With `quiet`, what went well is not said.
    """
    if not quiet and (result.asked.dry_run or every):
        yield from (_route(outcome, dry_run=result.asked.dry_run) for outcome in result.outcomes)
    if result.exit_code or not quiet:
        yield summary_line(result)
    if not quiet and (unheard := _named(result, lambda o: o.step.reason is Reason.UNHEARD_OF)):
        yield _line("waiting", Reason.UNHEARD_OF, unheard, _UNHEARD_FIX)
    if result.older and not quiet:
        yield f"at risk: {result.older:,} older recordings at Twilio have no copy yet; {OLDER_HINT}"
    yield from needs_a_person(result)


def summary_line(result: Result) -> str:
    """Return in one line what happened, or in a dry run what would."""
    asked, counts = result.asked, result.counts
    sizes = _sizes(result)
    parts = [f"{counts['seen']} seen"]
    parts += [f"{counts[n]} {n}{sizes.get(n, '')}" for n in _COUNTED if counts[n]]
    if counts["lost"]:
        parts.append(f"{counts['lost']} LOST")
    parts.append(f"{counts['failed']} failed")
    told = ", ".join(parts)
    if asked.dry_run:
        return (
            f"dry run, nothing was changed; {asked.command} would say: {told}, "
            f"and end with exit code {result.exit_code:d}"
        )
    if declined := sum(o.step.reason is Reason.DECLINED for o in result.outcomes):
        told += f", {declined} deletes not confirmed: nothing was deleted,"
    seconds = (datetime.now(UTC) - asked.started_at).total_seconds()
    return f"{asked.command}: {told} in {_time(seconds)}"


def _sizes(result: Result) -> dict[str, str]:
    """Return how much was copied; in a dry run, what is known of how much would be moved."""
    if not result.asked.dry_run:
        return {"copied": f" ({_size(result.counts['bytes'])})"}
    copied, deleted = (
        [outcome for outcome in result.outcomes if kind in outcome.steps]
        for kind in (StepKind.COPY, StepKind.DELETE)
    )
    stored = sum(outcome.stored or 0 for outcome in deleted)
    return {
        "copied": f" ({_minutes(copied):,} min)",
        "deleted": f" ({_minutes(deleted):,} min, {_size(stored)})",
    }


def _minutes(outcomes: Iterable[Outcome]) -> int:
    return sum(outcome.recording.minutes for outcome in outcomes if outcome.recording)


def _route(outcome: Outcome, *, dry_run: bool) -> str:
    """Return the steps of this command; one that is for another command is only a reason."""
    ending = [outcome.step.kind] if outcome.step.kind in _SETTLED else []
    steps = " → ".join([*outcome.steps, *ending]) or "nothing"
    would = "would " if dry_run else ""
    return redact(f"{would}{outcome.sid or outcome.link}: {steps} ({reason(outcome)})")


def question(due: Due, account_sid: str, bucket: str) -> str:
    """Ask whether to delete, with all that tells a mistake from what was meant."""
    age = f", the oldest {_age(datetime.now(UTC) - due.oldest)} old" if due.oldest else ""
    return (
        f"Delete {due.deletes:,} recordings ({due.minutes:,} minutes{age}) from Twilio's account "
        f"{account_sid}, whose copies are in the bucket {bucket}, for ever?"
    )


def _age(age: timedelta) -> str:
    return f"{age.days} days" if age.days > 1 else f"{age / timedelta(hours=1):.1f} hours"


def needs_a_person(result: Result) -> Iterator[str]:
    """Yield failures, what is lost and what is held: a line for each cause, with its fix."""
    unsafe = _named(result, lambda one: one.step.reason is Reason.UNSAFE)
    causes: dict[tuple[str, ...], list[Problem]] = defaultdict(list)
    for problem in problems(result):
        key = (problem.cause,) if problem.cause else (problem.code, problem.hint)
        causes[key].append(problem)
    for told in causes.values():
        first = told[0]
        names = [one.sid for one in told if one.sid] + (unsafe if first.code == "unsafe" else [])
        yield _line("error", f"{first.message} [{first.code}]", names, first.hint)
    held: dict[tuple[Reason, str], list[Outcome]] = defaultdict(list)
    for outcome in result.outcomes:
        told_above = result.refusal and outcome.step.reason is Reason.UNSAFE
        needed = end(outcome) == "held" or outcome.step.reason is Reason.OVERDUE
        if needed and not (told_above or _is_dead(outcome)):
            held[outcome.step.reason, _cause(outcome)].append(outcome)
    for (why, _), those in held.items():
        hint = those[0].objection.hint if those[0].objection else ""
        label = "at risk" if why is Reason.OVERDUE else "held"
        yield _line(label, reason(those[0]), [_name(one) for one in those], hint or _FIXES[why])
    if dead := _named(result, _is_dead):
        yield _line("held", _DEAD, dead, _DEAD_FIX)


def _cause(outcome: Outcome) -> str:
    """Distinguish what is held for one reason and needs one fix or another."""
    return outcome.objection.code if outcome.objection else ""


def _line(label: str, what: str, names: list[str], fix: str) -> str:
    parts = [f"{label}: {what}"]
    if names := list(dict.fromkeys(names)):
        noun = "row" if names[0].startswith("row ") else "recording"
        several = "" if len(names) == 1 else "s"
        more = f" and {len(names) - _NAMED} more, see --json" if len(names) > _NAMED else ""
        parts.append(f"{len(names)} {noun}{several}: {', '.join(names[:_NAMED])}{more}")
    if fix:
        parts.append(f"fix: {fix}")
    return redact("; ".join(parts))


def _named(result: Result, which: Callable[[Outcome], bool]) -> list[str]:
    return [_name(outcome) for outcome in result.outcomes if which(outcome)]


def _name(outcome: Outcome) -> str:
    return outcome.sid or outcome.link or ""


def _is_dead(outcome: Outcome) -> bool:
    """Whether its link opens for nobody, or soon will not, and could not be renewed."""
    dying = outcome.rows is LinkState.S3_LINK_EXPIRING and outcome.s3 is not S3State.VERIFIED
    return dying and end(outcome) in {"held", "failed"}


_UNHEARD_FIX = "none for a test callback; else see which account and region sends them"
_DEAD = "links that are dead or dying and could not be renewed"
_DEAD_FIX = "see what became of their objects; a place that changed goes to links.former"
_FIXES = {
    Reason.ELSEWHERE: "see what the link in the row opens, and empty the cell; process fills it",
    Reason.UNFIT: "keep lifecycle rules off the prefix, and bring the object back to a readable "
    "class (copy it over itself); s3.accept_archive_class takes it as it is",
    Reason.LAST_COPY_UNFIT: "bring the object back to a readable class now, and keep lifecycle "
    "rules off the prefix: it is the last copy",
    Reason.BAD_KEY: "see the error beside it; correct the fields of the row, or s3.key_template",
    Reason.KEY_UNKNOWN: "give the call's row back the fields that s3.key_template names",
    Reason.NO_LASTING_LINK: "see the error above: permalinks, or a long-lived key for signing",
    Reason.LENGTH_UNPROVEN: "listen to the recording at Twilio and to the copy; if nothing is "
    "missing from the copy, delete the recording in Twilio's console",
    Reason.CONFLICT: "compare the object at the key with the recording; move the object away",
    Reason.UNREFERENCED: "create the call's row; if there is one with the SID of the call's other "
    "leg, put the call_sid of --json there: Twilio keeps a recording under the first leg's",
    Reason.FULL_TWIN: "empty a link field of the full row, or delete it if it is there twice",
    Reason.WORD: "empty the cell; process fills it",
    Reason.CALL_UNREAD: "see that the cells of airtable.call_sid_field give SIDs and nothing else",
    Reason.OVERDUE: "look at it in Twilio's console, and ask Twilio's support",
    Reason.NOT_A_LINK: "correct the link in the row, or configure its account or region",
    Reason.NOT_OBSERVED: "run again; if it stays, look at the recording in Twilio",
    Reason.UNCOPIED: "see the error above; migrate-fallbacks copies it as soon as it can",
    Reason.NO_MEDIA: "was it completed just now, run again; else look into the account's external "
    "storage (an S3 bucket of your own), and copy the recording from there",
    Reason.S3_UNREACHABLE: "run migrate-fallbacks when S3 is back",
    Reason.UNSAFE: "run again, when everything can be listed",
    Reason.UNSETTLED: "look for another program that writes these rows",
}


def report_lines(report: Report, result: Result) -> Iterator[str]:
    """Yield the report as a table."""
    unread = report.airtable_update_failures is None
    nothing = _UNSEEN if unread else "nothing in this window"
    oldest = _UNSEEN if report.at_risk is None else "none"
    cost = report.monthly_cost_usd

    def share(value: float | None) -> str:
        return nothing if value is None else f"{value:.1%}"

    fallback_rate = _UNSEEN if report.fallback_rows is None else share(report.fallback_rate)

    def number(value: float | None, unit: str = "", *, none: str = _UNSEEN) -> str:
        return none if value is None else f"{value:,}{unit}"

    rows = [
        ("at risk: on Twilio without a proven copy", number(report.at_risk)),
        ("oldest of them", number(report.oldest_waiting_hours, " h", none=oldest)),
        ("rows with a fallback link", number(report.fallback_rows)),
        ("recordings kept at Twilio", number(report.preserved_recordings)),
        ("their minutes", number(report.preserved_minutes)),
        ("their storage a month", _UNSEEN if cost is None else f"{cost:.2f} USD"),
        ("stored in S3 without a fallback", share(report.s3_success_rate)),
        ("on a fallback link still", fallback_rate),
        ("failed updates of Airtable", number(report.airtable_update_failures)),
        ("callbacks not finished", number(report.callbacks_pending)),
        ("callbacks in the window", _kinds(report.callbacks)),
        ("lost", number(report.lost, none="nobody has looked")),
    ]
    width = max(len(name) for name, _ in rows)
    yield f"from {report.since[:16]} to {report.until[:16]} UTC"
    yield from (f"{name:<{width}}  {value}" for name, value in rows)
    yield from needs_a_person(result)


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
