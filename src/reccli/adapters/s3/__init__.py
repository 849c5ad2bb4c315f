"""Amazon S3 and its likes: one bucket, conditional writes only, and proof instead of belief.

boto3 is imported here and nowhere else; the composition root imports this package lazily.
"""

from reccli.adapters.s3.client import MAX_LINK_TTL, S3Options
from reccli.adapters.s3.s3_adapter import S3Adapter

__all__ = ["MAX_LINK_TTL", "S3Adapter", "S3Options"]
