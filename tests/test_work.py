"""What an operator's terminal hears of long work."""

from types import SimpleNamespace

from submeter import work
from submeter.work import Work


def test_a_line_says_what_is_done_and_how_far(monkeypatch):
    """Name, phase, share, what there is of them; a line every two seconds, none for the steps between."""
    clock, lines = iter((0, 0, 1, 2, 3, 5)), []
    monkeypatch.setattr(work, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    here = Work()
    here.listener = lines.append
    here.begin("nightly")
    for done in (1, 2, 3):
        here.step("series computed", done, 4)
    here.end()
    here.step("series computed", 4, 4)
    assert lines == ["nightly: series computed 2 of 4 (50 %)", "series computed 4 of 4 (100 %)"]
