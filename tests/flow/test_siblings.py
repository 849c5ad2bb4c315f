"""Which recordings of a call have a say in whose a free cell is."""

from __future__ import annotations

import pytest

from reccli.flow.listing import by_creation
from tests.core.samples import RE1, RE2, make_recording


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("completed", True),
        ("processing", True),
        ("", True),  # unknown is never absent
        ("of-a-new-kind", True),
        ("deleted", False),
        ("absent", False),
        ("failed", False),
    ],
)
def test_all_count_but_those_that_can_never_have_a_link(status: str, *, counts: bool) -> None:
    first, second = make_recording(status=status), make_recording(sid=RE2)
    refs = by_creation([second, first])
    assert [ref.sid for ref in refs] == ([RE1, RE2] if counts else [RE2])
