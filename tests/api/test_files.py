"""The points of an answer as CSV and XLSX: the same numbers, and no cell that a spreadsheet runs."""

# ruff: noqa: RUF001 - signs that look like others are the matter here

import csv
import io
import re
import xml.etree.ElementTree as ET
import zipfile

import pytest
from asking import ask, consumption
from test_information import Building, months

from submeter.api import files
from submeter.api.negotiation import preferred

CSV, XLSX = files.CSV, files.XLSX
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
QUERY = {"from": "2023-01-01", "to": "2023-05-01", "resolution": "P1M"}


@pytest.fixture
def building(tmp_path):
    """A flat with water of three known months and heat of one, in a fourth nothing is known."""
    found = Building(tmp_path)
    found.flat("u", ("A", "2022-01-01", None))
    found.point("p", "u", "cold_water", *months(2023, 1, ["0", "1.5", "1.500001", "4"]))
    found.point("h", "u", "heat", *months(2023, 1, ["0", "1200"]))
    yield found
    found.core.close()


def table(answer):
    """The rows of a CSV answer by the names of their columns."""
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def sheet(answer):
    """The cells of a workbook: numbers as float, text as str, formulas as they stand."""
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        root = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    return [{re.sub(r"\d", "", one.get("r")): _cell(one) for one in row.iter(f"{MAIN}c")} for row in root.iter(f"{MAIN}row")]


def _cell(one):
    if one.find(f"{MAIN}f") is not None:
        return ("formula", one.find(f"{MAIN}f").text)
    return "".join(one.itertext()) if one.get("t") == "inlineStr" else float(one.find(f"{MAIN}v").text)


def number(text):
    """A cell as the JSON has it."""
    return float(text) if text else None


def test_csv_has_the_points_of_the_answer(building):
    """Each series and point is a row with the same start, value, bounds, quality and flags."""
    points = [(one, point) for one in consumption(building.open(), "u", "2023-01-01", "2023-05-01")["series"] for point in one["points"]]
    rows = table(ask(building, "units/u/consumption", accept=CSV, **QUERY))
    assert len(rows) == len(points) == 8
    for row, (series, point) in zip(rows, points, strict=True):
        assert [row[name] for name in ("start", "end", "quality", "state")] == [point[name] for name in ("start", "end", "quality", "state")]
        assert [number(row[name]) for name in ("value", "lo", "hi", "coverage", "rev")] == [
            point[n] for n in ("value", "lo", "hi", "coverage", "rev")
        ]
        assert (row["unit"], row["class"], row["meter"], row["flags"]) == ("u", series["class"], series["meter"], " ".join(point["flags"]))
    assert [row["value"] for row in rows if row["class"] == "cold_water"] == ["1.5", "0.000001", "2.499999", ""]


def test_csv_is_written_for_programs_and_opens_in_spreadsheets(building):
    """BOM, comma, CRLF, a name without anything that a user wrote; caches keep apart what differs by Accept."""
    answer = ask(building.open(), "units/u/consumption", accept=CSV, **QUERY)
    assert answer.content.startswith(b"\xef\xbb\xbfunit,quantity,class,")
    assert answer.content.count(b"\r\n") == answer.content.count(b"\n") == 9
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="consumption-P1M-2023-01-01-2023-05-01.csv"'
    assert answer.headers["Vary"] == "Accept, Accept-Language"


def test_a_workbook_has_the_points_of_the_answer(building):
    """Numbers are numbers, shown with the decimals of their unit; unknown cells are empty."""
    points = [point for one in consumption(building.open(), "u", "2023-01-01", "2023-05-01")["series"] for point in one["points"]]
    answer = ask(building, "units/u/consumption", accept=XLSX, **QUERY)
    head, *rows = sheet(answer)
    place = {name: column for column, name in head.items()}
    assert [row.get(place["value"]) for row in rows] == [point["value"] for point in points]
    assert [row[place["start"]] for row in rows] == [point["start"] for point in points]
    assert [row[place["coverage"]] for row in rows] == [point["coverage"] for point in points]
    assert rows[0][place["uom_label"]] == "m³"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert 'formatCode="0.000"' in book.read("xl/styles.xml").decode()
    assert answer.headers["Content-Type"] == XLSX
    assert answer.headers["Content-Disposition"].endswith('01.xlsx"')


def test_the_same_points_are_the_same_bytes(building):
    """The tag of a file is a strong one: asked again, nothing differs, and 304 where the client has it; each kind has its own tag."""
    building.open()
    for kind in (CSV, XLSX):
        first, again = (ask(building, "units/u/consumption", accept=kind, **QUERY) for _ in range(2))
        assert (first.content, first.headers["ETag"]) == (again.content, again.headers["ETag"])
    with zipfile.ZipFile(io.BytesIO(ask(building, "units/u/consumption", accept=XLSX, **QUERY).content)) as book:
        assert "2000-01-01T00:00:00Z" in book.read("docProps/core.xml").decode()
        assert {one.date_time for one in book.infolist()} == {(1980, 1, 31, 0, 0, 0)}
    tags = {ask(building, "units/u/consumption", accept=kind, **QUERY).headers["ETag"] for kind in (CSV, XLSX, files.JSON)}
    assert len(tags) == 3


