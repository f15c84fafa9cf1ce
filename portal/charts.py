"""Bar charts as SVG in the page: grouped or stacked, each bar a link with its whole label, axis labels beside the drawing (portal SCREENS 3).

Strategy: the drawing is stretched to its place and has no text; labels are HTML in equal rows and columns, so that they keep their size on small screens.
Rules: the axis begins at 0 and has steps of 1, 2 or 5 times a power of ten, five lines at most; what is estimated is hatched; what is not known is an outlined
gap, never 0; a stack of which a part is not known has a hatched cap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

__all__ = ["Bar", "Chart", "Part", "steps"]

#: Size of the drawing before it is stretched, and of one bar's place in it.
HEIGHT: Final = 100.0
PLACE: Final = 10.0
GAP: Final = 1.5
CAP: Final = 6.0
LINES: Final = 5
COLOURS: Final = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a bar: its value, None if nobody knows it, and whether it is estimated."""

    value: float | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One place of the axis: its label below, the whole label as it is spoken, its parts in the order of the legend, and where it leads."""

    below: str
    spoken: str
    parts: Sequence[Part]
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its axis; `stacked` puts the parts of a bar on one another, else beside one another."""

    title: str
    bars: Sequence[Bar]
    stacked: bool = True

    @property
    def top(self) -> float:
        """The highest bar."""
        sums = sum if self.stacked else max
        return max((sums([part.value or 0 for part in bar.parts] or [0]) for bar in self.bars), default=0)

    @property
    def axis(self) -> list[float]:
        """The lines of the axis from the top down to 0."""
        return steps(self.top)[::-1]

    @property
    def odd(self) -> set[str]:
        """Which looks its bars have besides a plain colour: `est`, `gap` (not known), `cap` (a part of a stack is not known)."""
        looks = {"est" for bar in self.bars for part in bar.parts if part.estimated and part.value is not None}
        for bar in self.bars:
            known = [part.value is not None for part in bar.parts]
            if not all(known) or not known:
                looks.add("cap" if self.stacked and any(known) else "gap")
        return looks

    @property
    def decimals(self) -> int:
        """How many decimals its labels need."""
        step = self.axis[-2]
        return next(count for count in range(12) if round(step, count) == round(step, 10))

    @property
    def drawing(self) -> Markup:
        """The SVG."""
        scale = HEIGHT / (self.axis[0] or 1)
        width = PLACE * len(self.bars)
        lines = Markup("").join(
            Markup('<line x1="0" x2="{}" y1="{}" y2="{}"/>').format(f"{width:g}", f"{y:g}", f"{y:g}")
            for y in (HEIGHT - line * scale for line in self.axis)
        )
        bars = Markup("").join(self._bar(bar, number * PLACE, scale) for number, bar in enumerate(self.bars))
        return Markup('<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" aria-label="{}"><g class="grid">{}</g>{}</svg>').format(
            f"{width:g}",
            f"{HEIGHT:g}",
            self.title,
            lines,
            bars,
        )

    def _bar(self, bar: Bar, left: float, scale: float) -> Markup:
        drawn = Markup("").join(self._stack(bar, left, scale) if self.stacked else self._group(bar, left, scale))
        hit = Markup('<rect class="hit" x="{}" y="0" width="{}" height="{}"/>').format(f"{left:g}", f"{PLACE:g}", f"{HEIGHT:g}")
        if bar.href is None:
            return Markup('<g role="img" aria-label="{}">{}</g>').format(bar.spoken, drawn)
        return Markup('<a href="{}" aria-label="{}"><title>{}</title>{}{}</a>').format(bar.href, bar.spoken, bar.spoken, hit, drawn)

    def _stack(self, bar: Bar, left: float, scale: float) -> list[Markup]:
        below, drawn = 0.0, []
        for number, part in enumerate(bar.parts):
            if part.value is not None:
                drawn.append(_rect(left + GAP, below, PLACE - 2 * GAP, part.value * scale, number, estimated=part.estimated))
                below += part.value * scale
        if not bar.parts or all(part.value is None for part in bar.parts):
            return [_gap(left + GAP, PLACE - 2 * GAP)]
        if any(part.value is None for part in bar.parts):
            drawn.append(_cap(left + GAP, below, PLACE - 2 * GAP))
        return drawn

    def _group(self, bar: Bar, left: float, scale: float) -> list[Markup]:
        wide = (PLACE - 2 * GAP) / max(len(bar.parts), 1)
        places = [(left + GAP + number * wide, part) for number, part in enumerate(bar.parts)]
        return [
            _gap(x, wide) if part.value is None else _rect(x, 0, wide, part.value * scale, number, estimated=part.estimated)
            for number, (x, part) in enumerate(places)
        ]


def steps(top: float) -> list[float]:
    """The lines of an axis that reaches `top`: from 0 in steps of 1, 2 or 5 times a power of ten, five at most."""
    if top <= 0:
        return [0, 1]
    exponent = 0
    while top >= 10.0 ** (exponent + 1):
        exponent += 1
    while top < 10.0**exponent:
        exponent -= 1
    sizes = (factor * 10.0**power for power in (exponent - 1, exponent) for factor in (1, 2, 5))
    step = next((size for size in sizes if size * (LINES - 1) >= top), 10.0 ** (exponent + 1))
    count = next(count for count in range(1, LINES) if count * step >= top)
    return [round(number * step, 10) for number in range(count + 1)]


def _rect(x: float, below: float, wide: float, high: float, colour: int, *, estimated: bool) -> Markup:
    kind = f"c{colour % COLOURS}" + (" est" if estimated else "") + (" again" if colour >= COLOURS else "")
    y = HEIGHT - below - high
    drawn = _box(kind, x, y, wide, max(high, 0))
    return drawn + _box("hatch", x, y, wide, max(high, 0)) if estimated else drawn


def _cap(x: float, below: float, wide: float) -> Markup:
    return _box("cap", x, HEIGHT - below - CAP, wide, CAP)


def _gap(x: float, wide: float) -> Markup:
    dash = Markup('<path class="dash" d="M{} {}h{}"/>').format(f"{x + wide / 3:.2f}", f"{HEIGHT - CAP / 2:g}", f"{wide / 3:.2f}")
    return _box("gap", x, HEIGHT - CAP, wide, CAP) + dash


def _box(kind: str, x: float, y: float, wide: float, high: float) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(kind, f"{x:.2f}", f"{y:.2f}", f"{wide:.2f}", f"{high:.2f}")
