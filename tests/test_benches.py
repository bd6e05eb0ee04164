"""The commands in benches: what they decide, and that the record is whole."""

from __future__ import annotations

import json
import platform

import pytest

import instructions
import report
from material import REPOSITORY

LEVEL = f"{platform.machine()} avx2"


@pytest.mark.parametrize(("now", "bad"), [(94_000, 0), (104_900, 0), (105_100, 1)])
def test_counts_may_grow_by_five_percent(now: int, bad: int) -> None:
    recorded = {"counts": {LEVEL: {"encode quality 0": 100_000}}}
    assert instructions.compare(recorded, {LEVEL: {"encode quality 0": now}}) == bad


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions are recorded for x86-64")
def test_a_count_without_record_is_a_failure() -> None:
    assert instructions.compare({"counts": {}}, {LEVEL: {"encode quality 0": 1}}) == 1


def test_every_count_is_recorded() -> None:
    recorded = json.loads(instructions.RECORD.read_text())
    names = {instructions.name_of(*measurement) for measurement in instructions.MEASUREMENTS}
    assert recorded["sha256"] == instructions.picture_hash()
    assert {level: set(counts) for level, counts in recorded["counts"].items()} == {
        f"x86_64 {level}": names for level in instructions.LEVELS
    }


def test_the_readme_quotes_the_last_record() -> None:
    newest = max((REPOSITORY / "benches" / "recorded").glob("20*.json"))
    record = json.loads(newest.read_text())
    readme = (REPOSITORY / "README.md").read_text()
    assert report.with_readme_block(readme, record, newest.stem) == readme
    assert newest.with_suffix(".md").read_text() == report.page(record, f"{newest.stem}.png")
    assert newest.with_suffix(".png").stat().st_size < 200_000