def test_comparisons_are_columns(building):
    """What is compared stands beside the value."""
    building.open()
    rows = table(ask(building, "units/u/consumption", accept=CSV, compare=["previous", "building"], **{**QUERY, "from": "2023-03-01"}))
    assert [(row["start"][:7], row["value"], row["previous"], row["building"]) for row in rows if row["class"] == "cold_water"] == [
        ("2023-03", "2.499999", "1.5", ""),
        ("2023-04", "", "0.000001", ""),
    ]


def test_the_index_is_in_the_file_where_it_is_asked_for(building):
    """Two more columns, only with `include=index`."""
    building.open()
    rows = table(ask(building, "units/u/consumption", accept=CSV, include="index", **QUERY))
    assert [(row["index_start"], row["index_end"]) for row in rows][:2] == [("0", "1.5"), ("1.5", "1.500001")]
    assert "index_start" not in table(ask(building, "units/u/consumption", accept=CSV, **QUERY))[0]


def test_a_long_file_tells_where_it_goes_on(building):
    """10,000 points, then a link with the same question from there."""
    building.open()
    answer = ask(building, "units/u/consumption", accept=CSV, quantity="volume", **{"from": "2022-01-01", "to": "2023-05-01", "resolution": "PT1H"})
    rows = table(answer)
    assert len(rows) == 10_000
    link = re.fullmatch(r'<\?(.*)>; rel="next"', answer.headers["Link"])[1]
    again = table(ask(building, f"units/u/consumption?{link}", accept=CSV))
    assert again[0]["start"] == rows[-1]["end"]
    assert again[-1]["end"] == "2023-05-01T00:00:00+00:00"


HOSTILE = [
    "=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", '"=1', '"",=1', "a;=1", "a\t=1", 'a",=1', "a\r\n=1", "\ufeff=1", "\u200b=1", "\x00=1",
    "；=1", "=1", "＝1+1", "＋1", "－1", "＠A1", "\xa0=1", "|=1", "−1",
]  # fmt: skip


def dangerous(cell):
    """Whether a spreadsheet may run a cell that it read."""
    return cell.strip(' \t\r\n\x00\xa0\u200b\ufeff"').startswith(tuple("=+-@＝＋－＠")) and not re.fullmatch(r"-?\d+(\.\d+)?", cell)


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_check_48_no_cell_of_a_csv_is_run(text, separator):
    """However a program cuts the file into cells, quoted or not, none of them begins as a formula; what the text says stays readable."""
    written = files.comma_separated([["quantity", text, -1.5, text]])
    assert not [cell for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator) for cell in row if dangerous(cell)]
    assert not [cell for line in re.split(r"[\r\n]+", written) for cell in line.split(separator) if dangerous(cell)]
    assert ",-1.5," in written
    assert next(csv.reader(io.StringIO(written, newline="")))[1].replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("text", ["Kitchen", "A-wing", "3 = three", "a@b.example", "50 %", "Novák, J.", "{hca}", "2024-01-01T00:00:00+01:00", "5+1"])
def test_usual_text_stays(text):
    """Signs inside of a text are no formula."""
    assert files.plain(text) == text


@pytest.mark.parametrize(
    ("value", "cell"), [(-2, "-2"), (-1.5, "-1.5"), (1e-06, "0.000001"), (123456789012.25, "123456789012.25"), (None, ""), (True, "true")]
)
def test_numbers_stay_numbers(value, cell):
    """Neither an apostrophe nor an exponent."""
    assert files.plain(value) == cell


def test_check_48_hostile_labels_of_the_directory_are_defused(building):
    """A label from the directory that is a formula arrives as text, in both files."""
    building.text = building.text.replace('label = "p"', """label = '=HYPERLINK("http://evil","x")'""").replace('label = "h"', 'label = "@cmd"')
    building.open()
    rows = table(ask(building, "units/u/consumption", accept=CSV, **QUERY))
    assert {row["label"] for row in rows} == {'\'=HYPERLINK("http://evil","x")', "'@cmd"}
    cells = [cell for row in sheet(ask(building, "units/u/consumption", accept=XLSX, **QUERY)) for cell in row.values()]
    assert "'@cmd" in cells
    assert not [cell for cell in cells if isinstance(cell, tuple)]
    assert "@cmd" in [series["label"] for series in consumption(building, "u", "2023-01-01", "2023-05-01")["series"]]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("application/*", "json"),
        (XLSX, "xlsx"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv;q=0.5, application/json", "json"),
        (f"text/csv;q=0.2, {XLSX};q=0.3", "xlsx"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=nan, */*;q=0.1", "json"),
        ("image/png", "json"),
        (",;q=1,,", "json"),
    ],
)
def test_the_accept_header_chooses(accept, kind):
    """The kind that is liked best; JSON where nothing else is liked better."""
    assert files.ENDINGS[preferred(accept, (files.JSON, CSV, XLSX))] == kind


@pytest.mark.parametrize("kind", [CSV, XLSX])
def test_refusals_are_problems_whatever_is_accepted(building, kind):
    """Scope, foreign unit and wrong parameters: the same answers as for JSON."""
    building.open()
    refused = ask(building, "units/u/consumption", scopes=("units:read",), accept=kind, **QUERY)
    missing = ask(building, "units/nobody/consumption", accept=kind, **QUERY)
    wrong = ask(building, "units/u/consumption", accept=kind, **{**QUERY, "from": "x"})
    assert [(answer.status_code, answer.headers["Content-Type"]) for answer in (refused, missing, wrong)] == [
        (status, "application/problem+json") for status in (403, 404, 422)
    ]
