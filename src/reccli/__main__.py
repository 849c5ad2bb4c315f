"""`python -m reccli`."""

from reccli.cli import main

main()
