"""Each feature of the five seed portals has a test that names it (portal FEATURES, parts a and b).

A test names features by `@pytest.mark.feature("I1", …)`. It counts where it is collected, runs everywhere, is neither skipped nor expected to fail, and asserts
something; so a mark alone proves nothing, and one on a browser test, which a machine without a browser skips, does not count either.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parent
#: What may keep a test from running: fixtures that a machine may lack, calls, marks.
ABSENT = {"broker", "chromium", "browser", "person"}
LEAVING = {"unavailable", "skip", "importorskip", "xfail"}
EXCUSED = {"skip", "skipif", "xfail"}


def features(shared):
    """The ids of parts (a) and (b), as their tables have them."""
    text = (shared / "portal/FEATURES.md").read_text().partition("## Peers for residents")[0]
    first, second = text.split("## (b)")
    return re.findall(r"^\| ([ISNYK]\d+) \|", first, re.MULTILINE) + re.findall(r"^\| [^|]+ \| ([ISNYK]\d+) \|", second, re.MULTILINE)


def named():
    """Of each feature, the tests that name it and count; and what is wrong with those that do not."""
    found, wrong = defaultdict(list), []
    for file in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(file.read_text())
        for function in [one for one in tree.body if isinstance(one, ast.FunctionDef)]:
            ids = [ast.literal_eval(arg) for one in function.decorator_list if _mark(one) == "feature" for arg in one.args]
            if not ids:
                continue
            where = f"{file.relative_to(TESTS)}::{function.name}"
            if excuse := _excuse(function) or ("all of the file is marked" if _marked(tree.body) else ""):
                wrong.append(f"{where}: {excuse}")
            for identity in ids:
                found[identity].append(where)
    return found, wrong


def _mark(decorator):
    """The name of a mark: `feature` of `pytest.mark.feature(…)`."""
    text = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return text.removeprefix("pytest.mark.") if text.startswith("pytest.mark.") else ""


def _excuse(function):
    """Why a test does not count, "" where it does."""
    if not function.name.startswith("test_"):
        return "it is no test"
    if excused := EXCUSED & {_mark(one) for one in function.decorator_list}:
        return f"it is marked {excused.pop()}"
    called = {ast.unparse(one.func).rpartition(".")[2] for one in ast.walk(function) if isinstance(one, ast.Call)}
    if absent := (ABSENT & {arg.arg for arg in function.args.args}) | (LEAVING & called):
        return f"it does not run everywhere: {', '.join(sorted(absent))}"
    asserts = [one.test for one in ast.walk(function) if isinstance(one, ast.Assert)]
    return "" if any(not isinstance(one, ast.Constant) for one in asserts) else "it asserts nothing"


def _marked(body):
    """Whether the file has a mark that may keep its tests from running; that they run on both engines does not."""
    marks = [one.value for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"]
    return any(ast.unparse(mark) != "pytest.mark.both_engines" for mark in marks)


def test_every_feature_is_asserted(shared):
    """The list of features without a test is empty; `-s` prints which tests name which."""
    ids, (found, wrong) = features(shared), named()
    table = [f"{one:4} {', '.join(found[one]) or 'none'}" for one in ids]
    print(*table, "without a test: " + (", ".join(one for one in ids if not found[one]) or "none"), sep="\n")  # noqa: T201 - the report
    assert (len(ids), len(set(ids))) == (82, 82)
    assert wrong == []
    assert [one for one in ids if not found[one]] == []
    assert set(found) <= set(ids)
