"""Settings: every key that an operator can set, checked before anything is touched.

A wrong setting must never be found out half-way through a run that deletes recordings. So
everything is read once, from every source, every problem is reported together, each with its key
and where the value came from, and no message ever holds a value, as any of them may be a secret.

For `app` and what lies above it; the rest is given what it needs. Only this package imports
pydantic, which is slow to import: the command line imports it lazily, inside a command.
"""

from reccli.config.loading import load
from reccli.config.own_sections import (
    RECORDING_STATUS,
    STREAM,
    Alerts,
    Engine,
    LedgerSection,
    Safety,
    Webhook,
)
from reccli.config.problems import ConfigError
from reccli.config.service_sections import S3, Airtable, Links, Region, Twilio
from reccli.config.settings import Settings
from reccli.config.showing import in_force, write_example
from reccli.config.sources import find_config
from reccli.config.state import identity, state_dir

__all__ = [
    "RECORDING_STATUS",
    "S3",
    "STREAM",
    "Airtable",
    "Alerts",
    "ConfigError",
    "Engine",
    "LedgerSection",
    "Links",
    "Region",
    "Safety",
    "Settings",
    "Twilio",
    "Webhook",
    "find_config",
    "identity",
    "in_force",
    "load",
    "state_dir",
    "write_example",
]
