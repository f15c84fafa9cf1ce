"""The 48 checks of portal FLOWS 10: each is a test with its number, in one file; what waits says for what."""

import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent
#: Checks, or parts of them, whose subject is not built yet.
WAITING = {6: "pages", 19: "pages: risk text, TOTP offered", 47: "a job for addresses and logs"}
#: Of these nothing can be tested yet.
NOTHING = {6}


def test_every_check_has_its_test_in_one_file():
    """All numbers but those that wait; a number that is no check, or stands in two files, fails."""
    found = defaultdict(set)
    for file in TESTS.glob("test_*.py"):
        for number in re.findall(r"^def test_check_(\d\d)_", file.read_text(), re.MULTILINE):
            found[int(number)].add(file.name)
    assert set(range(1, 49)) - set(found) == NOTHING <= set(WAITING)
    assert set(found) <= set(range(1, 49))
    assert {number: files for number, files in found.items() if len(files) > 1} == {}
