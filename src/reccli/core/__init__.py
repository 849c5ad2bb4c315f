"""The pure part: what is known, what may be done next, and how links are read and written.

Anyone may import it; it imports the standard library alone (held by import-linter).
"""
