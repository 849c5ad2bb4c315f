"""What the commands are: a source of recordings and the steps that may be taken. Nothing else."""

from __future__ import annotations

from enum import StrEnum

from reccli.core.model import StepKind


class Command(StrEnum):
    """The commands of the contract."""

    PROCESS = "process"
    MIGRATE_FALLBACKS = "migrate-fallbacks"
    PURGE_TWILIO = "purge-twilio"
    REPORT = "report"


MAY = {
    Command.PROCESS: frozenset(
        {StepKind.COPY, StepKind.LINK_TWILIO, StepKind.RELINK, StepKind.RESIGN}
    ),
    Command.MIGRATE_FALLBACKS: frozenset({StepKind.COPY, StepKind.RELINK, StepKind.DELETE}),
    Command.PURGE_TWILIO: frozenset({StepKind.DELETE}),
    Command.REPORT: frozenset[StepKind](),
}
