"""The executable cases of the semantics, after each of their batches."""

import json
from collections import Counter
from pathlib import Path

import pytest

from submeter.aggregate.conform import answers, run_case

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
STATES = [pytest.param(case, count, id=f"{case['id']}-{count}") for case in CASES for count in range(1, len(case["batches"]) + 1)]


def comparable(row):
    return {**row, "flags": sorted(row.get("flags", []))}


@pytest.mark.parametrize(("case", "count"), STATES)
def test_rows_after_a_batch_are_those_of_the_case(case, count):
    """After each batch all listed levels, dropped readings and the pending mark are exactly as the case says."""
    answer = run_case({**case, "batches": case["batches"][:count]})
    expected = case["batches"][count - 1]["expect"]
    for level, rows in expected["rows"].items():
        assert [comparable(row) for row in answer["rows"][level]] == [comparable(row) for row in rows]
    assert Counter(answer["dropped"]) == Counter(expected["dropped"])
    assert answer["pending"] is expected["pending"]
