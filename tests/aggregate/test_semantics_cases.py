"""The executable cases of the semantics, after each of their batches, by both ways of computing."""

import json
from collections import Counter
from pathlib import Path

import pytest

from submeter.aggregate import conform

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
STATES = [pytest.param(case, count, id=f"{case['id']}-{count}") for case in CASES for count in range(1, len(case["batches"]) + 1)]


def comparable(rows):
    """Rows with flags as a set."""
    return [{**row, "flags": set(row.get("flags", []))} for row in rows]


def assert_right(case, count):
    """The answer after some batches is what the case expects."""
    answer = conform.run_case({**case, "batches": case["batches"][:count]})
    expected = case["batches"][count - 1]["expect"]
    for level, rows in expected["rows"].items():
        assert comparable(answer["rows"][level]) == comparable(rows)
    assert Counter(answer["dropped"]) == Counter(expected["dropped"])
    assert answer["pending"] is expected["pending"]


@pytest.mark.parametrize(("case", "count"), STATES)
def test_rows_after_a_batch_are_those_of_the_case(case, count):
    """After each batch all listed levels, dropped readings and the pending mark are exactly as the case says."""
    assert_right(case, count)


@pytest.mark.parametrize(("case", "count"), STATES)
def test_the_exact_path_gives_them_too(case, count, monkeypatch):
    """Without the kernel's columns the answers are the same."""
    monkeypatch.setattr(conform, "_storable", lambda _: False)
    assert_right(case, count)


def test_the_cases_are_the_shared_ones(shared):
    """The copy in this folder is the current one."""
    assert json.loads((shared / "semantics" / "cases.json").read_text())["cases"] == CASES
