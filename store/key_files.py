"""Files of meter keys as rows of identity and key: Kamstrup's KEM and KEM2, and tables (CSV) of any other maker.

Strategy: the columns of a table are found by what stands in them: keys are 32 hex digits (16 for DES), identities are numbers of a meter or whole device
ids; the operator names a column only where several would do. Rules: nothing is looked up here; a key is never repeated in an error.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from submeter.store.errors import KeyFileError
from submeter.store.kem import read_kem

__all__ = ["Columns", "KeyRow", "bare", "is_key_file", "key_of", "needs_password", "read_keys"]

LARGEST: Final = 16 * 1024 * 1024
ZIPPED: Final = b"PK"
MARKS: Final = re.compile(r"[\s:-]")
KEY: Final = re.compile("[0-9A-Fa-f]{32}|[0-9A-Fa-f]{16}")
DEVICE: Final = re.compile("[A-Z]{3}-[0-9A-F]{8}-[0-9A-F]{2}-[0-9A-F]{2}")
#: A meter's number as printed on it: up to eight digits, with the maker's letters before it on some lists.
NUMBER: Final = re.compile("(?:(?P<maker>[A-Z]{3})[ _-]?)?(?P<number>[0-9A-F]{4,8})")
MAKER: Final = re.compile("[A-Z]{3}")
KAMSTRUP: Final = ("KAM", "KAW")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns, where the operator gives them."""

    identity: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key and whose it is: a whole device id, or its number and the makers it may be of (none: any)."""

    place: str
    device: str | None
    number: str
    makers: tuple[str, ...]
    key: bytes

    def fits(self, device: str) -> bool:
        """Whether it may be that of this device."""
        return self.device == device if self.device else self.number == device[4:12] and (not self.makers or device[:3] in self.makers)

    def __repr__(self) -> str:
        """Name the row without its key."""
        return f"KeyRow({self.place}, {self.device or self.number})"


def is_key_file(path: Path) -> bool:
    """Tell whether this is a file of keys rather than of a directory: a zip, or one table."""
    return path.is_file() and (needs_password(path) or path.suffix.lower() in {".csv", ".txt"})


def needs_password(path: Path) -> bool:
    """Tell whether this is a zip, as KEM files are whatever they are called."""
    try:
        with path.open("rb") as file:
            return file.read(2) == ZIPPED
    except OSError:
        return False


def read_keys(path: Path, password: str = "", columns: Columns = Columns()) -> tuple[list[KeyRow], str]:
    """Return the rows of a key file and a sentence on how they were found; KeyFileError names the file and what is wrong."""
    try:
        data = _content(path)
        if data.startswith(ZIPPED):
            return [_kamstrup(number, serial, key) for number, (serial, key) in enumerate(read_kem(data, password), 1)], "a KEM file"
        return _table(data.decode("utf-8-sig"), columns)
    except KeyFileError as error:
        raise KeyFileError(f"{path.name}: {error}") from error
    except (OSError, ValueError, csv.Error) as error:
        raise KeyFileError(f"{path.name}: it cannot be read: {error}") from error


def key_of(path: Path, device: str, password: str = "") -> bytes:
    """Return the key of one device (as `str(DeviceId)`) in a key file; KeyFileError if there is none, or more than one."""
    keys = {row.key for row in read_keys(path, password)[0] if row.fits(device)}
    if len(keys) != 1:
        raise KeyFileError(f"{path.name}: it has {'several keys' if keys else 'no key'} of {device}")
    return keys.pop()


def _content(path: Path) -> bytes:
    if not 0 < path.stat().st_size <= LARGEST:
        raise KeyFileError(f"it is empty, or larger than {LARGEST >> 20} MiB")
    return path.read_bytes()


def _kamstrup(position: int, serial: str, key: str) -> KeyRow:
    if not KEY.fullmatch(key) or not NUMBER.fullmatch(serial):
        raise KeyFileError(f"meter {position} has no serial number or key of the usual form")
    return KeyRow(f"meter {position}", None, serial.zfill(8), KAMSTRUP, bytes.fromhex(key))


def _table(text: str, columns: Columns) -> tuple[list[KeyRow], str]:
    head = text.partition("\n")[0]
    delimiter = max(";,\t", key=head.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, row))]
    names, body = (rows[0], rows[1:]) if rows and not any(map(_is_key, rows[0])) else ([], rows)
    if not body or any(len(row) != len(body[0]) for row in rows):
        raise KeyFileError("it is no table: rows of one length, one meter each")
    key = _column(names, body, columns.key, _is_key, "keys (32 hex digits)", "--key-column")
    identity = _column(names, body, columns.identity, _is_identity, "meter numbers", "--id-column", apart_from=key)
    maker = next((at for at in range(len(body[0])) if at not in {key, identity} and all(MAKER.fullmatch(row[at]) for row in body)), None)
    first = 2 if names else 1
    found = [_row(f"row {line}", row[identity], row[key], row[maker] if maker is not None else None) for line, row in enumerate(body, first)]
    return found, f"meters from column {_name(names, identity)}, keys from column {_name(names, key)}"


def _column(
    names: Sequence[str], body: Sequence[Sequence[str]], wanted: str | None, fits: Callable[[str], bool], what: str, option: str, apart_from: int = -1
) -> int:
    """The column the operator names, or the one whose every cell fits."""
    if wanted is not None:
        if wanted not in names:
            raise KeyFileError(f"it has no column {wanted!r}: it has {', '.join(names) or 'no names in its first row'}")
        return names.index(wanted)
    found = [at for at in range(len(body[0])) if at != apart_from and all(fits(row[at]) for row in body)]
    if len(found) != 1:
        told = f"columns {', '.join(_name(names, at) for at in found)} may all hold {what}" if found else f"no column holds {what} in every row"
        raise KeyFileError(f"{told}: name the column with {option}")
    return found[0]


def _name(names: Sequence[str], at: int) -> str:
    return repr(names[at]) if names else str(at + 1)


def bare(key: str) -> str:
    """The digits of a key, without what is written between them."""
    return MARKS.sub("", key)


def _is_key(cell: str) -> bool:
    return bool(KEY.fullmatch(bare(cell)))


def _is_identity(cell: str) -> bool:
    return bool(DEVICE.fullmatch(cell.upper()) or NUMBER.fullmatch(cell.upper()))


def _row(place: str, identity: str, key: str, maker: str | None) -> KeyRow:
    written = identity.upper()
    number = NUMBER.fullmatch(written)
    if not _is_key(key):
        raise KeyFileError(f"{place}: the key is not 32 hex digits (it is not shown)")
    secret = bytes.fromhex(bare(key))
    if DEVICE.fullmatch(written):
        return KeyRow(place, written, written[4:12], (), secret)
    if number is None:
        raise KeyFileError(f"{place}: {identity!r} is neither the number of a meter nor a device id such as KAM-12345678-1B-06")
    makers = tuple(filter(None, (number["maker"] or maker,)))
    return KeyRow(place, None, number["number"].zfill(8), makers, secret)
