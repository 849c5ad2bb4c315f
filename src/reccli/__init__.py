"""Moves call recordings from Twilio to S3, proves them, relinks Airtable, then cleans Twilio."""
