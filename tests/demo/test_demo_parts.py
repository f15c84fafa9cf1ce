"""Parts of the demo that need no history: how figures are compared, what its folder remembers, who is answered."""

import socket
import stat
from types import SimpleNamespace

import pytest

from submeter import civil
from submeter.demo.check import _series_differs
from submeter.demo.folder import LIVE, made, resumed
from submeter.demo.loopback import local
from submeter.demo.outbox import Sent
from submeter.errors import SubmeterError
from submeter.simulate.history import Stretch

START = civil.instant("2026-03-01T00:00:00Z")
HOUR = civil.HOUR
#: A meter that counts a unit an hour, heard in hours 1 to 5, and the place where it is.
KNOWN = [(START + hour * HOUR, hour * 1_000_000) for hour in (1, 2, 3, 5)]
PLACE = SimpleNamespace(id="p1")


def compared(*points):
    """The differences that these (first hour, last hour, value) of an answer have from what is true until hour 6."""
    told = [{"start": civil.iso(START + first * HOUR), "end": civil.iso(START + last * HOUR), "value": value} for first, last, value in points]
    return list(_series_differs({"points": told}, PLACE, KNOWN, START + 6 * HOUR))


@pytest.mark.parametrize(
    ("point", "differs"),
    [
        ((1, 2, 1.0), False),
        ((2, 5, 3.0), False),
        ((3, 4, 1.0), False),  # between two telegrams
        ((2, 3, 1.000001), True),
        ((2, 3, 0.0), True),
        ((2, 3, None), True),  # it is known, and not told
        ((0, 1, 7.0), False),  # before the first telegram nothing can be known
        ((0, 2, 1.0), False),  # from the first telegram on
        ((0, 2, 2.0), True),
        ((5, 6, None), False),  # behind the last telegram nothing need be told
        ((4, 6, 1.0), False),
        ((4, 6, 3.0), True),  # and nothing may be made up
        ((6, 7, 9.0), False),  # it is not over
    ],
)
def test_a_figure_that_is_not_true_is_seen(point, differs):
    """To the millionth of a unit; the sentence says where and what is true."""
    found = compared((1, 2, 1.0), point)
    assert len(found) == differs
    assert all(line.startswith(f"p1 {civil.iso(START + point[0] * HOUR)}: {point[2]} answered, ") for line in found)


@pytest.fixture
def demo(tmp_path):
    """A demo that was made and sent nothing."""
    return made(tmp_path / "here", seed=1, years=0.3, port=0, end=START)


def test_stretches_that_go_on_are_one(demo):
    """What was sent live grows; a gap, or another pace, begins a new one."""
    demo.note(Stretch(START, START + HOUR, LIVE))
    demo.note(Stretch(START + HOUR, START + 2 * HOUR, LIVE))
    assert demo.sent == [Stretch(START, START + 2 * HOUR, LIVE)]
    demo.note(Stretch(START + 3 * HOUR, START + 4 * HOUR, LIVE))
    demo.note(Stretch(START + 4 * HOUR, START + 5 * HOUR, HOUR))
    demo.note(Stretch(START + 5 * HOUR, START + 6 * HOUR, LIVE))
    assert len(demo.sent) == 4
    assert demo.until == START + 6 * HOUR


def test_a_folder_remembers_its_demo(demo):
    """What was sent, and what opens the portals, for its owner alone; one that was not made completely is made anew."""
    assert resumed(demo.folder, seed=1, years=0.3, port=0) is None
    demo.note(Stretch(START, START + HOUR, LIVE))
    demo.parts, demo.late, demo.tokens = 2, True, {"inmes": "t"}
    demo.letters = [("inmes", "inmes", "h", "u", "l", "k", {"code": "1"})]
    demo.keep()
    assert stat.S_IMODE((demo.folder / "demo.json").stat().st_mode) == 0o600
    again = resumed(demo.folder, seed=1, years=0.3, port=0)
    assert (again.sent, again.parts, again.late, again.tokens, again.until) == (demo.sent, 2, True, {"inmes": "t"}, demo.until)
    assert [tuple(one) for one in again.letters] == demo.letters
    assert again.world.end == demo.world.end


@pytest.mark.parametrize(("seed", "years"), [(2, 0.3), (1, 0.5)])
def test_another_demo_does_not_go_on_with_a_folder(demo, seed, years):
    """The sentence says which one it holds."""
    with pytest.raises(SubmeterError, match=r"holds the demo of seed 1 and 0\.3 years: write those, or --fresh"):
        resumed(demo.folder, seed=seed, years=years, port=0)


def test_a_folder_of_something_else_is_left_alone(tmp_path, demo):
    """Nothing is deleted that no demo made; its own is made anew."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    with pytest.raises(SubmeterError, match="holds something else than a demo"):
        made(tmp_path / "photos", seed=1, years=0.3, port=0, end=START)
    assert (tmp_path / "photos" / "one.jpg").exists()
    (demo.folder / "leftover").touch()
    made(demo.folder, seed=1, years=0.3, port=0, end=START)
    assert not (demo.folder / "leftover").exists()
    assert resumed(tmp_path / "nowhere", seed=1, years=0.3, port=0) is None


def test_a_port_that_is_taken_is_told(tmp_path):
    """Before anything is made of the history."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SubmeterError, match="is taken: name another with --port"):
        made(tmp_path / "here", seed=1, years=0.3, port=taken.getsockname()[1], end=START)


@pytest.mark.parametrize(
    ("host", "ours"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_what_is_this_machine_alone(host, ours):
    """A demo shows codes: all interfaces are not loopback."""
    assert local(host) is ours


def test_a_message_in_a_line():
    """A mail and an SMS by their words, a letter by its name."""
    assert Sent("sms", "+420", "", "Your code\n is 12 ", None).line() == f"OUTBOX  sms    {'+420':24} Your code is 12"
    assert Sent("letter", "by post", "1-u.pdf", "", None).line() == f"OUTBOX  letter {'by post':24} 1-u.pdf"
    assert list(Sent("sms", "", "", "a b\nc", None).parts()) == ["a", "b", "\n", "c", "\n"]
