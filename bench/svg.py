"""Plots of `./run bench --report` as SVG: bars and lines, each from nought.

Written by hand, since two shapes need a hundred lines: pygal 3 brings a script from another site and fixed colours of the page, matplotlib 30 MB and text as outlines.
Text and axes have the colour of the reader's light or dark page; series have colours that the colour-blind tell apart (Okabe and Ito), and lines have marks besides.
A value is written as in the table of the report, by `shown`; `data-value` has all its digits.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import count, takewhile
from typing import Any

WIDTH, LEFT, TOP, RIGHT, HEIGHT, ROW = 720, 200, 44, 90, 220, 26
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLE = "svg{color:#24292f;font:13px sans-serif}text{fill:currentColor}@media(prefers-color-scheme:dark){svg{color:#d0d7de}}"


@dataclass(frozen=True)
class Plot:
    """Values with their unit by what they are of: words are bars, numbers (`along` says of what) are points of a line for each series."""

    name: str
    title: str
    unit: str
    about: str
    series: dict[str, dict[Any, float]]
    along: str = ""

    def svg(self) -> str:
        """The picture."""
        height, body = self._lines() if self.along else self._bars()
        parts = (
            f"<title>{escape(self.title)}</title>",
            f"<desc>{escape(self.about)}</desc>",
            f"<style>{STYLE}</style>",
            text(0, 18, self.title, "start", weight="bold"),
            *body,
        )
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
        return "\n".join((head, *parts, "</svg>\n"))

    def _values(self) -> Iterator[float]:
        return (value for values in self.series.values() for value in values.values())

    def _bars(self) -> tuple[int, Iterator[str]]:
        rows = [
            (name, label, value, COLOURS[number % len(COLOURS)])
            for number, (name, values) in enumerate(self.series.items())
            for label, value in values.items()
        ]
        marks = ticks(max(self._values()))
        bottom, span = TOP + ROW * len(rows), WIDTH - LEFT - RIGHT

        def body() -> Iterator[str]:
            for mark in marks:
                x = LEFT + span * mark / marks[-1]
                yield line(x, TOP - 6, x, bottom)
                yield text(x, bottom + 16, shown(mark))
            yield text(LEFT + span / 2, bottom + 36, self.unit)
            for number, (name, label, value, colour) in enumerate(rows):
                y = TOP + ROW * number
                yield text(LEFT - 8, y + 14, f"{name}: {label}" if name else label, "end")
                yield f'<rect x="{LEFT}" y="{y}" width="{span * value / marks[-1]:.2f}" height="{ROW - 7}" fill="{colour}" data-value="{value!r}"/>'
                yield text(LEFT + span * value / marks[-1] + 6, y + 14, shown(value), "start")

        return bottom + 46, body()

    def _lines(self) -> tuple[int, Iterator[str]]:
        across, upward = ticks(max(float(x) for values in self.series.values() for x in values)), ticks(max(self._values()))
        left, bottom, span = 90, TOP + HEIGHT, WIDTH - 90 - 160

        def body() -> Iterator[str]:
            for mark in upward:
                y = bottom - HEIGHT * mark / upward[-1]
                yield line(left, y, left + span, y)
                yield text(left - 8, y + 4, shown(mark), "end")
            for mark in across:
                yield text(left + span * mark / across[-1], bottom + 18, shown(mark))
            yield text(left, TOP - 10, self.unit, "end")
            yield text(left + span / 2, bottom + 38, self.along)
            for number, (name, values) in enumerate(self.series.items()):
                colour = COLOURS[number % len(COLOURS)]
                points = [(left + span * float(x) / across[-1], bottom - HEIGHT * y / upward[-1], y) for x, y in values.items()]
                yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y, _ in points)}"/>'
                for x, y, value in points:
                    yield f'<g data-value="{value!r}">{mark_of(number, x, y, colour)}{text(x, y - 9, shown(value))}</g>'
                yield text(points[-1][0] + 14, points[-1][1] + 4, name, "start")

        return bottom + 48, body()


def ticks(most: float) -> list[float]:
    """Round steps from nought to the first at or above a number: four to ten."""
    rough = most / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    below = list(takewhile(lambda mark: mark < most, (number * step for number in count())))
    return [*below, len(below) * step] if below else [0.0, step]


def shown(value: float) -> str:
    """Three digits that count, thousands apart."""
    digits = max(2 - math.floor(math.log10(abs(value))), 0) if value else 0
    told = f"{round(value, digits):,.{digits}f}"
    return told.rstrip("0").rstrip(".") if "." in told else f"{float(f'{value:.3g}'):,.0f}"


def text(x: float, y: float, words: str, anchor: str = "middle", weight: str = "normal") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'


def line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.2f} {y:.2f}L{to_x:.2f} {to_y:.2f}" stroke="currentColor" stroke-opacity=".3"/>'


def mark_of(number: int, x: float, y: float, colour: str) -> str:
    """A dot, or a box: which series a point is of shows without its colour."""
    if number % 2:
        return f'<rect x="{x - 4:.2f}" y="{y - 4:.2f}" width="8" height="8" fill="{colour}"/>'
    return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="4" fill="{colour}"/>'
