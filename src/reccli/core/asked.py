"""What the decision table is asked: the three sides of one recording, and what an operator tunes.

The table (`plan`) answers with a `Step`; what the sides can be is in `model`. For every layer, like
`model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from reccli.core.model import LinkState, S3State, TwilioState


@dataclass(frozen=True, slots=True)
class Observation:
    """The three sides of one recording, as `decide` sees them.

    `age` is how long the object has been in S3, by the smaller of what S3's clock and ours say;
    None when S3 did not say. `whole`: Twilio's duration, or a person who has listened, says that
    nothing is missing from the copy. `overdue`: it should have been completed long ago.
    """

    twilio: TwilioState
    s3: S3State
    rows: LinkState
    age: timedelta | None = None
    whole: bool = True
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator may tune. `retention` counts from the arrival of the object in S3.

    `lasting_links` is False where every link that could be made would die with temporary
    credentials: then none is made, and nothing is deleted.
    """

    retention: timedelta
    lasting_links: bool = True
