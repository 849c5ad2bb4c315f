"""Stand-ins of Twilio and Airtable, and SeaweedFS as S3, all on this machine.

Here reccli can be tried without an account, and all its tests run.
"""
