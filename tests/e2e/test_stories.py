"""The stories of `reccli sandbox`: each checks its own end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reccli.sandbox.stories import STORIES
from tests.prefork import ForkedSandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from reccli.sandbox.running import Sandbox


@pytest.mark.parametrize("name", STORIES)
def test_it_ends_as_told(name: str) -> None:
    said: list[str] = []
    story: Callable[[Sandbox, Callable[[str], None]], None] = STORIES[name]
    with ForkedSandbox() as sandbox:
        if name == "s3-timeout":  # elsewhere S3 answers, and may take its time
            sandbox.patches = {"reccli.wiring:S3_READ_TIMEOUT": 2}
        story(sandbox, said.append)
    assert any(line.startswith("$ reccli process") for line in said)
