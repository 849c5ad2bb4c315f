"""Carries out effects through the ports: the bridge between a case and the services.

Used by the runner for many cases at once, and by the simulator for one effect at a time.
Whatever goes wrong outside comes back as a `Failure`; nothing is raised into a case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reccli.core.errors import Failure, Service, ServiceError
from reccli.core.rows import concerns
from reccli.flow.copy import copy
from reccli.flow.effects import (
    Copy,
    Delete,
    Effect,
    ObserveObject,
    ObserveRecording,
    ObserveRows,
    ObserveSiblings,
    Rows,
    Stale,
    Unproven,
)
from reccli.flow.listing import by_creation, fetch, recordings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reccli.core.model import Ref, Row
    from reccli.flow.services import Services

DELETE_WITHIN = timedelta(seconds=60)
"""How old the proof may be when a delete is sent; reading an object back takes its time."""


def perform(effect: Effect[object], services: Services) -> object:
    """Carry out one effect of those that are not gathered into batches, and return its reply."""
    try:
        match effect:
            case ObserveRecording(ref):
                return fetch(ref, services)
            case ObserveSiblings(of, region):
                found = (one for sid in of for one in recordings_of(sid, services, region))
                return by_creation(found)
            case ObserveObject(key, sid, read_back):
                return services.retry(
                    Service.S3, services.s3.observe, key, sid, read_back=read_back
                )
            case Copy(recording):
                services.checks.before_write()
                retry = services.retry_in(recording.region)
                return copy(effect, services.twilio, services.s3, retry)
            case Delete():
                return _delete(effect, services)
            case _:
                raise TypeError(effect)
    except ServiceError as error:
        return error.failure


def _delete(effect: Delete, services: Services) -> Unproven | Stale | None:
    """Ask for the delete once, and then look what became of it, with patience: it may show late."""
    services.checks.before_delete(effect.key)
    if services.now() - effect.seen_at > DELETE_WITHIN:
        return Stale()
    retry, twilio = services.retry_in(effect.recording.region), services.twilio
    # Never repeated here: what was proven may have changed while a retry waits.
    refusal = retry.once(Service.TWILIO, twilio.delete, effect.recording)
    try:
        retry(Service.TWILIO, twilio.prove_deleted, effect.recording, refusal)
    except ServiceError as error:
        return Unproven(error.failure)
    return None


def find_rows(effects: Sequence[ObserveRows], services: Services) -> list[Rows | Failure]:
    """Observe the rows of many cases in one go; answers in the order of the effects."""
    refs = [effect.ref for effect in effects]
    at = services.now()  # before asking: what is seen is at least as new as this
    try:
        rows = services.retry.more(Service.AIRTABLE, services.airtable.find, refs)
    except ServiceError as error:
        return [error.failure] * len(effects)
    found = [about(rows, ref) for ref in refs]
    known = {row.id for own in found for row in own}
    # Airtable found them by a call of one of these recordings, and does not say by which one.
    strangers = _in_order(row for row in rows if row.id not in known and row.call_cell)
    return [Rows(own or strangers, at) for own in found]


def about(rows: Iterable[Row], ref: Ref) -> tuple[Row, ...]:
    """Return the rows that concern one recording, or may do so, in a stable order."""
    call = ref.call_sid
    return _in_order(row for row in rows if concerns(row, ref) or (call and call in row.call_cell))


def _in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    once = {row.id: row for row in rows}
    return tuple(once[row_id] for row_id in sorted(once))
