"""What each kind of directory entry says: its fields, which of them are needed, and how each is written.

Strategy: a table of fields per kind; a field's parser takes the TOML value or the CSV text and gives the stored one, or says in a ValueError what to
write. Rules: an instant is ISO 8601 with offset, or a local date that means its first instant in the property's zone; an index value is decimal text in
the canonical unit; a key is never repeated in an error.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from submeter import civil
from submeter.decoders import DES_CBC, ELL_CTR
from submeter.decoders.diehl import MAKERS
from submeter.reading import DeviceId, to_micro
from submeter.store.directory_files import Entry
from submeter.store.key_files import bare
from submeter.store.registry_types import FINEST, QUANTITIES

__all__ = ["FIELDS", "Field", "Row", "is_des", "parsed", "secured"]

Row = dict[str, Any]
KEY_DIGITS: Final = (32, 16)
DES_BYTES: Final = 8
ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
REGISTER: Final = re.compile(r"[a-z][a-z0-9_]*(\[(t|s|#)[0-9]+\])*")
PARAMETERS: Final = (
    "kind", "resolution", "modulus", "max_rate_per_h", "max_gap", "confirm_window", "confirm_n", "dip_tolerance", "resettable", "set_day", "factors", "mode",
    "expected_interval",
)  # fmt: skip
#: Security modes by name; `ell` is the encryption of the extended link layer.
MODES: Final = {"2": DES_CBC, "5": 5, "7": 7, "ell": ELL_CTR}
INDEX: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its parser, and the value of a field left out; `needed` fields have none."""

    name: str
    parse: Callable[[Any], Any]
    default: Any = None
    needed: bool = False


def text(value: Any) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError('write a text in one line, e.g. "Lipová 12"')
    return value.strip()


def identity(value: Any) -> str:
    """An id that may stand in a path."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError("write at most 64 letters, digits, _ . - , or leave it out to get a random one")
    return value


def zone(value: Any) -> str:
    """An IANA zone."""
    civil.zone_info(text(value))
    return str(value)


def year_start(value: Any) -> str:
    """The first of a month (SPEC 2.5)."""
    if value not in {f"{month:02d}-01" for month in range(1, 13)}:
        raise ValueError('write the first of a month, e.g. "01-01"')
    return str(value)


def days(value: Any) -> int:
    """A number of days; 0 for no end."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", str(value)):
        raise ValueError("write a whole number of days, 0 for ever, or leave it out")
    return int(value)


def one_of(*words: str) -> Callable[[Any], str]:
    """Return the parser of a choice."""

    def chosen(value: Any) -> str:
        if value not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return str(value)

    return chosen


def registers(value: Any) -> str:
    """Names of registers, the main one first: a list, or a text with blanks."""
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and REGISTER.fullmatch(name) for name in names):
        raise ValueError('write register names, the main one first, e.g. ["energy", "power"]')
    return " ".join(names)


def parameters(value: Any) -> str:
    """Parameters of the main register (SPEC 2.1), checked by name: a table, or JSON text."""
    table = json.loads(value) if isinstance(value, str) else value
    unknown = sorted(set(table) - set(PARAMETERS)) if isinstance(table, dict) else ["?"]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no parameter: write some of {', '.join(PARAMETERS)}")
    if any(isinstance(one, float) for one in table.values()):
        raise ValueError('write decimals as text, e.g. max_rate_per_h = "2.5"')
    return json.dumps(table, sort_keys=True)


def device(value: Any) -> str:
    """The identity of a meter."""
    return str(DeviceId.parse(text(value)))


def key(value: Any) -> bytes:
    """An AES-128 key, or one of DES."""
    digits = bare(value) if isinstance(value, str) else ""
    if len(digits) not in KEY_DIGITS or not re.fullmatch("[0-9A-Fa-f]*", digits):
        raise ValueError(f"write the key as {KEY_DIGITS[0]} hex digits, or {KEY_DIGITS[1]} of mode 2 (this value is not shown)")
    return bytes.fromhex(digits)


