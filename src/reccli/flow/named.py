"""Recordings that somebody has named: a person by SID, or a callback that reported one.

They are asked for one by one, where `source` goes through whole listings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reccli.core.errors import Failure, ServiceError
from reccli.core.model import Recording, Ref
from reccli.core.sids import CALL, is_sid
from reccli.flow.findings import no_recording_of
from reccli.flow.listing import by_creation, fetch, listed, recordings_of, whole
from reccli.flow.outcome import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reccli.flow.services import Services
    from reccli.flow.source import Sources


def named(sources: Sources, sids: Iterable[str]) -> Iterator[Candidate]:
    """Yield the recordings, and all recordings of the calls, that were named."""
    everyone = (item for sid in dict.fromkeys(sids) for item in _named(sources, sid))
    return unseen(everyone, set())


def reported(sid: str, call_sid: str | None, services: Services) -> list[Candidate]:
    """Return what a callback reported: a recording, or all that Twilio lists of a call.

    Raises `ServiceError`: a call that cannot be asked for is not one without recordings.
    """
    if not is_sid(sid, CALL):
        ref = Ref(sid, services.book.twilio.account_sid, None, call_sid)
        return [Candidate(ref, reported=True)]
    recordings = recordings_of(sid, services)
    siblings = by_creation(recordings)
    return [Candidate(recording.ref, siblings, recording) for recording in recordings]


def unseen(candidates: Iterable[Candidate], seen: set[str]) -> Iterator[Candidate]:
    """Yield those that are not among the SIDs in `seen`, and add each to them."""
    for candidate in candidates:
        if candidate.ref.sid not in seen:
            seen.add(candidate.ref.sid)
            yield candidate


def _named(sources: Sources, sid: str) -> Iterator[Candidate]:
    if is_sid(sid, CALL):
        yield from _of_call(sources, sid)
        return
    ref = Ref(sid, sources.services.book.twilio.account_sid)
    try:
        recording = fetch(ref, sources.services)
    except ServiceError:
        yield Candidate(ref)  # the case observes it again and says why it is Unknown
        return
    yield Candidate(recording.ref, (), recording)


def _of_call(sources: Sources, sid: str) -> Iterator[Candidate]:
    """Yield what the region of a call lists of it, as far as the listing went."""
    broken: list[Failure] = []
    for region in sources.services.twilio.regions:
        found, cut = list[Recording](), list[Failure]()
        try:
            found.extend(listed(whole(sid, region), sources.services))
        except ServiceError as error:
            cut = [error.failure]
        broken = cut if found else [*broken, *cut]
        for recording in found:
            yield Candidate(recording.ref, () if cut else by_creation(found), recording)
        if found:
            break
    else:
        broken = broken or [no_recording_of(sid)]
    sources.failures.extend(broken)
