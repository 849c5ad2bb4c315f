"""Recordings that somebody has named: a person by SID, or a callback that told of one.

They are asked for one by one, where `source`, for which this is, goes through whole listings.
What could not be read is kept in `failures`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, ServiceError
from reccli.core.model import Recording, Ref
from reccli.flow import telling
from reccli.flow.listing import by_creation, fetch, listed, recordings_of, whole
from reccli.flow.outcome import Seed
from reccli.flow.tables import TableSources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(slots=True)
class NamedSources(TableSources):
    """Recordings by their SIDs, or by those of their calls."""

    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The calls that were told of and listed whole, each with its recordings."""

    def named(self, sids: Sequence[str]) -> Iterator[Seed]:
        """Take the recordings, and all recordings of the calls, that were named."""
        seen: set[str] = set()
        for sid in dict.fromkeys(sids):
            for seed in self._named(sid):
                if seed.ref.sid not in seen:
                    seen.add(seed.ref.sid)
                    yield seed

    def told(self, sid: str, call_sid: str | None) -> Iterator[Seed]:
        """Take what a callback told of: a recording, or all that Twilio lists of a call.

        Raises `ServiceError`: a call that cannot be asked for is not one without recordings.
        """
        if not sid.startswith("CA"):
            yield Seed(Ref(sid, self.world.book.account_sid, None, call_sid), told=True)
            return
        recordings = recordings_of(sid, self.world)
        self.calls[sid] = tuple(recording.sid for recording in recordings)
        for recording in recordings:
            yield Seed(recording.ref, by_creation(recordings), recording)

    def _named(self, sid: str) -> Iterator[Seed]:
        if sid.startswith("CA"):
            yield from self._of_call(sid)
            return
        ref = Ref(sid, self.world.book.account_sid)
        try:
            recording = fetch(ref, self.world)
        except ServiceError:
            yield Seed(ref)  # the case observes it again and says why it is Unknown
            return
        yield Seed(recording.ref, (), recording)

    def _of_call(self, sid: str) -> Iterator[Seed]:
        """Take what the region of a call lists of it, as far as the listing went."""
        broken: list[Failure] = []
        for region in self.world.twilio.regions:
            found, cut = list[Recording](), list[Failure]()
            try:
                found.extend(listed(whole(sid, region), self.world))
            except ServiceError as error:
                cut = [error.failure]
            broken = cut if found else [*broken, *cut]
            for recording in found:
                yield Seed(recording.ref, () if cut else by_creation(found), recording)
            if found:
                break
        else:
            broken = broken or [telling.no_recording_of(sid)]
        self.failures.extend(broken)
