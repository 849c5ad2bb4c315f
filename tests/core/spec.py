"""A second specification of `decide`, written from the prose of the design without `core/plan.py`.

The table is read from the top, so that where two of its rows overlap the upper one holds. Here
that is turned into conditions that exclude one another: `fired` must name exactly one rule for
every state, which a list of "first match" cases could not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reccli.core.model import LinkState, Reason, S3State, Step, StepKind, TwilioState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reccli.core.asked import Observation, Policy


@dataclass(frozen=True)
class World:
    """What the table is about, in the words of the prose."""

    seen: Observation
    policy: Policy

    @property
    def finished(self) -> bool:
        """The audio is complete and still at Twilio."""
        return self.seen.twilio is TwilioState.COMPLETED

    @property
    def gone(self) -> bool:
        """Twilio itself says that its copy is deleted."""
        return self.seen.twilio is TwilioState.DELETED

    @property
    def had_audio(self) -> bool:
        """Neither still recording nor without audio, now or for ever."""
        none = {TwilioState.PENDING, TwilioState.FAILED, TwilioState.NO_MEDIA}
        return self.seen.twilio not in none

    @property
    def archived(self) -> bool:
        """The object is proven to be the recording."""
        return self.seen.s3 is S3State.VERIFIED

    @property
    def unfit(self) -> bool:
        """The object is the recording, and opens for nobody or is about to go."""
        return self.seen.s3 is S3State.UNFIT

    @property
    def elsewhere(self) -> bool:
        """A row names the recording at somebody else's place."""
        return self.seen.rows is LinkState.ELSEWHERE

    @property
    def to_copy(self) -> bool:
        """Twilio has it, S3 surely lacks it, and the rows can be read."""
        return self.finished and self.seen.s3 is S3State.ABSENT and not self.airtable_silent

    @property
    def not_handed_over(self) -> bool:
        """S3 lacks it, and it could not be brought there for reasons that are not S3's."""
        return self.seen.s3 is S3State.UNCOPIED

    @property
    def links_last(self) -> bool:
        """A link that is made now outlives the credentials."""
        return self.policy.lasting_links

    @property
    def unnamed(self) -> bool:
        """Nobody can say where the object would be."""
        return self.seen.s3 is S3State.NO_KEY

    @property
    def unnameable(self) -> bool:
        """Rows have what the key is made of, and no key can be made of it."""
        return self.seen.s3 is S3State.BAD_KEY

    @property
    def airtable_silent(self) -> bool:
        """The rows could not be read."""
        return self.seen.rows is LinkState.UNKNOWN

    @property
    def empty(self) -> bool:
        """A field waits for a link."""
        return self.seen.rows is LinkState.EMPTY

    @property
    def names_twilio(self) -> bool:
        """A row holds the fallback link."""
        return self.seen.rows is LinkState.TWILIO_LINK

    @property
    def dying(self) -> bool:
        """A row's link to the object would soon be dead."""
        return self.seen.rows is LinkState.S3_LINK_EXPIRING

    @property
    def linked(self) -> bool:
        """Every row names the object by a good link."""
        return self.seen.rows is LinkState.S3_LINK

    @property
    def nowhere_to_link(self) -> bool:
        """There is no row, or no field left in it."""
        return self.unreferenced or self.full_twin or self.word or self.call_unread

    @property
    def unreferenced(self) -> bool:
        """No row could be the one that names it, or such a row has no room."""
        return self.seen.rows in {LinkState.NO_ROW, LinkState.NO_FREE_SLOT}

    @property
    def full_twin(self) -> bool:
        """A row names the object, and a second one of the call has no room."""
        return self.seen.rows is LinkState.FULL_TWIN

    @property
    def word(self) -> bool:
        """A text that leads nowhere stands in its field."""
        return self.seen.rows is LinkState.WORD

    @property
    def call_unread(self) -> bool:
        """There is a row that may be the call's, and nobody can tell."""
        return self.seen.rows is LinkState.CALL_UNREAD

    @property
    def kept_long_enough(self) -> bool | None:
        """Whether retention is over; None when S3 did not tell how old the object is."""
        return None if self.seen.age is None else self.seen.age >= self.policy.retention


@dataclass(frozen=True)
class Rule:
    """One sentence of the specification."""

    name: str
    when: Callable[[World], bool]
    kind: StepKind
    reason: Reason


