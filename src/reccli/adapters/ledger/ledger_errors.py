"""What goes wrong with a ledger, in the words and kinds that the rest of reccli knows.

For this package only, which exports `LedgerError`.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from reccli.core.errors import Failure, FailureKind, Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECK_MODE = "check owner and mode"
_LOCKED = (FailureKind.BUSY, "another process keeps it locked", "")
_CORRUPT = (
    FailureKind.PERMANENT,
    "is corrupt",
    "move the file away: a new one is made, and only history is lost",
)
_CAUSES = {
    sqlite3.SQLITE_FULL: (FailureKind.OUTAGE, "the disk is full", "free some space"),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: (FailureKind.PERMANENT, "may not be written", _CHECK_MODE),
    sqlite3.SQLITE_PERM: (FailureKind.PERMANENT, "may not be opened", _CHECK_MODE),
    sqlite3.SQLITE_CANTOPEN: (FailureKind.PERMANENT, "cannot be opened", _CHECK_MODE),
    sqlite3.SQLITE_IOERR: (FailureKind.OUTAGE, "the disk failed", "see the kernel's log"),
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
}

_REFUSED = re.compile(
    r"FATAL:(?!.*(starting up|shutting down|recovery|too many|connection slots))"
    r"|does not support SSL|no password supplied|invalid (sslmode|connection option)|certificate"
)
"""How PostgreSQL, or its library, says that no waiting will help; there is no state beside it."""
_REFUSED_HINT = "check the user, the password, the database and sslmode of ledger.url"
_POSTGRES_BUSY = {"40001", "40P01", "55P03", "57014"}  # conflict, deadlock, lock or time run out


class LedgerError(ServiceError):
    """The ledger cannot be used; the message names it and the cause, and never a password."""

    def __str__(self) -> str:
        """Return the message and what to do, for this goes to the log and nowhere else."""
        hint = self.failure.hint
        return f"{self.failure.message} ({hint})" if hint else self.failure.message


def unusable(
    location: str,
    what: str,
    hint: str = "",
    *,
    kind: FailureKind = FailureKind.PERMANENT,
    code: str = "unusable",
) -> LedgerError:
    """Return the error of a ledger at a location."""
    return LedgerError(Failure(Service.LEDGER, kind, code, f"{location}: {what}", hint))


def absent(location: str) -> LedgerError:
    """Return the error of a ledger that is to be read, and was never made."""
    return unusable(location, "there is no ledger yet", kind=FailureKind.GONE, code="absent")


def busy(location: str) -> LedgerError:
    """Return the error of a ledger that others have locked for too long."""
    kind, what, _ = _LOCKED
    return unusable(location, what, kind=kind, code="busy")


def odd(error: Exception) -> bool:
    """Whether it is due to what was to be written, and another entry may well be taken."""
    if not isinstance(error, LedgerError):
        return True  # a value that cannot be made one of a column
    cause = error.__cause__
    if isinstance(cause, ProgrammingError):
        return getattr(cause.orig, "sqlstate", None) is None  # of a type that no driver knows
    if isinstance(cause, DBAPIError):
        return isinstance(cause, (DataError, IntegrityError))
    return isinstance(cause, StatementError)  # of a type that no column takes


@contextmanager
def translating(location: str) -> Iterator[None]:
    """Turn what databases and files raise into `LedgerError`."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translated(location, error) from error
    except OSError as error:
        raise unusable(location, error.strerror or str(error)) from error


def _translated(location: str, error: SQLAlchemyError | sqlite3.Error) -> LedgerError:
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", None) or type(cause).__name__
    primary = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest only says where
    if known := _CAUSES.get(primary):
        kind, what, hint = known
        return unusable(location, what, hint, kind=kind, code=name)
    kind, hint = FailureKind.PERMANENT, ""
    if _REFUSED.search(str(cause)):
        hint = _REFUSED_HINT
    elif isinstance(error, OperationalError) and not isinstance(cause, sqlite3.Error):
        kind = FailureKind.OUTAGE  # the server is away
    state = str(getattr(cause, "sqlstate", None))
    if state in _POSTGRES_BUSY:
        kind = FailureKind.BUSY
    if state.startswith("28"):
        kind = FailureKind.DENIED
    return unusable(location, " ".join(str(cause).split()), hint, kind=kind, code=name)
