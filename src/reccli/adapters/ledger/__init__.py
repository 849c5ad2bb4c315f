"""The ledger: callbacks not yet finished, events and runs, in SQLite or PostgreSQL.

It informs and never authorises: no recording is deleted on its word, and losing it costs time
only. Yet a callback that was acknowledged must survive a crash, so every write is durable when
the method returns. How SQLite is set up, and why, was measured: see docs/architecture.md.

For `app` and what lies above it, by the names below only. SQLAlchemy stops at this package.
"""

from reccli.adapters.ledger.inbox import Inbox
from reccli.adapters.ledger.ledger import Ledger
from reccli.adapters.ledger.ledger_errors import LedgerError
from reccli.adapters.ledger.questions import PendingCallback
from reccli.adapters.ledger.schema import Archive
from reccli.adapters.ledger.transaction import Callback, Claim
from reccli.flow.ports import Event

__all__ = [
    "Archive",
    "Callback",
    "Claim",
    "Event",
    "Inbox",
    "Ledger",
    "LedgerError",
    "PendingCallback",
]
