"""How a run is told: logs, the journal, the JSON document, the text, the report."""
