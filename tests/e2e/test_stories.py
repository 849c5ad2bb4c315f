"""The stories of `reccli sandbox`: each checks its own end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.running import Sandbox
from reccli.sandbox.stories import STORIES

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("name", STORIES)
def test_it_ends_as_told(name: str) -> None:
    said: list[str] = []
    story: Callable[[Sandbox, Callable[[str], None]], None] = STORIES[name]
    with Sandbox() as sandbox:
        story(sandbox, said.append)
    assert any(line.startswith("$ reccli process") for line in said)