def secured(device: str, key: str | None) -> dict[str, str]:
    """The fields of a device that say its key: one of DES pins mode 2, but for the Diehl group."""
    if key is None:
        return {}
    return {"key": key, "mode": "2"} if is_des(device, len(bare(key)) // 2) else {"key": key}


def is_des(device: str, size: int) -> bool:
    """Whether a key of so many bytes is one of DES, which is for mode 2 alone: the Diehl group has such keys for a cipher of its own."""
    return size == DES_BYTES and device[:3] not in MAKERS


def mode(value: Any) -> int:
    """The security mode that the meter is pinned to."""
    if str(value) not in MODES:
        raise ValueError(f"write {', '.join(MODES)}, or leave it out to take any but 2")
    return MODES[str(value)]


def truth(value: Any) -> int:
    """A truth value, or its name."""
    words = {"true": 1, "false": 0}
    if str(value).lower() not in words:
        raise ValueError("write true or false")
    return words[str(value).lower()]


def instant(value: Any) -> int | date:
    """An instant as µs UTC, or a local date whose zone is found later."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    written = value.isoformat() if isinstance(value, datetime) else text(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", written):
        return date.fromisoformat(written)
    return civil.instant(written)


def month(value: Any) -> str:
    """A calendar month."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", value):
        raise ValueError('write the month as "2026-01"')
    return value


def index(value: Any) -> int:
    """An index in micro units."""
    if isinstance(value, bool | float) or not INDEX.fullmatch(str(value)):
        raise ValueError('write the index as text in the canonical unit, e.g. "812.345"')
    return to_micro(Decimal(value))


ID_FIELD: Final = Field("id", identity)
PERIOD: Final = (Field("from", instant, needed=True), Field("to", instant))

FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "manager": (ID_FIELD, Field("name", text, needed=True)),
    "property": (
        ID_FIELD,
        Field("manager", text, needed=True),
        Field("name", text, needed=True),
        Field("zone", zone, needed=True),
        Field("year_start", year_start, "01-01"),
        Field("finest", one_of(*FINEST), "hour"),
        Field("hours_kept", days),
        Field("days_kept", days),
    ),
    "unit": (ID_FIELD, Field("property", text, needed=True), Field("label", text, needed=True), Field("entrance", text, "")),
    "point": (
        ID_FIELD,
        Field("property", text),
        Field("unit", text),
        Field("quantity", one_of(*QUANTITIES), needed=True),
        Field("label", text, ""),
        Field("registers", registers),
        Field("parameters", parameters, "{}"),
    ),
    "device": (Field("id", device, needed=True), Field("key", key), Field("mode", mode), Field("whole", truth, 1)),
    "assignment": (
        Field("point", text, needed=True),
        Field("device", device, needed=True),
        *PERIOD,
        Field("start_value", index),
        Field("end_value", index),
        Field("remove", truth, 0),
    ),
    "degree_days": (Field("property", text, needed=True), Field("month", month, needed=True), Field("value", index, needed=True)),
    "occupancy": (Field("unit", text, needed=True), *PERIOD, Field("name", text, needed=True), Field("remove", truth, 0)),
}


def parsed(entry: Entry) -> tuple[Row, list[str]]:
    """Return the fields of an entry, those left out at their defaults, and one line per field that is unknown, missing or cannot be read."""
    fields = FIELDS[entry.kind]
    unknown = entry.values.keys() - {field.name for field in fields}
    mistakes = [f"{entry.place}: {name}: unknown field: write some of {', '.join(field.name for field in fields)}" for name in sorted(unknown)]
    row: Row = {}
    for field in fields:
        try:
            row[field.name] = _value(entry, field)
        except (ValueError, civil.CivilError) as error:
            mistakes.append(f"{entry.place}: {field.name}: {error}")
    if row.get("key") and row.get("id") and (len(row["key"]) == DES_BYTES) != (row.get("mode") == DES_CBC) and row["id"][:3] not in MAKERS:
        mistakes.append(f"{entry.place}: mode: a key of 16 hex digits is of mode 2, and mode 2 has no other: write both so, or neither")
    return row, mistakes


def _value(entry: Entry, field: Field) -> Any:
    if field.name in entry.values:
        return field.parse(entry.values[field.name])
    if field.needed:
        raise ValueError("is missing")
    return field.default
