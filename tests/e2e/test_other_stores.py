"""Stores that lack what is asked for, and policies that want something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.lab import Lab

PLAIN_STORE = """
[s3]
server_side_encryption = ""
storage_class = ""
"""


@pytest.mark.parametrize(
    ("trait", "setting"),
    [("no_sse", "s3.server_side_encryption"), ("no_classes", "s3.storage_class")],
)
def test_what_a_store_does_not_know_is_a_setting_to_change_and_no_outage(
    lab: Lab, trait: str, setting: str
) -> None:
    row, mine = lab.call()
    setattr(lab.tap.traits, trait, True)
    told = lab.json("process")
    assert (told.code, told.error_codes) == (2, {"NotImplemented"})
    hints = [entry["hint"] for entry in told.doc["errors"]]
    assert all(f'{setting} = ""' in hint for hint in hints)
    other = {"s3.server_side_encryption", "s3.storage_class"} - {setting}
    assert not any(name in hint for name in other for hint in hints)
    assert lab.holds(row, mine) == "empty"  # no link to Twilio for want of a setting
    assert len([method for method, _ in lab.tap.requests if method == "PUT"]) == 1
    config = lab.home / "plain.toml"
    config.write_text(PLAIN_STORE)
    told = lab.json("process", "--config", str(config))
    assert (told.code, lab.holds(row, mine), lab.archived(mine)) == (0, "s3", True)


def test_where_every_put_fails_and_no_head_does_the_settings_are_named(lab: Lab) -> None:
    row, mine = lab.call()
    lab.tap.traits.broken_sse = True
    told = lab.json("process")
    assert (told.code, lab.holds(row, mine)) == (5, "twilio")
    (hint,) = {entry["hint"] for entry in told.doc["errors"]}
    assert 's3.server_side_encryption = "" (it is "AES256")' in hint
    assert 's3.storage_class = "" (it is "STANDARD_IA")' in hint


def test_a_policy_that_wants_another_encryption_is_told_what_was_sent(lab: Lab) -> None:
    row, mine = lab.call()
    lab.tap.traits.wants_kms = True
    told = lab.json("process")
    assert (told.code, lab.holds(row, mine)) == (4, "twilio")
    hint = told.doc["errors"][0]["hint"]
    assert 's3.server_side_encryption = "AES256", s3.storage_class = "STANDARD_IA"' in hint
    assert 's3.server_side_encryption = "aws:kms" with s3.kms_key_id' in hint


def test_keys_that_may_not_be_seen_keep_no_other_back_and_blame_no_credentials(lab: Lab) -> None:
    hidden = [lab.call() for _ in range(7)]
    lab.tap.traits.hidden.update(mine.sid for _, mine in hidden)
    fine, good = lab.call()
    told = lab.json("process")
    assert told.code == 1
    assert (lab.holds(fine, good), lab.archived(good)) == ("s3", True)
    assert {entry["sid"] for entry in told.doc["errors"]} == {mine.sid for _, mine in hidden}
    assert "circuit_open" not in told.error_codes
    assert lab.deleted() == set()
