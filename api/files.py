"""The points of an answer as a file: CSV for programs, XLSX for people (portal API 4).

CSV is the same in every language: UTF-8 with BOM, comma between cells, point before decimals, CRLF (RFC 4180), instants in ISO 8601 with their offset.
In a workbook numbers are numbers, shown with the decimals of their unit.
Rules: text comes from the directory and may be hostile: a cell that a spreadsheet could run as a formula, or cut such a cell out of, gets an apostrophe
before the sign; numbers are not touched. No name of a file holds text of a user.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from submeter.api.problems import Invalid

__all__ = ["CSV", "JSON", "XLSX", "Cell", "comma_separated", "file_of", "name_of", "plain"]

JSON: Final = "application/json"
CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ENDINGS: Final = {CSV: "csv", XLSX: "xlsx", JSON: "json"}

OF_SERIES: Final = ("quantity", "class", "statistic", "uom", "uom_label", "rated", "meter", "label")
OF_POINT: Final = ("start", "end", "value", "lo", "hi", "min", "max", "n", "quality", "coverage", "flags", "state", "rev", "index_start", "index_end")
#: Shown with the decimals of the unit; other numbers as they are.
MEASURED: Final = frozenset({"value", "lo", "hi", "min", "max", "index_start", "index_end", "previous", "year", "building", "climate"})

#: A sign that begins a formula: at the start of a cell, or where a program that separates by another sign would see one begin.
FORMULA: Final = re.compile(r"(^|[,;|\t\r\n\"])(?=[\s\"\x00-\x20\ufeff\u200b-\u200f]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])")
#: What a sheet holds: rows, and characters of a cell.
MOST_ROWS: Final = 1_048_576
LONGEST: Final = 32_767
#: A workbook says when it was made; the same points are the same bytes.
MADE: Final = datetime(2000, 1, 1, tzinfo=UTC)

Cell = str | int | float | bool | None


def name_of(kind: str, resolution: str, start: str, end: str) -> str:
    """The name of a file: resolution and dates of the range (`start`, `end` as this program wrote them), nothing that a user wrote."""
    return f"consumption-{resolution}-{start[:10]}-{end[:10]}.{ENDINGS[kind]}"


def file_of(kind: str, body: Mapping[str, Any]) -> bytes:
    """An answer as a file; raises Invalid where a sheet cannot hold it."""
    names = _columns(body)
    return (_csv if kind == CSV else _xlsx)(names, _rows(body, names), body)


def plain(value: Cell) -> str:
    """A cell as text that no spreadsheet runs: numbers with a point and without exponent, unknown is empty, text is defused."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            text = repr(value)
            return format(Decimal(text), "f") if "e" in text else text
        case int():
            return str(value)
    return _defused(value)


@lru_cache(maxsize=4096)
def _defused(text: str) -> str:
    """Text with an apostrophe before each sign that could begin a formula; files say the same words over and over."""
    return FORMULA.sub(r"\1'", text)


def comma_separated(rows: Sequence[Sequence[Cell]]) -> str:
    """Rows as CSV, cells defused."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([plain(value) for value in row] for row in rows)
    return out.getvalue()


def _columns(body: Mapping[str, Any]) -> list[str]:
    """The columns that something is known of, so that a file of counters has none of gauges; each comparison is one more."""
    points = [point for series in body["series"] for point in series["points"]]
    there = {name for point in points for name in point} | {"start", "end", "value", "lo", "hi"}
    return ["unit", *OF_SERIES, *(name for name in OF_POINT if name in there), *body["compare"]]


def _rows(body: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[list[Cell], int]]:
    """Cells of each point, with the decimals of its unit."""
    for number, series in enumerate(body["series"]):
        others = {name: compared["series"][number]["points"] for name, compared in body["compare"].items()}
        of_series = {"unit": body["unit"], **{name: series.get(name) for name in OF_SERIES}}
        for place, point in enumerate(series["points"]):
            known = of_series | point | {"flags": " ".join(point["flags"])} | {name: points[place]["value"] for name, points in others.items()}
            yield [known.get(name) for name in names], series["decimals"]


def _csv(names: Sequence[str], rows: Iterator[tuple[list[Cell], int]], _: Mapping[str, Any]) -> bytes:
    return comma_separated([names, *(row for row, _ in rows)]).encode("utf-8-sig")


def _xlsx(names: Sequence[str], rows: Iterator[tuple[list[Cell], int]], body: Mapping[str, Any]) -> bytes:
    if sum(len(series["points"]) for series in body["series"]) >= MOST_ROWS:
        raise Invalid("a sheet holds no more than a million rows: ask for fewer quantities or a shorter range", "to")
    import xlsxwriter  # noqa: PLC0415 - a service starts without it, and workbooks are few

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}) as book:
        book.set_properties({"created": MADE})
        sheet = book.add_worksheet("consumption")
        sheet.freeze_panes(1, 0)
        head = book.add_format({"bold": True})
        shown = {places: book.add_format({"num_format": f"0.{'0' * places}" if places else "0"}) for places in range(7)}
        for column, name in enumerate(names):
            sheet.write_string(0, column, name, head)
        for number, (row, places) in enumerate(rows, 1):
            for column, (name, value) in enumerate(zip(names, row, strict=True)):
                form = shown[places] if name in MEASURED else None
                if isinstance(value, int | float) and not isinstance(value, bool):
                    sheet.write_number(number, column, value, form)
                elif value is not None:
                    sheet.write_string(number, column, plain(value)[:LONGEST], form)
    return out.getvalue()
