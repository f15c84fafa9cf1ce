"""Empty A4 sheets of fpdf2 with our font and a foot: what submeter/pdf.py writes on."""

import logging
from importlib.resources import files
from typing import Final

from fpdf import FPDF

__all__ = ["Sheets"]

FAMILY: Final = "DejaVu"
#: mm on each side; points and mm of the foot.
MARGIN: Final = 20.0
FOOT, FOOT_LINE = 8.0, 4.0

logging.getLogger("fpdf").setLevel(logging.ERROR)
logging.getLogger("fontTools").setLevel(logging.ERROR)


class Sheets(FPDF):
    """A4 with our font, and a foot on every page: `foot` and its number."""

    def __init__(self, foot: str) -> None:
        super().__init__(format="A4")
        self._foot = foot
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
            self.add_font(FAMILY, style, str(files("submeter").joinpath("fonts", name)))
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN)

    def write_in(self, size: float, *, bold: bool = False) -> None:
        """Set the size of what comes next, points."""
        self.set_font(FAMILY, "B" if bold else "", size)

    def footer(self) -> None:
        """Who writes, and the number of the page."""
        self.set_y(-MARGIN * 0.75)
        self.write_in(FOOT)
        self.cell(0, FOOT_LINE, f"{self._foot}  ·  {self.page_no()}" if self._foot else str(self.page_no()), align="R")
