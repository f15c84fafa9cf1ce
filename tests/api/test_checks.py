"""The 48 checks of portal FLOWS 10: each is a test with its number, in one file here or among those of pages."""

import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_check_has_its_test_in_one_file():
    """A number without a test, one that is no check, or one that stands in two files fails."""
    found = defaultdict(set)
    for file in [*TESTS.glob("test_*.py"), *TESTS.with_name("portal").glob("test_*.py")]:
        for number in re.findall(r"^def test_check_(\d\d)_", file.read_text(), re.MULTILINE):
            found[int(number)].add(file.name)
    assert set(found) == set(range(1, 49))
    assert {number: files for number, files in found.items() if len(files) > 1} == {}
