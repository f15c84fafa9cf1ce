"""Charts: the lines of an axis, where bars stand, and how what is estimated or not known looks (portal SCREENS 3)."""

import re

import pytest

from submeter.portal.charts import Bar, Chart, Part, steps

SURE, GUESS, GAP = Part(2), Part(2, estimated=True), Part(None)


def bar(*parts, href=None):
    """A bar with these parts."""
    return Bar("1", "1 May: 2 m³", parts, href)


def boxes(chart):
    """Of each rectangle its class, left, top, width and height."""
    found = re.findall(r'<rect class="([^"]*)" x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"', str(chart.drawing))
    return [(kind, *(float(size) for size in sizes)) for kind, *sizes in found]


@pytest.mark.parametrize(
    ("top", "lines"),
    [
        (0, [0, 1]),
        (-3, [0, 1]),
        (1, [0, 0.5, 1]),
        (1.1, [0, 0.5, 1, 1.5]),
        (2, [0, 0.5, 1, 1.5, 2]),
        (2.1, [0, 1, 2, 3]),
        (4, [0, 1, 2, 3, 4]),
        (4.1, [0, 2, 4, 6]),
        (8, [0, 2, 4, 6, 8]),
        (8.1, [0, 5, 10]),
        (9.99, [0, 5, 10]),
        (10, [0, 5, 10]),
        (18.75, [0, 5, 10, 15, 20]),
        (20.1, [0, 10, 20, 30]),
        (99, [0, 50, 100]),
        (5000, [0, 2000, 4000, 6000]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (0.07, [0, 0.02, 0.04, 0.06, 0.08]),
        (0.000123, [0, 0.00005, 0.0001, 0.00015]),
    ],
)
def test_the_lines_of_an_axis(top, lines):
    """From 0 in steps of 1, 2 or 5 times a power of ten, five at most, no further than the first that is not below the highest bar."""
    assert steps(top) == lines


@pytest.mark.parametrize(
    ("bars", "stacked", "top"),
    [
        ([], True, 0),
        ([bar()], True, 0),
        ([bar(Part(1), Part(3)), bar(Part(2))], True, 4),
        ([bar(Part(1), Part(3)), bar(Part(2))], False, 3),
        ([bar(GAP)], True, 0),
    ],
)
def test_the_highest_bar(bars, stacked, top):
    """A stack is as high as its parts together, a group as its highest; what is not known has no height."""
    assert Chart("t", bars, stacked).top == top


@pytest.mark.parametrize(
    ("top", "axis", "decimals"), [(4, [4, 3, 2, 1, 0], 0), (1.1, [1.5, 1, 0.5, 0], 1), (0.07, [0.08, 0.06, 0.04, 0.02, 0], 2), (0, [1, 0], 0)]
)
def test_labels_of_an_axis(top, axis, decimals):
    """From the top down, with no more decimals than their steps need."""
    chart = Chart("t", [bar(Part(top))])
    assert (chart.axis, chart.decimals) == (axis, decimals)


@pytest.mark.parametrize(
    ("parts", "stacked", "odd"),
    [
        ([SURE, SURE], True, set()),
        ([SURE, GUESS], True, {"est"}),
        ([Part(None, estimated=True)], True, {"gap"}),
        ([SURE, GAP], True, {"cap"}),
        ([SURE, GAP], False, {"gap"}),
        ([GAP, GAP], True, {"gap"}),
        ([], True, {"gap"}),
        ([GUESS, GAP], True, {"est", "cap"}),
        ([GUESS, GAP], False, {"est", "gap"}),
    ],
)
def test_looks_that_the_legend_explains(parts, stacked, odd):
    """Estimated, not known, or known in part: of a stack a cap, of a group a gap in the place of one."""
    assert Chart("t", [bar(SURE), bar(*parts)], stacked).odd == odd


@pytest.mark.parametrize(
    ("parts", "stacked", "drawn"),
    [
        ([Part(4)], True, [("c0", 1.5, 0, 7, 100)]),
        ([Part(1), Part(3)], True, [("c0", 1.5, 75, 7, 25), ("c1", 1.5, 0, 7, 75)]),
        ([Part(0), Part(4)], True, [("c0", 1.5, 100, 7, 0), ("c1", 1.5, 0, 7, 100)]),
        ([Part(4, estimated=True)], True, [("c0 est", 1.5, 0, 7, 100), ("hatch", 1.5, 0, 7, 100)]),
        ([Part(4), GAP], True, [("c0", 1.5, 0, 7, 100), ("cap", 1.5, -6, 7, 6)]),
        ([GAP, Part(4)], True, [("c1", 1.5, 0, 7, 100), ("cap", 1.5, -6, 7, 6)]),
        ([GAP, GAP], True, [("gap", 1.5, 94, 7, 6)]),
        ([], True, [("gap", 1.5, 94, 7, 6)]),
        ([Part(4), Part(2)], False, [("c0", 1.5, 0, 3.5, 100), ("c1", 5, 50, 3.5, 50)]),
        ([GAP, Part(4, estimated=True)], False, [("gap", 1.5, 94, 3.5, 6), ("c1 est", 5, 0, 3.5, 100), ("hatch", 5, 0, 3.5, 100)]),
        ([], False, []),
    ],
)
def test_where_parts_stand(parts, stacked, drawn):
    """A place is 10 wide and the axis 100 high: parts on one another, or side by side from the left; estimates are hatched, and 0 is not a gap."""
    assert boxes(Chart("t", [bar(*parts)], stacked)) == drawn


def test_a_second_bar_stands_in_the_next_place_and_more_than_four_colours_repeat_with_a_pattern():
    """Colours c0 to c3, then the same again, told apart."""
    chart = Chart("t", [bar(*[Part(1)] * 6), bar(Part(6))])
    assert [kind for kind, *_ in boxes(chart)[:6]] == ["c0", "c1", "c2", "c3", "c0 again", "c1 again"]
    assert boxes(chart)[6][:2] == ("c0", 11.5)
    assert 'viewBox="0 0 20 100"' in chart.drawing


def test_a_bar_that_leads_somewhere_is_a_link_over_the_full_height():
    """With its whole label, for eyes and ears; one that leads nowhere is a picture. What a directory says is text."""
    linked, plain = (str(Chart("<t>", [bar(SURE, href=href)]).drawing) for href in ("/units/u?q=a&b", None))
    assert (
        '<a href="/units/u?q=a&amp;b" aria-label="1 May: 2 m³"><title>1 May: 2 m³</title><rect class="hit" x="0" y="0" width="10" height="100"/>'
        in linked
    )
    assert '<g role="img" aria-label="1 May: 2 m³">' in plain
    assert "hit" not in plain
    assert 'aria-label="&lt;t&gt;"' in plain


def test_grid_lines_are_where_the_labels_are():
    """One line for each label, from top to bottom in equal steps."""
    lines = re.findall(r'<line x1="0" x2="10" y1="([\d.]+)" y2="([\d.]+)"/>', str(Chart("t", [bar(Part(4))]).drawing))
    assert lines == [(y, y) for y in ("0", "25", "50", "75", "100")]
