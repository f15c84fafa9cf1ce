"""Papers to be printed: title, headings, paragraphs, tables and QR codes on A4, as bytes of a PDF.

Strategy: fpdf2 lays out, with a font of our own inside (DejaVu Sans: Latin and Cyrillic), so that a paper looks the same on every machine. Rules: the same input
gives the same bytes: all dates and ids come from `created`, never from the clock; a text is only ever text: control characters and directions go, no markup is
read, no link is made, what the font lacks is a box. Nothing is opened but the font.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

import segno

if TYPE_CHECKING:
    from submeter.sheets import Sheets

__all__ = ["Paper", "printable"]

Align = Literal["L", "R", "C"]
#: Sizes of type, points, and the height of a line as a multiple of it, mm a point.
TITLE, HEADING, BODY, SMALL = 16.0, 12.0, 10.0, 8.0
LINE: Final = 0.5
#: Characters of a text and of a cell; what is longer is cut: no text fills a book, no row a page.
LONGEST: Final = 20_000
CELL: Final = 200
#: Control, format (directions, joiners), surrogate, private and unassigned characters.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class Paper:
    """A paper in a language: `locale` is its tag, `created` its date (µs UTC), `foot` what stands under each page beside its number."""

    def __init__(self, title: str, locale: str, created: int, foot: str = "") -> None:
        self._pdf = _sheets(printable(foot))
        self._pdf.set_creation_date(datetime.fromtimestamp(created // 1_000_000, UTC))
        self._pdf.set_title(printable(title))
        self._pdf.set_lang(locale)
        self._pdf.set_producer("submeter")

    def page(self, title: str = "") -> None:
        """Begin a new page, with a title if there is one."""
        self._pdf.add_page()
        if title:
            self._text(title, TITLE, bold=True)
            self._pdf.ln(TITLE * LINE / 2)

    def heading(self, text: str) -> None:
        """A line in bold."""
        self._pdf.ln(HEADING * LINE / 2)
        self._text(text, HEADING, bold=True)

    def paragraph(self, text: str, *, small: bool = False) -> None:
        """A text; its line ends are kept."""
        self._text(text, SMALL if small else BODY)
        self._pdf.ln(BODY * LINE / 2)

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str] = (), align: Sequence[Align] = (), widths: Sequence[float] = ()) -> None:
        """Rows of cells, `head` again on every page; `align` a column L, R or C (default L), `widths` their shares (default alike)."""
        lines = [[printable(cell[:CELL]) for cell in row] for row in ([head, *rows] if head else rows)]
        if not lines:
            return
        self._ready()
        self._pdf.write_in(BODY)
        columns = len(lines[0])
        with self._pdf.table(
            lines,
            first_row_as_headings=bool(head),
            borders_layout="HORIZONTAL_LINES",
            text_align=tuple(align) or ("L",) * columns,
            col_widths=tuple(widths) or (1,) * columns,
            line_height=BODY * LINE,
            markdown=False,
            padding=0.5,
        ):
            pass  # it is drawn at the end of the block
        self._pdf.ln(BODY * LINE)

    def qr(self, data: str, size_mm: float = 35.0) -> None:
        """A QR code of a text (UTF-8, error correction M) at the left; raises ValueError for what no code can hold (2,331 bytes)."""
        self._ready()
        code = segno.make(data, error="m", micro=False, boost_error=False, encoding="utf-8")
        rows = [bytes(row) for row in code.matrix]
        module = size_mm / (len(rows) + 8)
        if self._pdf.will_page_break(size_mm):
            self._pdf.add_page()
        left, top = self._pdf.get_x() + 4 * module, self._pdf.get_y() + 4 * module
        for number, row in enumerate(rows):
            for first, last in _runs(row):
                self._pdf.rect(left + first * module, top + number * module, (last - first) * module, module, style="F")
        self._pdf.set_y(self._pdf.get_y() + size_mm)

    def made(self) -> bytes:
        """The PDF; nothing can be added afterwards."""
        self._ready()
        return bytes(self._pdf.output())

    def _text(self, text: str, size: float, *, bold: bool = False) -> None:
        self._ready()
        self._pdf.write_in(size, bold=bold)
        self._pdf.multi_cell(0, size * LINE, printable(text[:LONGEST]), align="L", new_x="LMARGIN", new_y="NEXT")

    def _ready(self) -> None:
        if not self._pdf.page:
            self._pdf.add_page()


def _sheets(foot: str) -> "Sheets":
    from submeter.sheets import Sheets  # noqa: PLC0415 - fpdf2 takes a third of what a service needs to start, and papers are few

    return Sheets(foot)


def printable(text: str) -> str:
    """The text as it can be printed: composed (NFC), lines kept, without what is not seen; a box for what the font lacks."""
    known = _letters()
    seen = (one if one == "\n" else " " if one == "\t" else one for one in unicodedata.normalize("NFC", text.replace("\r\n", "\n")))
    return "".join(one if one == "\n" or ord(one) in known else "□" for one in seen if one == "\n" or unicodedata.category(one) not in _UNSEEN)


@cache
def _letters() -> frozenset[int]:
    """What both styles of the font can show."""
    return frozenset.intersection(*(frozenset(font.cmap) for font in _sheets("").fonts.values()))  # type: ignore[union-attr]


def _runs(row: bytes) -> list[tuple[int, int]]:
    """Dark stretches of a row, half-open."""
    edges = [at for at in range(len(row) + 1) if (at < len(row) and row[at] == 1) != (at > 0 and row[at - 1] == 1)]
    return list(zip(edges[::2], edges[1::2], strict=True))
