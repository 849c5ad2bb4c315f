"""Recordings that somebody has named: a person by SID, or a callback that told of one.

They are asked for one by one, where `source`, for which this is, goes through whole listings.
What could not be read is kept in `failures`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, ServiceError
from reccli.core.model import Recording, Ref
from reccli.core.sids import CALL, is_sid
from reccli.flow import findings
from reccli.flow.listing import by_creation, fetch, listed, recordings_of, whole
from reccli.flow.outcome import Candidate
from reccli.flow.tables import TableSources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(slots=True)
class NamedSources(TableSources):
    """Recordings by their SIDs, or by those of their calls."""

    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls that were told of and listed whole, each with its recordings."""

    def named(self, sids: Sequence[str]) -> Iterator[Candidate]:
        """Take the recordings, and all recordings of the calls, that were named."""
        seen: set[str] = set()
        for sid in dict.fromkeys(sids):
            for candidate in self._named(sid):
                if candidate.ref.sid not in seen:
                    seen.add(candidate.ref.sid)
                    yield candidate

    def told(self, sid: str, call_sid: str | None) -> Iterator[Candidate]:
        """Take what a callback told of: a recording, or all that Twilio lists of a call.

        Raises `ServiceError`: a call that cannot be asked for is not one without recordings.
        """
        if not is_sid(sid, CALL):
            ref = Ref(sid, self.services.book.twilio.account_sid, None, call_sid)
            yield Candidate(ref, reported=True)
            return
        recordings = recordings_of(sid, self.services)
        self.calls[sid] = tuple(recording.sid for recording in recordings)
        for recording in recordings:
            yield Candidate(recording.ref, by_creation(recordings), recording)

    def _named(self, sid: str) -> Iterator[Candidate]:
        if is_sid(sid, CALL):
            yield from self._of_call(sid)
            return
        ref = Ref(sid, self.services.book.twilio.account_sid)
        try:
            recording = fetch(ref, self.services)
        except ServiceError:
            yield Candidate(ref)  # the case observes it again and says why it is Unknown
            return
        yield Candidate(recording.ref, (), recording)

    def _of_call(self, sid: str) -> Iterator[Candidate]:
        """Take what the region of a call lists of it, as far as the listing went."""
        broken: list[Failure] = []
        for region in self.services.twilio.regions:
            found, cut = list[Recording](), list[Failure]()
            try:
                found.extend(listed(whole(sid, region), self.services))
            except ServiceError as error:
                cut = [error.failure]
            broken = cut if found else [*broken, *cut]
            for recording in found:
                yield Candidate(recording.ref, () if cut else by_creation(found), recording)
            if found:
                break
        else:
            broken = broken or [findings.no_recording_of(sid)]
        self.failures.extend(broken)
