"""Opens links as whoever clicks on them does. SDK of this package: httpx."""

from reccli.adapters.opener.opener import MAX_REDIRECTS, Opener

__all__ = ["MAX_REDIRECTS", "Opener"]
