"""What a run reports: logs, the event log, the JSON document, the text, the report."""
