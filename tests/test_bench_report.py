"""`./run bench --report --quick`: all plots come out, and say what their tables say."""

import math
import re
import subprocess
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from bench.svg import Plot, shown, ticks

ROOT = Path(__file__).resolve().parent.parent
SVG = "{http://www.w3.org/2000/svg}"
SECTION = re.compile(r"^### (?P<title>.+)\n\n(?P<about>.+)\n\n!\[(?P<alt>.+)\]\((?P<file>[\w-]+\.svg)\)\n\n(?P<table>(?:\|.*\n)+)", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the command wrote, run as one does by hand."""
    made = tmp_path_factory.mktemp("report") / "made"
    subprocess.run([ROOT / "run", "bench", "--report", made, "--quick"], check=True, timeout=300, capture_output=True)
    return made


def values(picture):
    """The values of a picture's bars or points, in its order."""
    return [float(one.get("data-value")) for one in picture.iter() if one.get("data-value")]


def cells(table):
    """The values of a table; a line each for lines, as in the picture."""
    head, _, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return [row[column] for column in range(1, len(head)) for row in rows]


@pytest.mark.parametrize("place", ["made", "docs/report"])
def test_every_plot_is_in_the_page_with_its_numbers(folder, place):
    """The page names each picture that there is and no other; pictures are well formed, their values finite, and those of the table below."""
    folder = folder if place == "made" else ROOT / place
    sections = list(SECTION.finditer((folder / "README.md").read_text()))
    assert sorted(one["file"] for one in sections) == sorted(path.name for path in folder.glob("*.svg"))
    assert len(sections) == 9
    for one in sections:
        picture = ET.parse(folder / one["file"]).getroot()
        found = values(picture)
        assert len(found) > 1
        assert all(math.isfinite(value) and value > 0 for value in found), one["file"]
        assert sorted(cells(one["table"])) == sorted(map(shown, found)), one["file"]
        words = [text.text for text in picture.iter(f"{SVG}text")]
        assert picture.find(f"{SVG}title").text == one["title"]
        assert {*map(shown, found), *one["alt"].split(": ", 1)} <= set(words) | {one["title"]}, one["file"]
        assert "nan" not in (folder / one["file"]).read_text().lower()


def test_the_page_says_on_which_machine(folder):
    """Date, processors, versions and load; a small run says that it is one."""
    text = (folder / "README.md").read_text()
    assert re.search(r"\d{4}-\d\d-\d\d, .+ processors, .+ Python 3\..+ duckdb .+ load before the start \d+\.\d\.", text)
    assert "the figures say nothing" in text


def test_bars_and_points_stand_where_their_values_are():
    """A bar twice as long has twice the value; a point twice as high, too; both begin at nought."""
    bars = ET.fromstring(Plot("a", "A & B", "m", "", {"": {"x": 3.0, "y": 6.0}, "<b>": {"z": 1.5}}).svg())
    widths = [float(one.get("width")) for one in bars.iter(f"{SVG}rect")]
    assert widths == pytest.approx([widths[0], 2 * widths[0], widths[0] / 2], rel=0.01)
    lines = ET.fromstring(Plot("a", "A", "s", "", {"one": {1: 2.0, 2: 4.0}, "two": {1: 1.0, 2: 8.0}}, "n").svg())
    ways = [[tuple(map(float, point.split(","))) for point in one.get("points").split()] for one in lines.iter(f"{SVG}polyline")]
    top, bottom = min(y for way in ways for _, y in way), 44 + 220
    assert [bottom - y for way in ways for _, y in way] == pytest.approx([(bottom - top) * value / 8 for value in (2, 4, 1, 8)], abs=0.02)
    assert ways[0][0][0] == ways[1][0][0]


@pytest.mark.parametrize("most", [0.0, 0.013, 0.999, 1.0, 7.3, 99.0, 100.0, 123456.0, 3e9])
def test_ticks_are_even_and_reach_the_greatest_value(most):
    """From nought in equal steps to the first at or above it."""
    marks = ticks(most)
    assert marks[0] == 0
    assert marks[-1] >= most > marks[-2] or most == 0
    assert len({round((after - before) / marks[-1], 6) for before, after in pairwise(marks)}) == 1
    assert len(marks) <= 11


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (7.0, "7"), (123.4, "123"), (54_321.0, "54,300"), (8760.0, "8,760"), (-2.25, "-2.25")],
)
def test_three_digits_are_shown(value, words):
    """As many digits as a measurement has, and thousands apart."""
    assert shown(value) == words