RULES = (
    Rule(
        "a recording that is not over is waited for",
        lambda w: w.seen.twilio is TwilioState.PENDING and not w.seen.overdue,
        StepKind.WAIT,
        Reason.NOT_COMPLETED,
    ),
    Rule(
        "no link is made to audio that Twilio does not have",
        lambda w: w.seen.twilio is TwilioState.NO_MEDIA,
        StepKind.HOLD,
        Reason.NO_MEDIA,
    ),
    Rule(
        "an empty field takes Twilio's link when the audio could not be fetched",
        lambda w: w.finished and w.not_handed_over and w.empty,
        StepKind.LINK_TWILIO,
        Reason.REACHABLE,
    ),
    Rule(
        "what could not be fetched stays where it is",
        lambda w: (
            w.finished and w.not_handed_over and not (w.empty or w.elsewhere or w.airtable_silent)
        ),
        StepKind.HOLD,
        Reason.UNCOPIED,
    ),
    Rule(
        "a recording that is not over when it should be is waited for, and is at risk",
        lambda w: w.seen.twilio is TwilioState.PENDING and w.seen.overdue,
        StepKind.WAIT,
        Reason.OVERDUE,
    ),
    Rule(
        "a recording that came to nothing needs nothing",
        lambda w: w.seen.twilio is TwilioState.FAILED,
        StepKind.DONE,
        Reason.NOTHING_RECORDED,
    ),
    Rule(
        "what S3 surely lacks is copied, whatever the rows say, if they can be read",
        lambda w: w.to_copy,
        StepKind.COPY,
        Reason.NO_COPY,
    ),
    Rule(
        "what a row names at another place is a person's to judge, once it is copied",
        lambda w: w.had_audio and w.elsewhere and not w.to_copy,
        StepKind.HOLD,
        Reason.ELSEWHERE,
    ),
    Rule(
        "an empty field takes the fallback when S3 can't take the audio, or no lasting link",
        lambda w: (
            w.finished
            and w.empty
            and not (w.to_copy or w.not_handed_over)
            and not (w.archived and w.links_last)
        ),
        StepKind.LINK_TWILIO,
        Reason.FALLBACK,
    ),
    Rule(
        "a fallback stays while S3 can't be reached",
        lambda w: w.finished and w.names_twilio and w.seen.s3 is S3State.UNKNOWN,
        StepKind.HOLD,
        Reason.S3_UNREACHABLE,
    ),
    Rule(
        "somebody else's object at the key is for a person",
        lambda w: w.finished and w.seen.s3 is S3State.CONFLICT and not (w.empty or w.elsewhere),
        StepKind.HOLD,
        Reason.CONFLICT,
    ),
    Rule(
        "without a key nothing can be copied until the row comes",
        lambda w: w.finished and w.unnamed and not (w.empty or w.airtable_silent or w.elsewhere),
        StepKind.WAIT,
        Reason.NEEDS_ROW,
    ),
    Rule(
        "what no key can be made of is a person's to correct",
        lambda w: w.finished and w.unnameable and not (w.empty or w.airtable_silent or w.elsewhere),
        StepKind.HOLD,
        Reason.BAD_KEY,
    ),
    Rule(
        "a copy that is not for keeps keeps Twilio's",
        lambda w: w.finished and w.unfit and not (w.empty or w.airtable_silent or w.elsewhere),
        StepKind.HOLD,
        Reason.UNFIT,
    ),
    Rule(
        "a proven object is named by the row, wherever Twilio's copy is",
        lambda w: w.had_audio and w.archived and (w.empty or w.names_twilio) and w.links_last,
        StepKind.RELINK,
        Reason.NAME_OBJECT,
    ),
    Rule(
        "the last copy is named by the row, even if it is not for keeps",
        lambda w: w.gone and w.unfit and (w.empty or w.names_twilio) and w.links_last,
        StepKind.RELINK,
        Reason.NAME_OBJECT,
    ),
    Rule(
        "a link to a proven object is kept alive",
        lambda w: w.had_audio and w.archived and w.dying and w.links_last,
        StepKind.RESIGN,
        Reason.LINK_WOULD_DIE,
    ),
    Rule(
        "where no link lasts none is made, and nothing is deleted behind those that are there",
        lambda w: (
            not w.links_last
            and (
                (w.had_audio and w.archived and (w.names_twilio or w.dying))
                or (w.had_audio and not w.finished and w.archived and w.empty)
                or (w.gone and w.unfit and (w.empty or w.names_twilio))
                or (
                    w.finished
                    and w.archived
                    and w.linked
                    and w.kept_long_enough is True
                    and w.seen.whole
                )
            )
        ),
        StepKind.HOLD,
        Reason.NO_LASTING_LINK,
    ),
    Rule(
        "the last copy is a person's to save",
        lambda w: w.gone and w.unfit and (w.linked or w.dying or w.nowhere_to_link),
        StepKind.HOLD,
        Reason.LAST_COPY_UNFIT,
    ),
    Rule(
        "an archived recording that no row can name is kept where it is",
        lambda w: (w.finished or w.gone) and w.archived and w.unreferenced,
        StepKind.HOLD,
        Reason.UNREFERENCED,
    ),
    Rule(
        "a second row that is full keeps the first one's recording",
        lambda w: (w.finished or w.gone) and w.archived and w.full_twin,
        StepKind.HOLD,
        Reason.FULL_TWIN,
    ),
    Rule(
        "a word is a person's to take away",
        lambda w: (w.finished or w.gone) and w.archived and w.word,
        StepKind.HOLD,
        Reason.WORD,
    ),
    Rule(
        "a row that may be the call's is a person's to judge",
        lambda w: (w.finished or w.gone) and w.archived and w.call_unread,
        StepKind.HOLD,
        Reason.CALL_UNREAD,
    ),
    Rule(
        "a proven and linked recording stays at Twilio through retention",
        lambda w: w.finished and w.archived and w.linked and w.kept_long_enough is False,
        StepKind.WAIT,
        Reason.IN_RETENTION,
    ),
    Rule(
        "a copy whose length nobody can vouch for keeps Twilio's",
        lambda w: (
            w.finished
            and w.archived
            and w.linked
            and w.kept_long_enough is True
            and not w.seen.whole
        ),
        StepKind.HOLD,
        Reason.LENGTH_UNPROVEN,
    ),
    Rule(
        "a proven and linked recording leaves Twilio after retention",
        lambda w: (
            w.finished
            and w.archived
            and w.linked
            and w.kept_long_enough is True
            and w.seen.whole
            and w.links_last
        ),
        StepKind.DELETE,
        Reason.PROVEN,
    ),
    Rule(
        # The table is silent here. This file first said Hold, `decide` said Wait: both keep it.
        "an age that S3 did not tell proves no retention, and no end of it can be told",
        lambda w: w.finished and w.archived and w.linked and w.kept_long_enough is None,
        StepKind.WAIT,
        Reason.IN_RETENTION,
    ),
    Rule(
        "archived, linked and gone from Twilio is the goal",
        lambda w: w.gone and w.archived and w.linked,
        StepKind.DONE,
        Reason.CONVERGED,
    ),
    Rule(
        "gone from Twilio with no proven object is the alarm",
        lambda w: (
            w.gone
            and w.seen.s3 in {S3State.ABSENT, S3State.CONFLICT}
            and not (w.elsewhere or w.airtable_silent)
        ),
        StepKind.LOST,
        Reason.LOST,
    ),
    Rule(
        "what became of a deleted recording is unclear without a key",
        lambda w: w.gone and (w.unnamed or w.unnameable) and not w.elsewhere,
        StepKind.HOLD,
        Reason.KEY_UNKNOWN,
    ),
    Rule(
        "what became of a deleted recording is unclear without S3",
        lambda w: (
            w.gone and (w.seen.s3 is S3State.UNKNOWN or w.not_handed_over) and not w.elsewhere
        ),
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Rule(
        "with Twilio silent, only a row that misses the proven object is put right",
        lambda w: (
            w.seen.twilio is TwilioState.UNKNOWN
            and not w.elsewhere
            and not (w.archived and (w.empty or w.names_twilio or w.dying))
        ),
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Rule(
        "with S3 silent, a finished recording is held unless its field is empty or a fallback",
        lambda w: (
            w.finished
            and w.seen.s3 is S3State.UNKNOWN
            and not (w.empty or w.names_twilio or w.airtable_silent or w.elsewhere)
        ),
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Rule(
        "with Airtable silent, a finished recording is held",
        lambda w: w.finished and w.airtable_silent and w.seen.s3 is not S3State.CONFLICT,
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
    Rule(
        "with Airtable silent, nothing can be said of a deleted recording",
        lambda w: (
            w.gone
            and w.airtable_silent
            and w.seen.s3 not in {S3State.UNKNOWN, S3State.UNCOPIED}
            and not (w.unnamed or w.unnameable)
        ),
        StepKind.HOLD,
        Reason.NOT_OBSERVED,
    ),
)


def fired(seen: Observation, policy: Policy) -> list[Rule]:
    """Name every rule that speaks about a state; it must be exactly one."""
    world = World(seen, policy)
    return [rule for rule in RULES if rule.when(world)]


def expected(seen: Observation, policy: Policy, now: datetime) -> Step:
    """Tell the step that the specification asks for."""
    (rule,) = fired(seen, policy)
    waiting = rule.reason is Reason.IN_RETENTION and seen.age is not None
    until = now + (policy.retention - seen.age) if waiting and seen.age is not None else None
    return Step(rule.kind, rule.reason, until)
