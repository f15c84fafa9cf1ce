"""docs/trust.md has a row for every fault, goal and check, and every test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "trust.md").read_text()
FAULTS, GOALS, CHECKS = 53, 16, 48
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows(pattern):
    """The rows whose first cell is this pattern with a number: number and rest of the row."""
    return [(int(number), rest) for number, rest in re.findall(rf"^\| {pattern}(\d+) \| (.*) \|$", TEXT, re.MULTILINE)]


@cache
def functions_of(file):
    """The functions of a test file, which is read and not run."""
    return {one.name for one in ast.parse((ROOT / file).read_text()).body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_fault_and_goal_has_its_row():
    """Numbers 1 to 53, G1 to G16 and the checks 1 to 48, each once; a row names a test or says that it is open."""
    for pattern, last in (("", FAULTS), ("G", GOALS), ("check ", CHECKS)):
        found = rows(pattern)
        assert [number for number, _ in found] == list(range(1, last + 1))
        assert [number for number, rest in found if not NAMED.search(rest) and "open" not in rest] == []


def test_every_named_test_is_there():
    """A test that was renamed or removed takes its row along."""
    named = NAMED.findall(TEXT)
    assert named
    assert [f"{file}::{name}" for file, name in named if not (ROOT / file).exists() or name not in functions_of(file)] == []


def test_every_test_of_a_fault_is_in_the_register():
    """A test that carries a fault's number is named in a row."""
    named = set(NAMED.findall(TEXT))
    tests = {
        (str(file.relative_to(ROOT)), name) for file in (ROOT / "tests" / "faults").glob("test_*.py") for name in functions_of(file.relative_to(ROOT))
    }
    assert {one for one in tests if one[1].startswith("test_fault_")} - named == set()
