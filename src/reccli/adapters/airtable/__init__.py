"""The table of calls, over Airtable's Web API. pyairtable and its errors stop here."""

from reccli.adapters.airtable.airtable_adapter import AirtableAdapter
from reccli.adapters.airtable.options import AirtableOptions

__all__ = ["AirtableAdapter", "AirtableOptions"]
