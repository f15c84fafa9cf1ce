"""The files of a directory import: one TOML file, or a folder of CSV files with the same columns, as entries with their places.

Rules: nothing is interpreted here; an empty CSV cell is a field left out; every entry knows its file and row, or table and number.
"""

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from submeter.store.errors import DirectoryError

__all__ = ["FILES", "Entry", "read_entries"]

#: Kind of entry (the TOML table) and its CSV file, in the order in which they depend on each other.
FILES: Final[Mapping[str, str]] = {
    "manager": "managers.csv",
    "property": "properties.csv",
    "unit": "units.csv",
    "point": "points.csv",
    "device": "devices.csv",
    "assignment": "assignments.csv",
    "occupancy": "occupancies.csv",
    "degree_days": "degree_days.csv",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One table entry or row as written, with the place that an error names."""

    kind: str
    place: str
    values: Mapping[str, Any]


def read_entries(path: Path) -> list[Entry]:
    """Return all entries of a TOML file or a folder of CSV files; DirectoryError names the file that cannot be read."""
    try:
        return list(_csv_folder(path) if path.is_dir() else _toml(path))
    except FileNotFoundError:
        raise DirectoryError(f"{path}: there is no such file or folder") from None
    except tomllib.TOMLDecodeError as error:
        raise DirectoryError(f"{path}: this is not TOML: {error}") from error
    except (OSError, ValueError, csv.Error) as error:
        raise DirectoryError(f"{path}: cannot be read: {error}") from error


def _toml(path: Path) -> Iterator[Entry]:
    for kind, tables in tomllib.loads(path.read_text("utf-8")).items():
        if kind not in FILES:
            raise DirectoryError(f"{path.name}: [[{kind}]]: unknown table: write one of {', '.join(FILES)}")
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise DirectoryError(f"{path.name}: {kind} is a list of tables: write [[{kind}]]")
        yield from (Entry(kind, f"{path.name}: [[{kind}]] {number}", table) for number, table in enumerate(tables, 1))


def _csv_folder(folder: Path) -> Iterator[Entry]:
    if not any((folder / name).exists() for name in FILES.values()):
        raise DirectoryError(f"{folder}: holds none of {', '.join(FILES.values())}")
    for kind, name in FILES.items():
        if (folder / name).exists():
            yield from _csv(kind, folder / name)


def _csv(kind: str, path: Path) -> Iterator[Entry]:
    text = path.read_text("utf-8-sig")
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    columns = [column.strip() for column in next(rows, [])]
    for row in rows:
        if any(cell.strip() for cell in row):
            yield _csv_entry(kind, f"{path.name}: row {rows.line_num}", columns, row)


def _csv_entry(kind: str, place: str, columns: Sequence[str], row: Sequence[str]) -> Entry:
    if len(row) != len(columns):
        raise DirectoryError(f"{place}: has {len(row)} cells, the first row has {len(columns)}")
    return Entry(kind, place, {column: cell.strip() for column, cell in zip(columns, row, strict=True) if cell.strip()})
